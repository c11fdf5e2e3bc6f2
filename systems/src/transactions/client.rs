//! Client transactions (RFC 3261 section 17.1, RFC 6026).

use super::send::{count, linger, seed, send, send_again};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{Queue, Settings};
use ringworld_components::edge::Flow;
use ringworld_components::kernel::{StableId, cancel_timer};
use ringworld_components::planted;
use ringworld_components::sip::{
    Lifetime, Retransmit, Transaction, TransactionEvent, TransactionKind, TransactionState, TransactionTable, tagged,
};
use ringworld_components::wire::sip::{
    Limits, Message, Method, NameAddr, OutgoingRequest, Request, Response, client_key, parse_datagram,
};

/// Section 17.1.1.2.
const TIMER_D_MS_MIN: u64 = 32_000;

pub(super) fn receive_response(world: &mut World, flow: Flow, response: Response) {
    let branch = response.head.via.branch.clone().unwrap_or_default();
    let key = client_key(&branch, &response.head.cseq_method, seed(world));
    let Some(transaction) = world.resource::<TransactionTable>().find(key) else {
        return count(world, |counters| counters.drop_message("response to nothing"));
    };
    let Some(state) = world.get::<Transaction>(transaction) else { return };
    let (kind, at, user) = (state.kind, state.state, state.user);
    let goes_up = match kind {
        TransactionKind::InviteClient => receive_for_invite(world, transaction, at, &response),
        TransactionKind::NonInviteClient => receive_for_other(world, transaction, at, response.status),
        TransactionKind::InviteServer | TransactionKind::NonInviteServer => false,
    };
    if goes_up {
        let method = response.head.cseq_method.clone();
        let event = TransactionEvent::Response { transaction, method, user, flow, response: Box::new(response) };
        world.resource_mut::<Queue<TransactionEvent>>().push(event);
    } else {
        count(world, |counters| counters.retransmissions_received += 1);
    }
}

/// Section 17.1.1.2 with the state that RFC 6026 adds. Says whether the response is passed on.
fn receive_for_invite(world: &mut World, transaction: Entity, at: TransactionState, response: &Response) -> bool {
    let transaction_ms = world.resource::<Settings>().sip.transaction_ms();
    match (at, response.status) {
        (TransactionState::Calling, 100..200) => {
            if !planted!(RetransmitsOn) {
                cancel_timer::<Retransmit>(world, transaction);
            }
            // If its session is over nothing would ever end the transaction: timer B goes on.
            let user = world.get::<Transaction>(transaction).and_then(|state| state.user.entity());
            if user.is_some_and(|user| world.get_entity(user).is_ok()) {
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
        state.user = Default::default();
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

/// Parses a request that we wrote ourselves.
pub(super) fn parse_own(bytes: &Bytes) -> Option<Request> {
    match parse_datagram(bytes.clone(), &Limits::default()) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    }
}
