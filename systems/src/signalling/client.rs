//! Client transactions (RFC 3261 section 17.1, RFC 6026).

use super::send::{cancel_timer, count, linger, mint, seed, send, send_again, start_timer};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    Leg, Lifetime, Queue, Retransmit, Settings, Transaction, TransactionEvent, TransactionKind, TransactionState,
    TransactionTable,
};
use ringworld_components::edge::{Flow, Target};
use ringworld_components::kernel::StableId;
use ringworld_components::planted;
use ringworld_components::wire::sip::{
    Limits, Message, Method, NameAddr, OutgoingRequest, Request, Response, client_key, parse_datagram,
};

/// Section 17.1.1.2.
const TIMER_D_MS_MIN: u64 = 32_000;

/// Sends a request and begins its transaction. `branch` is the one in the request's Via; without an owner nobody hears how it
/// ends.
pub(super) fn begin(
    world: &mut World,
    owner: Option<Entity>,
    method: Method,
    branch: &str,
    target: Target,
    bytes: Bytes,
) -> Entity {
    let sip = &world.resource::<Settings>().sip;
    let (t1_ms, transaction_ms) = (sip.t1_ms, sip.transaction_ms());
    let is_invite = method == Method::Invite;
    let transaction = Transaction {
        kind: if is_invite { TransactionKind::InviteClient } else { TransactionKind::NonInviteClient },
        state: if is_invite { TransactionState::Calling } else { TransactionState::Trying },
        key: client_key(branch.as_bytes(), &method, seed(world)),
        merge_key: None,
        target,
        interval_ms: t1_ms,
        last: bytes.clone(),
        head: None,
        owner,
        method,
    };
    let id = mint(world);
    let transaction = world.spawn((id, transaction)).id();
    if !target.transport.is_reliable() {
        start_timer::<Retransmit>(world, transaction, u64::from(t1_ms));
    }
    start_timer::<Lifetime>(world, transaction, transaction_ms);
    send(world, target, bytes, id);
    transaction
}

pub(super) fn receive_response(world: &mut World, flow: Flow, response: Response) {
    let branch = response.head.via.branch.clone().unwrap_or_default();
    let key = client_key(&branch, &response.head.cseq_method, seed(world));
    let Some(transaction) = world.resource::<TransactionTable>().find(key) else {
        return count(world, |counters| counters.drop_message("response to nothing"));
    };
    let Some(state) = world.get::<Transaction>(transaction) else { return };
    let (kind, at, owner) = (state.kind, state.state, state.owner);
    let goes_up = match kind {
        TransactionKind::InviteClient => receive_for_invite(world, transaction, at, &response),
        TransactionKind::NonInviteClient => receive_for_other(world, transaction, at, response.status),
        TransactionKind::InviteServer | TransactionKind::NonInviteServer => false,
    };
    if goes_up {
        let is_invite = kind == TransactionKind::InviteClient;
        let event = TransactionEvent::Response { is_invite, owner, flow, response: Box::new(response) };
        world.resource_mut::<Queue<TransactionEvent>>().push(event);
    } else {
        count(world, |counters| counters.retransmissions_received += 1);
    }
}

/// Section 17.1.1.2 with the state that RFC 6026 adds. Says whether the response goes up.
fn receive_for_invite(world: &mut World, transaction: Entity, at: TransactionState, response: &Response) -> bool {
    let transaction_ms = world.resource::<Settings>().sip.transaction_ms();
    match (at, response.status) {
        (TransactionState::Calling, 100..200) => {
            if !planted!(RetransmitsOn) {
                cancel_timer::<Retransmit>(world, transaction);
            }
            // Of a call that is over nobody would ever end the transaction: timer B goes on.
            let owner = world.get::<Transaction>(transaction).and_then(|state| state.owner);
            if owner.is_some_and(|leg| world.get::<Leg>(leg).is_some()) {
                cancel_timer::<Lifetime>(world, transaction);
            }
            set(world, transaction, TransactionState::Proceeding);
            true
        }
        (TransactionState::Proceeding, 100..200) => true,
        (TransactionState::Calling | TransactionState::Proceeding, 200..300) => {
            set(world, transaction, TransactionState::Accepted);
            linger(world, transaction, transaction_ms);
            true
        }
        (TransactionState::Calling | TransactionState::Proceeding, _) => {
            acknowledge(world, transaction, response);
            set(world, transaction, TransactionState::Completed);
            let is_reliable = world.get::<Transaction>(transaction).is_none_or(|it| it.target.transport.is_reliable());
            // Timer D: at least 32 s on unreliable transports, whatever T1 is.
            linger(world, transaction, if is_reliable { 0 } else { transaction_ms.max(TIMER_D_MS_MIN) });
            true
        }
        (TransactionState::Accepted, 200..300) => true,
        (TransactionState::Completed, 300..) => {
            send_again(world, transaction);
            false
        }
        _ => false,
    }
}

