//! Requests and responses that plugins handle: they are raised as facts. A request that nothing answers is refused
//! here.

use super::send::{count, refuse};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{FactQueue, InviteUsageOf, RequestReceived, ResponseReceived, Settings, contain};
use ringworld_components::kernel::{StableId, start_timer, take_fired};
use ringworld_components::sip::{IncomingRequest, InviteUsage, ResponseWait, Transaction, TransactionUser, UsageOf};
use ringworld_components::wire::sip::{Method, Response};
use std::time::Duration;

/// Raises a request. Its transaction waits for an operation that responds.
pub(super) fn raise_request(world: &mut World, incoming: IncomingRequest) {
    let IncomingRequest { transaction, flow, request, dialog, usage } = incoming;
    let user = match (usage, dialog) {
        (Some(usage), _) => TransactionUser::InviteUsage(usage),
        (None, Some(dialog)) => TransactionUser::InDialog(dialog),
        (None, None) => TransactionUser::OutOfDialog,
    };
    let Some(id) = world.get::<StableId>(transaction).copied() else { return };
    if let Some(mut state) = world.get_mut::<Transaction>(transaction) {
        state.user = user;
    }
    // Half of the time for which the peer waits (timer F), so that the refusal still reaches it.
    let wait_ms = world.resource::<Settings>().sip.transaction_ms() / 2;
    start_timer::<ResponseWait>(world, transaction, Duration::from_millis(wait_ms));
    let (session, entity) = session_of(world, user).unwrap_or((StableId(0), transaction));
    let dialog = dialog.and_then(|dialog| world.get::<StableId>(dialog).copied());
    let (method, uri) = (request.method.clone(), request.uri.as_bytes().clone());
    let (headers, body) = (request.head.all_headers(), request.head.body.clone());
    let fact = RequestReceived::of(session, entity, id, dialog, flow, method, uri, headers, body);
    world.resource_mut::<FactQueue>().raise(fact);
}

/// Requests that nothing has answered get 500. A 408 would be of no use: the peer's own timer says the same (RFC 4320
/// section 4.2).
pub(super) fn refuse_unanswered(world: &mut World) {
    for transaction in take_fired::<ResponseWait>(world) {
        contain(world, "refuse_unanswered", Some(transaction), |world| {
            count(world, |counters| counters.hit_limit("unanswered requests"));
            refuse(world, transaction, 500);
        });
    }
}

/// Raises a response to a request of ours.
pub(super) fn raise_response(world: &mut World, transaction: Entity, user: TransactionUser, response: &Response) {
    let Some(request) = world.get::<StableId>(transaction).copied() else { return };
    let (headers, body) = (response.head.all_headers(), response.head.body.clone());
    raise(world, request, user, response.head.cseq_method.clone(), response.status, headers, body);
}

/// Raises that there is no response.
pub(super) fn raise_failure(
    world: &mut World,
    request: StableId,
    user: TransactionUser,
    method: &Method,
    by_transport: bool,
) {
    let status = if by_transport { 503 } else { 408 };
    raise(world, request, user, method.clone(), status, Vec::new(), Bytes::new());
}

fn raise(
    world: &mut World,
    request: StableId,
    user: TransactionUser,
    method: Method,
    status: u16,
    headers: Vec<(String, Bytes)>,
    body: Bytes,
) {
    if matches!(method, Method::Invite | Method::Ack | Method::Bye | Method::Cancel) {
        return;
    }
    let (session, entity) = session_of(world, user).unwrap_or((StableId(0), Entity::PLACEHOLDER));
    let fact = ResponseReceived::of(session, entity, request, method, status, headers, body);
    world.resource_mut::<FactQueue>().raise(fact);
}

/// The session that a request belongs to, by its usage or its dialog.
fn session_of(world: &World, user: TransactionUser) -> Option<(StableId, Entity)> {
    let session = match user {
        TransactionUser::Session(session) => session,
        TransactionUser::InviteUsage(usage) => world.get::<InviteUsageOf>(usage)?.0,
        TransactionUser::Subscription(subscription) => {
            let dialog = world.get::<UsageOf>(subscription)?.0;
            world.get::<InviteUsageOf>(InviteUsage::of(world, dialog)?)?.0
        }
        TransactionUser::InDialog(dialog) => world.get::<InviteUsageOf>(InviteUsage::of(world, dialog)?)?.0,
        TransactionUser::None | TransactionUser::Registration | TransactionUser::OutOfDialog => return None,
    };
    Some((*world.get::<StableId>(session)?, session))
}
