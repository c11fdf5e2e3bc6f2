//! Server transactions (RFC 3261 section 17.2): every message that arrives passes here first.

use super::client;
use super::requests::{FreshInvite, respond};
use super::send::{count, linger, mint, seed, send, send_again};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{Queue, Settings, contain};
use ringworld_components::edge::{Flow, Target};
use ringworld_components::kernel::{StableId, StableIds};
use ringworld_components::planted;
use ringworld_components::sip::{
    Dialog, ResponseParts, SipReceived, Transaction, TransactionEvent, TransactionKind, TransactionState,
    TransactionTable, TransactionUser, UsageOf,
};
use ringworld_components::wire::sip::{
    Malformed, Message, Method, Request, ResponseTemplate, cancelled_invite_key, merge_key, reason_phrase,
    response_target, server_key,
};

pub(super) fn receive_messages(world: &mut World) {
    for received in world.resource_mut::<Queue<SipReceived>>().take() {
        // A message that panics is dropped before it reached a call.
        contain(world, "receive_messages", None, |world| match *received.message {
            Ok(Message::Request(request)) => receive_request(world, received.flow, request),
            Ok(Message::Response(response)) => client::receive_response(world, received.flow, response),
            Err(malformed) => refuse_malformed(world, &received.flow, &malformed),
        });
    }
}

fn refuse_malformed(world: &mut World, flow: &Flow, malformed: &Malformed) {
    count(world, |counters| counters.drop_message(malformed.reason.as_str()));
    if let Some(refusal) = &malformed.response {
        // Without a state, the same request must get the same tag again (section 8.2.7).
        let bytes = refusal.write(flow.remote, &stateless_tag(world, refusal.key(seed(world))));
        let remote = refusal.target(flow.remote, flow.transport.is_reliable());
        tracing::debug!(status = refusal.status, phrase = refusal.phrase, %remote, "a malformed request was refused");
        count(world, |counters| *counters.responses_sent.entry(refusal.status).or_default() += 1);
        send(world, Target { transport: flow.transport, remote, conn: flow.conn }, bytes, StableId(0));
    }
}

/// A To tag made of a request's keyed hash.
fn stateless_tag(world: &World, key: u128) -> String {
    format!("rw{:02x}{key:x}", world.resource::<StableIds>().world())
}

fn receive_request(world: &mut World, flow: Flow, request: Request) {
    count(world, |counters| {
        let method = if let Method::Other(_) = request.method { "other" } else { request.method.as_str() };
        match counters.requests_received.get_mut(method) {
            Some(number) => *number += 1,
            None => {
                counters.requests_received.insert(method.to_owned(), 1);
            }
        }
    });
    match request.method {
        Method::Ack => return receive_ack(world, flow, request),
        Method::Cancel => return receive_cancel(world, &flow, &request),
        _ => {}
    }
    let key = server_key(&request, seed(world));
    if let Some(transaction) = world.resource::<TransactionTable>().find(key)
        && !planted!(RetransmissionIsNew)
    {
        count(world, |counters| counters.retransmissions_received += 1);
        return send_again(world, transaction);
    }
    let is_initial = request.head.to.tag.is_none();
    let merged = is_initial.then(|| merge_key(&request, seed(world)));
    let is_merged = merged.is_some_and(|key| world.resource::<TransactionTable>().find_merged(key).is_some());
    let merge_key = if is_merged { None } else { merged };
    let Some(transaction) = begin(world, &flow, &request, key, merge_key) else { return };
    if is_merged {
        // Section 8.2.2.2: the same request came by another path; the first one is being handled.
        return respond(world, transaction, 482, &ResponseParts::default());
    }
    let event = TransactionEvent::Request { transaction, flow, request: Box::new(request) };
    world.resource_mut::<Queue<TransactionEvent>>().push(event);
}

