//! Requests of plugins are checked and handed to dialogs; their responses to transactions.

use super::state::{error, error_without_session, selected_usage};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{CallError, CallErrorCause, Counters, Queue, SessionMessage, Settings};
use ringworld_components::edge::{RequestTarget, SendRequest};
use ringworld_components::kernel::{StableId, StableIds, TimerWheel, cancel_timer};
use ringworld_components::sip::{
    Capabilities, Dialog, MethodScope, ResponseParts, ResponseWait, Subscription, TransactionRequest, TransactionTable,
    TransactionUser, may_add_header,
};
use ringworld_components::wire::sip::{Method, Uri};

/// Answers a request that was raised as a fact.
pub(super) fn respond(
    world: &mut World,
    id: StableId,
    status: u16,
    headers: &[(String, String)],
    body: Option<&(String, Bytes)>,
) -> Result<StableId, CallError> {
    let invalid =
        |world: &World, what: String| Err(error_without_session(world, StableId(0), CallErrorCause::Invalid(what)));
    let waits = |transaction: &Entity| world.resource::<TimerWheel<ResponseWait>>().deadline(*transaction).is_some();
    let Some(transaction) = world.resource::<StableIds>().find(id).filter(waits) else {
        return invalid(world, format!("no request waits for a response under {id}"));
    };
    if !(200..700).contains(&status) {
        return invalid(world, format!("{status} is no final status"));
    }
    if let Some(what) = unfit_header(headers) {
        return invalid(world, what);
    }
    let mut parts = ResponseParts::default();
    for (name, value) in headers {
        parts.add(name.as_str(), value.as_str());
    }
    parts.body = body.map(|(kind, octets)| (kind.as_str(), octets.as_ref()));
    let response = TransactionRequest::response(world, transaction, status, &parts);
    cancel_timer::<ResponseWait>(world, transaction);
    if let Some(response) = response {
        world.resource_mut::<Queue<TransactionRequest>>().push(response);
    }
    Ok(id)
}

/// Checks a request and has it sent. The result is its name.
pub(super) fn send(
    world: &mut World,
    session: Option<Entity>,
    request: Box<SendRequest>,
) -> Result<StableId, CallError> {
    match user_of(world, session, &request).and_then(|user| check(world, &request).map(|()| user)) {
        Ok(user) => {
            let id = world.resource_mut::<StableIds>().mint();
            let message = SessionMessage::Request { id, user, request };
            world.resource_mut::<Queue<SessionMessage>>().push(message);
            Ok(id)
        }
        Err(cause) => {
            if let CallErrorCause::Limit(limit) = &cause {
                world.resource_mut::<Counters>().hit_limit(limit);
            }
            Err(match session {
                Some(session) => error(world, session, cause),
                None => error_without_session(world, StableId(0), cause),
            })
        }
    }
}

/// What the request belongs to.
fn user_of(world: &World, session: Option<Entity>, request: &SendRequest) -> Result<TransactionUser, CallErrorCause> {
    let find = |id: StableId| world.resource::<StableIds>().find(id);
    let gone = |what: &str, id: StableId| CallErrorCause::Invalid(format!("there is no {what} {id}"));
    match &request.target {
        RequestTarget::Session(_) => {
            let usage = session.and_then(|session| selected_usage(world, session));
            let usage = usage.ok_or_else(|| CallErrorCause::Invalid("the session has no dialog yet".to_owned()))?;
            let method = world.resource::<Capabilities>().method(&request.method);
            if method.is_none_or(|method| method.scope == MethodScope::InviteUsage) {
                return Ok(TransactionUser::InviteUsage(usage));
            }
            let dialog = world.get::<ringworld_components::sip::UsageOf>(usage).map(|of| of.0);
            dialog.map(TransactionUser::InDialog).ok_or_else(|| gone("dialog of usage", StableId(0)))
        }
        RequestTarget::Dialog(id) => {
            let dialog = find(*id).filter(|dialog| world.get::<Dialog>(*dialog).is_some());
            dialog.map(TransactionUser::InDialog).ok_or_else(|| gone("dialog", *id))
        }
        RequestTarget::Subscription(id) => {
            let subscription = find(*id).filter(|entity| world.get::<Subscription>(*entity).is_some());
            subscription.map(TransactionUser::Subscription).ok_or_else(|| gone("subscription", *id))
        }
        RequestTarget::Address { from, to, .. } => match unfit_uri(from).or_else(|| unfit_uri(to)) {
            Some(what) => Err(CallErrorCause::Invalid(what)),
            None => Ok(TransactionUser::OutOfDialog),
        },
    }
}

/// What is wrong with a URI that a request is to name as its sender or its target.
pub(super) fn unfit_uri(text: &str) -> Option<String> {
    let is_legal = text.starts_with("sip:") && !text.contains(|c: char| c.is_control() || " <>\"".contains(c));
    if !is_legal {
        return Some(format!("{text:?} is not a SIP URI"));
    }
    let asks_for_tls = Uri::parse(Bytes::copy_from_slice(text.as_bytes())).is_ok_and(|uri| !uri.is_in_the_clear());
    asks_for_tls.then(|| format!("{text:?} asks for another transport than UDP and TCP"))
}

fn check(world: &World, request: &SendRequest) -> Result<(), CallErrorCause> {
    if matches!(request.method, Method::Invite | Method::Ack | Method::Bye | Method::Cancel) {
        return Err(CallErrorCause::Invalid(format!("{} is not sent by this operation", request.method)));
    }
    if let Some(what) = unfit_header(&request.headers) {
        return Err(CallErrorCause::Invalid(what));
    }
    let transactions_max = world.resource::<Settings>().limits.transactions as usize;
    if world.resource::<TransactionTable>().len() >= transactions_max {
        return Err(CallErrorCause::Limit("transactions".to_owned()));
    }
    Ok(())
}

fn unfit_header(headers: &[(String, String)]) -> Option<String> {
    let unfit = headers.iter().find(|(name, _)| !may_add_header(name))?;
    Some(format!("{:?} is a header field that can't be added", unfit.0))
}
