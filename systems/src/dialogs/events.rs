//! What transactions pass on is matched to dialogs (RFC 3261 section 12.2).

use super::send::{count, refuse, refuse_with, respond, seed, tell};
use super::{failures, raised, responses};
use bevy_ecs::prelude::*;
use ringworld_components::call::{CallEvent, InviteUsageOf, Queue, Session, SessionState, contain};
use ringworld_components::edge::Flow;
use ringworld_components::kernel::cancel_timer;
use ringworld_components::planted;
use ringworld_components::sip::{
    AckWait, AnswerRetransmit, Capabilities, Dialog, DialogTable, IncomingRequest, InviteUsage, MethodScope,
    RequestHandler, ResponseParts, Subscription, TransactionEvent, Usages,
};
use ringworld_components::wire::sip::{Method, Request, Warning, dialog_key};

pub(super) fn take_transaction_events(world: &mut World) {
    for event in world.resource_mut::<Queue<TransactionEvent>>().take() {
        contain(world, "take_transaction_events", event.culprit(), |world| take(world, event));
    }
}

fn take(world: &mut World, event: TransactionEvent) {
    match event {
        TransactionEvent::Request { transaction, flow, request } => receive_request(world, transaction, flow, request),
        TransactionEvent::Ack { flow, request } => receive_ack(world, &flow, &request),
        TransactionEvent::Cancelled { invite } => tell(world, CallEvent::Cancelled { invite }),
        TransactionEvent::Response { transaction, method, user, flow, response } => {
            raised::raise_response(world, transaction, user, &response);
            responses::receive(world, &method, user, &flow, response);
        }
        TransactionEvent::Failed { transaction, method, user, by_transport } => {
            raised::raise_failure(world, transaction, user, &method, by_transport);
            failures::request_failed(world, &method, user, by_transport);
        }
        TransactionEvent::ForkingOver { session } => responses::forget_other_forks(world, session),
    }
}

fn receive_request(world: &mut World, transaction: Entity, flow: Flow, request: Box<Request>) {
    let found = match &request.head.to.tag {
        None => None,
        Some(to_tag) => {
            let from_tag = request.head.from.tag.clone().unwrap_or_default();
            let key = dialog_key(&request.head.call_id, to_tag, &from_tag, seed(world));
            match world.resource::<DialogTable>().find(key).filter(|dialog| is_live(world, *dialog)) {
                Some(dialog) => Some(dialog),
                None => return refuse(world, transaction, status_without_dialog(world, &request.method)),
            }
        }
    };
    match found {
        Some(dialog) => receive_in_dialog(world, dialog, transaction, flow, request),
        None => {
            let handler = world.resource::<Capabilities>().method(&request.method).and_then(|it| it.out_of_dialog);
            match handler {
                Some(handler) => {
                    if understands(world, transaction, &request) {
                        let incoming = IncomingRequest { transaction, flow, request, dialog: None, usage: None };
                        hand_over(world, handler, incoming);
                    }
                }
                None => refuse(world, transaction, status_without_dialog(world, &request.method)),
            }
        }
    }
}

/// Section 12.2.2.
fn receive_in_dialog(world: &mut World, dialog: Entity, transaction: Entity, flow: Flow, request: Box<Request>) {
    let Some(mut state) = world.get_mut::<Dialog>(dialog) else { return };
    if !state.accepts_cseq(&request.method, request.head.cseq) {
        return refuse(world, transaction, 500);
    }
    let known = world.resource::<Capabilities>().method(&request.method);
    let Some((scope, handler)) = known.and_then(|known| Some((known.scope, known.in_dialog?))) else {
        return refuse(world, transaction, status_of_unsupported(&request.method));
    };
    let usage = live_usage(world, dialog);
    let has_usage = match scope {
        MethodScope::InviteUsage => usage.is_some(),
        MethodScope::Subscription => has_subscription(world, dialog),
        MethodScope::Dialog => true,
    };
    if !has_usage {
        return refuse(world, transaction, 481);
    }
    // A BYE ends the usage, whatever it requires.
    if request.method == Method::Bye || understands(world, transaction, &request) {
        hand_over(world, handler, IncomingRequest { transaction, flow, request, dialog: Some(dialog), usage });
    }
}

fn hand_over(world: &mut World, handler: RequestHandler, incoming: IncomingRequest) {
    match handler {
        RequestHandler::Run(run) => run(world, incoming),
        RequestHandler::Raise => raised::raise_request(world, incoming),
    }
}