/// Section 17.2.1: an ACK for a final response other than 2xx ends here; one for a 2xx is passed on.
fn receive_ack(world: &mut World, flow: Flow, request: Request) {
    let key = server_key(&request, seed(world));
    let transaction = world.resource::<TransactionTable>().find(key);
    if let Some(transaction) = transaction
        && let Some(mut state) = world.get_mut::<Transaction>(transaction)
    {
        match state.state {
            TransactionState::Completed => {
                state.state = TransactionState::Confirmed;
                state.last = Bytes::new();
                let is_reliable = state.target.transport.is_reliable();
                let t4_ms = world.resource::<Settings>().sip.t4_ms;
                return linger(world, transaction, if is_reliable { 0 } else { u64::from(t4_ms) });
            }
            TransactionState::Accepted => {}
            _ => return,
        }
    }
    world.resource_mut::<Queue<TransactionEvent>>().push(TransactionEvent::Ack { flow, request: Box::new(request) });
}

/// Section 9.2.
fn receive_cancel(world: &mut World, flow: &Flow, request: &Request) {
    let key = server_key(request, seed(world));
    if let Some(transaction) = world.resource::<TransactionTable>().find(key) {
        count(world, |counters| counters.retransmissions_received += 1);
        return send_again(world, transaction);
    }
    let invite_key = cancelled_invite_key(request, seed(world));
    let invite = world.resource::<TransactionTable>().find(invite_key);
    let Some(transaction) = begin(world, flow, request, key, None) else { return };
    let Some(invite) = invite else {
        return respond(world, transaction, 481, &ResponseParts::default());
    };
    let state = world.get::<Transaction>(invite).map(|invite| (invite.state, invite.user));
    let to_tag = state.and_then(|(_, user)| tag_of(world, user));
    respond(world, transaction, 200, &ResponseParts { to_tag, ..Default::default() });
    if let Some((TransactionState::Proceeding, _)) = state {
        world.resource_mut::<Queue<TransactionEvent>>().push(TransactionEvent::Cancelled { invite });
    }
}

/// Our tag in the dialog of an INVITE.
fn tag_of(world: &World, user: TransactionUser) -> Option<Bytes> {
    let TransactionUser::InviteUsage(usage) = user else { return None };
    world.get::<Dialog>(world.get::<UsageOf>(usage)?.0).map(|dialog| dialog.local_tag.clone())
}

/// Begins a server transaction; past the limit the request is refused without one.
fn begin(world: &mut World, flow: &Flow, request: &Request, key: u128, merge_key: Option<u128>) -> Option<Entity> {
    let head = ResponseTemplate::of(request, flow.remote);
    let remote = response_target(request, flow.remote, flow.transport.is_reliable());
    let target = Target { transport: flow.transport, remote, conn: flow.conn };
    let limits = &world.resource::<Settings>().limits;
    if world.resource::<TransactionTable>().len() >= limits.transactions as usize {
        let retry_after = limits.retry_after_s.to_string();
        let tag = stateless_tag(world, key);
        let tag = planted!(TaglessRefusal ? None, Some(tag.as_str()));
        let bytes = head.write(503, reason_phrase(503), tag, false, &[("Retry-After", &retry_after)], None);
        count(world, |counters| {
            counters.hit_limit("transactions");
            *counters.responses_sent.entry(503).or_default() += 1;
        });
        send(world, target, bytes, StableId(0));
        return None;
    }
    let is_invite = request.method == Method::Invite;
    let transaction = Transaction {
        kind: if is_invite { TransactionKind::InviteServer } else { TransactionKind::NonInviteServer },
        state: if is_invite { TransactionState::Proceeding } else { TransactionState::Trying },
        key,
        merge_key,
        target,
        interval_ms: 0,
        last: Bytes::new(),
        head: Some(head),
        method: request.method.clone(),
        user: TransactionUser::None,
    };
    let id = mint(world);
    let transaction = world.spawn((id, transaction)).id();
    if is_invite {
        world.resource_mut::<Queue<FreshInvite>>().push(FreshInvite(transaction));
    }
    Some(transaction)
}
