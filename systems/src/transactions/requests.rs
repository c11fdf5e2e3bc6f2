//! What dialogs, sessions and the registrar want sent (RFC 3261 sections 17.1.1, 17.2, 9.1).

use super::client::{parse_own, with_tag};
use super::send::{count, linger, mint, send, start};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{Queue, Settings, contain};
use ringworld_components::kernel::{StableId, TimerWheel, cancel_timer};
use ringworld_components::planted;
use ringworld_components::sip::{
    ClientRequest, Lifetime, ResponseParts, ResponseWait, Retransmit, Transaction, TransactionKind, TransactionRequest,
    TransactionState,
};
use ringworld_components::wire::sip::{Method, OutgoingRequest, ResponseTemplate};

/// An INVITE that arrived in this tick: it gets a 100 if nothing else is sent for it (section 17.2.1).
#[derive(Debug)]
pub(super) struct FreshInvite(pub Entity);

pub(super) fn carry_out_transaction_requests(world: &mut World) {
    for request in world.resource_mut::<Queue<TransactionRequest>>().take() {
        contain(world, "carry_out_transaction_requests", Some(request.culprit()), |world| match request {
            TransactionRequest::Respond { transaction, status, bytes } => {
                send_response(world, transaction, status, bytes)
            }
            TransactionRequest::Begin { transaction } => begin(world, transaction),
            TransactionRequest::Cancel { invite } => cancel(world, invite),
            TransactionRequest::Abandon { invite } => give_up_later(world, invite),
        });
    }
    for FreshInvite(transaction) in world.resource_mut::<Queue<FreshInvite>>().take() {
        let is_silent = world
            .get::<Transaction>(transaction)
            .is_some_and(|invite| invite.state == TransactionState::Proceeding && invite.last.is_empty());
        if is_silent {
            respond(world, transaction, 100, &ResponseParts::default());
        }
    }
}

/// Writes a response and sends it at once.
pub(super) fn respond(world: &mut World, transaction: Entity, status: u16, parts: &ResponseParts<'_>) {
    if let Some(TransactionRequest::Respond { transaction, status, bytes }) =
        TransactionRequest::response(world, transaction, status, parts)
    {
        send_response(world, transaction, status, bytes);
    }
}

/// Section 17.2. Nothing happens if the transaction has had its final response.
fn send_response(world: &mut World, transaction: Entity, status: u16, bytes: Bytes) {
    let sip = &world.resource::<Settings>().sip;
    let (t1_ms, transaction_ms) = (sip.t1_ms, sip.transaction_ms());
    let Some(id) = world.get::<StableId>(transaction).copied() else { return };
    let Some(mut state) = world.get_mut::<Transaction>(transaction).filter(|state| state.head.is_some()) else {
        return;
    };
    let (target, is_reliable) = (state.target, state.target.transport.is_reliable());
    let is_invite = state.kind == TransactionKind::InviteServer;
    if status >= 300 {
        let call_id = state.head.as_ref().and_then(ResponseTemplate::call_id).unwrap_or_default();
        let (method, remote) = (state.method.as_str(), target.remote);
        tracing::debug!(method, status, call_id, %remote, "a request was refused");
    }
    state.last = bytes.clone();
    if status < 200 {
        state.state = TransactionState::Proceeding;
    } else {
        state.head = None;
        state.user = Default::default();
        state.interval_ms = t1_ms;
        match (is_invite, status < 300) {
            (true, true) => {
                // RFC 6026: the transaction only absorbs retransmissions of the INVITE; the 2xx is the dialog's.
                state.state = TransactionState::Accepted;
                state.last = Bytes::new();
                start::<Lifetime>(world, transaction, transaction_ms);
            }
            (true, false) => {
                state.state = TransactionState::Completed;
                if !is_reliable {
                    start::<Retransmit>(world, transaction, u64::from(t1_ms));
                }
                start::<Lifetime>(world, transaction, transaction_ms);
            }
            (false, _) => {
                state.state = TransactionState::Completed;
                cancel_timer::<ResponseWait>(world, transaction);
                linger(world, transaction, if is_reliable { 0 } else { transaction_ms });
            }
        }
    }
    count(world, |counters| *counters.responses_sent.entry(status).or_default() += 1);
    send(world, target, bytes, id);
}

/// Sends the request of a client transaction.
fn begin(world: &mut World, transaction: Entity) {
    let transaction_ms = world.resource::<Settings>().sip.transaction_ms();
    let Some(id) = world.get::<StableId>(transaction).copied() else { return };
    let Some(state) = world.get::<Transaction>(transaction) else { return };
    let (target, bytes, interval_ms) = (state.target, state.last.clone(), state.interval_ms);
    if !target.transport.is_reliable() {
        start::<Retransmit>(world, transaction, u64::from(interval_ms));
    }
    start::<Lifetime>(world, transaction, transaction_ms);
    send(world, target, bytes, id);
}

/// Section 9.1: with what the INVITE said, taken from the INVITE itself.
fn cancel(world: &mut World, invite_transaction: Entity) {
    let Some(invite) = world.get::<Transaction>(invite_transaction) else { return };
    let (target, user) = (invite.target, invite.user);
    let Some(invite) = parse_own(&invite.last) else { return };
    let head = &invite.head;
    let branch = String::from_utf8_lossy(head.via.branch.as_deref().unwrap_or_default()).into_owned();
    let host = String::from_utf8_lossy(&head.via.host);
    let sent_by = head.via.port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
    let bytes = OutgoingRequest {
        method: &Method::Cancel,
        uri: invite.uri.as_bytes(),
        via_transport: target.transport.as_str(),
        via_sent_by: &sent_by,
        branch: &branch,
        from: &with_tag(&head.from),
        to: &with_tag(&head.to),
        call_id: &head.call_id,
        cseq: head.cseq,
        max_forwards: 70,
        route: &head.route(),
        contact: None,
        extra: &[],
        body: None,
    }
    .write();
    let request = ClientRequest { method: Method::Cancel, branch, target, cseq: head.cseq, bytes };
    let (t1_ms, seed) = (world.resource::<Settings>().sip.t1_ms, super::send::seed(world));
    let id = mint(world);
    let transaction = world.spawn((id, Transaction::client(request, user, t1_ms, seed))).id();
    begin(world, transaction);
    give_up_later(world, invite_transaction);
}

/// Section 9.1: an INVITE that has no final response 64*T1 after its CANCEL never gets one. Without this its
/// transaction would wait for ever, because a provisional response stops timer B.
fn give_up_later(world: &mut World, invite: Entity) {
    let is_open = world.get::<Transaction>(invite).is_some_and(|invite| invite.state == TransactionState::Proceeding);
    if is_open && !planted!(InviteStays) && world.resource::<TimerWheel<Lifetime>>().deadline(invite).is_none() {
        let transaction_ms = world.resource::<Settings>().sip.transaction_ms();
        start::<Lifetime>(world, invite, transaction_ms);
    }
}