/// Section 17.1.2.2.
fn receive_for_other(world: &mut World, transaction: Entity, at: TransactionState, status: u16) -> bool {
    if !matches!(at, TransactionState::Trying | TransactionState::Proceeding) {
        return false;
    }
    if status < 200 {
        set(world, transaction, TransactionState::Proceeding);
        return true;
    }
    set(world, transaction, TransactionState::Completed);
    let t4_ms = u64::from(world.resource::<Settings>().sip.t4_ms);
    let is_reliable = world.get::<Transaction>(transaction).is_none_or(|it| it.target.transport.is_reliable());
    linger(world, transaction, if is_reliable { 0 } else { t4_ms });
    true
}

fn set(world: &mut World, transaction: Entity, to: TransactionState) {
    if let Some(mut state) = world.get_mut::<Transaction>(transaction) {
        state.state = to;
        if to == TransactionState::Accepted || (to == TransactionState::Completed && state.method != Method::Invite) {
            state.last = Bytes::new();
        }
    }
}

/// The ACK for a final response other than 2xx (section 17.1.1.3): made of the INVITE, which is the last message sent.
fn acknowledge(world: &mut World, transaction: Entity, response: &Response) {
    let Some(state) = world.get::<Transaction>(transaction) else { return };
    let (target, id) = (state.target, world.get::<StableId>(transaction).copied().unwrap_or(StableId(0)));
    let Some(invite) = parse_own(&state.last) else { return };
    let ack = ack_of(&invite, &response.head.to);
    if let Some(mut state) = world.get_mut::<Transaction>(transaction) {
        state.last = ack.clone();
        state.owner = None;
    }
    send(world, target, ack, id);
}

fn ack_of(invite: &Request, to: &NameAddr) -> Bytes {
    let head = &invite.head;
    let via = &head.via;
    let sent_by = match via.port {
        Some(port) => format!("{}:{port}", String::from_utf8_lossy(&via.host)),
        None => String::from_utf8_lossy(&via.host).into_owned(),
    };
    OutgoingRequest {
        method: &Method::Ack,
        uri: invite.uri.as_bytes(),
        via_transport: &String::from_utf8_lossy(&via.transport),
        via_sent_by: &sent_by,
        branch: &String::from_utf8_lossy(via.branch.as_deref().unwrap_or_default()),
        from: &with_tag(&head.from),
        to: &with_tag(to),
        call_id: &head.call_id,
        cseq: head.cseq,
        max_forwards: 70,
        route: &head.route(),
        contact: None,
        extra: &[],
        body: None,
    }
    .write()
}

/// A From or To value with its tag.
pub(super) fn with_tag(party: &NameAddr) -> Vec<u8> {
    tagged(&party.to_text(), party.tag.as_deref().unwrap_or_default())
}

/// A From or To value of its text and a tag, which may be empty.
pub(super) fn tagged(text: &[u8], tag: &[u8]) -> Vec<u8> {
    let mut value = text.to_vec();
    if !tag.is_empty() {
        value.extend_from_slice(b";tag=");
        value.extend_from_slice(tag);
    }
    value
}

/// Parses a request that we wrote ourselves.
pub(super) fn parse_own(bytes: &Bytes) -> Option<Request> {
    match parse_datagram(bytes.clone(), &Limits::default()) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    }
}