/// The INVITE usage of a dialog. One whose session has ended and is only there to be looked at for another tick does
/// not count: it went with the BYE (section 15).
fn live_usage(world: &World, dialog: Entity) -> Option<Entity> {
    let usage = InviteUsage::of(world, dialog)?;
    let session = world.get::<Session>(world.get::<InviteUsageOf>(usage)?.0)?;
    (session.state() != SessionState::Terminated).then_some(usage)
}

fn has_subscription(world: &World, dialog: Entity) -> bool {
    let usages = world.get::<Usages>(dialog).map(|usages| usages.iter()).into_iter().flatten();
    usages.into_iter().any(|usage| world.get::<Subscription>(usage).is_some())
}

/// Whether a dialog has a usage that has not ended.
fn is_live(world: &World, dialog: Entity) -> bool {
    live_usage(world, dialog).is_some() || has_subscription(world, dialog)
}

/// The status for a request that names, or needs, a dialog that we don't have.
fn status_without_dialog(world: &World, method: &Method) -> u16 {
    match world.resource::<Capabilities>().method(method) {
        Some(_) => 481,
        None => status_of_unsupported(method),
    }
}

/// Section 8.2.1: a method that exists but that we don't do is 405, one that we don't know 501.
fn status_of_unsupported(method: &Method) -> u16 {
    if let Method::Other(_) = method { 501 } else { 405 }
}

/// Sections 8.2.2.3 and 8.2.3: extensions that are required, and bodies, that we don't understand are refused.
fn understands(world: &mut World, transaction: Entity, request: &Request) -> bool {
    let capabilities = world.resource::<Capabilities>();
    let unknown: Vec<_> = request.head.require().into_iter().filter(|tag| !capabilities.supports(tag)).collect();
    if !unknown.is_empty() {
        let names: Vec<_> = unknown.iter().map(|name| String::from_utf8_lossy(name)).collect();
        respond(world, transaction, 420, &ResponseParts::with("Unsupported", names.join(", ")));
        return false;
    }
    let Some(method) = capabilities.method(&request.method) else { return true };
    let refusal = if method.carries_sessions() {
        request.head.session_description().err()
    } else if method.accept.is_empty() || request.head.header("Info-Package").is_some() {
        // The body of an Info Package is for its handler to understand (RFC 6086 section 7).
        None
    } else {
        request.head.has_body(|kind| method.accepts(kind)).err()
    };
    if let Some(refusal) = refusal {
        tracing::debug!(%refusal, "a body was refused");
        refuse_with(world, transaction, refusal.status(), Some(&Warning::miscellaneous(refusal.to_string())));
    }
    refusal.is_none()
}

/// The ACK for a 2xx of ours ends its retransmission.
fn receive_ack(world: &mut World, flow: &Flow, request: &Request) {
    let head = &request.head;
    let (to_tag, from_tag) = (head.to.tag.clone().unwrap_or_default(), head.from.tag.clone().unwrap_or_default());
    let key = dialog_key(&head.call_id, &to_tag, &from_tag, seed(world));
    let dialog = world.resource::<DialogTable>().find(key);
    let Some((dialog, usage)) = dialog.and_then(|dialog| Some((dialog, InviteUsage::of(world, dialog)?))) else {
        return count(world, |counters| counters.drop_message("ACK to nothing"));
    };
    let unacked = world.get_mut::<InviteUsage>(usage).and_then(|mut state| {
        let is_awaited = state.unacked.as_ref().is_some_and(|answer| answer.cseq == head.cseq);
        if is_awaited && !planted!(UnmatchedAck) { state.unacked.take() } else { None }
    });
    let Some(unacked) = unacked else {
        return count(world, |counters| counters.retransmissions_received += 1);
    };
    cancel_timer::<AnswerRetransmit>(world, usage);
    cancel_timer::<AckWait>(world, usage);
    if let Some(mut dialog) = world.get_mut::<Dialog>(dialog)
        && dialog.target.conn != flow.conn
        && dialog.target.transport == flow.transport
        && dialog.target.remote == flow.remote
    {
        dialog.target.conn = flow.conn;
    }
    let body = head.session_description().unwrap_or_default();
    tell(world, CallEvent::Acked { usage, body, then_bye: unacked.then_bye });
}
