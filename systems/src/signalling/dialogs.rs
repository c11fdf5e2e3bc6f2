//! What transactions let through meets dialogs (RFC 3261 sections 12 to 15).

use super::send::{cancel_timer, count, mint, public_address, seed, send};
use super::{in_dialog, out_of_dialog, signals};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    AckWait, AnswerRetransmit, CallEvent, Dialog, DialogOf, DialogState, DialogTable, Dialogs, Leg, Queue, SentAck,
    Settings, TransactionEvent, UnackedAnswer, contain,
};
use ringworld_components::edge::Flow;
use ringworld_components::kernel::StableId;
use ringworld_components::planted;
use ringworld_components::wire::sip::{Method, Request, Response, dialog_key};

pub(super) fn take_transaction_events(world: &mut World) {
    for event in world.resource_mut::<Queue<TransactionEvent>>().take() {
        contain(world, "take_transaction_events", event.culprit(), |world| take(world, event));
    }
}

fn take(world: &mut World, event: TransactionEvent) {
    match event {
        TransactionEvent::Request { transaction, flow, request } => {
            receive_request(world, transaction, flow, request);
        }
        TransactionEvent::Ack { flow, request } => receive_ack(world, &flow, &request),
        TransactionEvent::Cancelled { invite } => tell(world, CallEvent::Cancelled { invite }),
        TransactionEvent::Response { is_invite: true, owner: Some(leg), flow, response } => {
            receive_invite_response(world, leg, &flow, response);
        }
        TransactionEvent::Response { is_invite: false, owner: Some(dialog), response, .. } => {
            if response.status >= 200 && response.head.cseq_method == Method::Bye {
                tell(world, CallEvent::ByeDone { dialog });
            }
        }
        TransactionEvent::Response { .. } => {}
        TransactionEvent::Failed { is_invite: true, owner: Some(leg), by_transport } => {
            let status = if by_transport { 503 } else { 408 };
            tell(world, CallEvent::Refused { leg, status, by_transport });
        }
        TransactionEvent::Failed { is_invite: false, owner: Some(dialog), .. } => {
            if world.get::<Dialog>(dialog).is_some() {
                tell(world, CallEvent::ByeDone { dialog });
            }
        }
        TransactionEvent::Failed { .. } => {}
    }
}

pub(super) fn tell(world: &mut World, event: CallEvent) {
    world.resource_mut::<Queue<CallEvent>>().push(event);
}

fn receive_request(world: &mut World, transaction: Entity, flow: Flow, request: Box<Request>) {
    let Some(to_tag) = request.head.to.tag.clone() else {
        return out_of_dialog::receive(world, transaction, flow, request);
    };
    let from_tag = request.head.from.tag.clone().unwrap_or_default();
    let key = dialog_key(&request.head.call_id, &to_tag, &from_tag, seed(world));
    match world.resource::<DialogTable>().find(key) {
        Some(dialog) => in_dialog::receive(world, dialog, transaction, flow, request),
        None => super::respond::refuse(world, transaction, out_of_dialog::status_without_dialog(&request.method)),
    }
}

/// The ACK for a 2xx of ours ends its retransmission.
fn receive_ack(world: &mut World, flow: &Flow, request: &Request) {
    let head = &request.head;
    let (to_tag, from_tag) = (head.to.tag.clone().unwrap_or_default(), head.from.tag.clone().unwrap_or_default());
    let key = dialog_key(&head.call_id, &to_tag, &from_tag, seed(world));
    let Some(dialog) = world.resource::<DialogTable>().find(key) else {
        return count(world, |counters| counters.drop_message("ACK to nothing"));
    };
    let is_awaited =
        !planted!(UnmatchedAck) && world.get::<UnackedAnswer>(dialog).is_some_and(|answer| answer.cseq == head.cseq);
    if !is_awaited {
        return count(world, |counters| counters.retransmissions_received += 1);
    }
    cancel_timer::<AnswerRetransmit>(world, dialog);
    cancel_timer::<AckWait>(world, dialog);
    let Some(answer) = world.get_entity_mut(dialog).ok().and_then(|mut dialog| dialog.take::<UnackedAnswer>()) else {
        return;
    };
    if let Some(mut dialog) = world.get_mut::<Dialog>(dialog)
        && dialog.target.conn != flow.conn
        && dialog.target.transport == flow.transport
        && dialog.target.remote == flow.remote
    {
        dialog.target.conn = flow.conn;
    }
    let UnackedAnswer { expects_answer, then_bye, .. } = answer;
    let body = head.session_description().ok().flatten().unwrap_or_default();
    tell(world, CallEvent::Acked { dialog, body, then_bye, expects_answer });
}

/// Sections 13.2.2 and 12.1.2.
fn receive_invite_response(world: &mut World, leg: Entity, flow: &Flow, response: Box<Response>) {
    let Some(state) = world.get::<Leg>(leg) else { return };
    let awaited = state.outgoing.as_ref().is_some_and(|outgoing| outgoing.cseq == response.head.cseq);
    match response.status {
        100..200 if awaited => {
            if response.head.to.tag.is_some() {
                let _ = find_or_fork(world, leg, flow, &response);
            }
            let cancel = mark_provisional(world, leg);
            if cancel {
                signals::send_cancel(world, leg);
            }
            tell(world, CallEvent::Progressed { leg, response });
        }
        200..300 => accept(world, leg, flow, response),
        300.. if awaited => tell(world, CallEvent::Refused { leg, status: response.status, by_transport: false }),
        _ => {}
    }
}

/// A CANCEL may only be sent once a provisional response has come (section 9.1); says whether one is waiting.
fn mark_provisional(world: &mut World, leg: Entity) -> bool {
    let Some(mut leg) = world.get_mut::<Leg>(leg) else { return false };
    let Some(outgoing) = leg.outgoing.as_mut() else { return false };
    let was_first = !std::mem::replace(&mut outgoing.provisional, true);
    was_first && outgoing.cancel
}

/// A 2xx: makes or confirms a dialog, is acknowledged, and each time it comes again so is the ACK.
fn accept(world: &mut World, leg: Entity, flow: &Flow, response: Box<Response>) {
    let cseq = response.head.cseq;
    let dialog = match find_or_fork(world, leg, flow, &response) {
        Ok(dialog) => dialog,
        Err(fork) => return turn_down(world, leg, *fork, cseq),
    };
    if let Some(ack) = world.get::<SentAck>(dialog).filter(|ack| ack.cseq == cseq) {
        let (target, bytes) = (ack.target, ack.bytes.clone());
        count(world, |counters| counters.retransmissions_received += 1);
        return send(world, target, bytes, StableId(0));
    }
    if let Some(mut state) = world.get_mut::<Dialog>(dialog) {
        state.confirm(&response.head, flow);
    }
    signals::send_ack(world, dialog, cseq);
    let Some(state) = world.get::<Leg>(leg) else { return };
    let awaited = state.outgoing.as_ref().filter(|outgoing| outgoing.cseq == cseq);
    match awaited.map(|outgoing| outgoing.cancel) {
        Some(false) if state.dialog.is_none_or(|first| first == dialog) => {
            tell(world, CallEvent::Accepted { leg, dialog, response });
        }
        cancelled => {
            // Another fork answered first, or the call was cancelled meanwhile (sections 13.2.2.4 and 9.1).
            signals::send_bye(world, dialog);
            if cancelled == Some(true) {
                tell(world, CallEvent::Refused { leg, status: 487, by_transport: false });
            }
        }
    }
}

/// A 2xx for whose dialog there is no room. Where no other fork has answered the call has come to nothing.
fn turn_down(world: &mut World, leg: Entity, fork: Dialog, cseq: u32) {
    if let Some(&id) = world.get::<StableId>(leg) {
        signals::turn_down(world, id, fork, cseq);
    }
    let is_confirmed = |dialog| world.get::<Dialog>(dialog).is_some_and(|it| it.state == DialogState::Confirmed);
    let has_answered = world.get::<Dialogs>(leg).is_some_and(|dialogs| dialogs.iter().any(is_confirmed));
    let outgoing = world.get::<Leg>(leg).and_then(|leg| leg.outgoing.as_ref());
    if !has_answered && outgoing.is_some_and(|outgoing| outgoing.cseq == cseq) {
        tell(world, CallEvent::Refused { leg, status: 503, by_transport: false });
    }
}

/// The dialog of a response; a response with a new tag makes one, up to the limit of forks. The error is one beyond it.
fn find_or_fork(world: &mut World, leg: Entity, flow: &Flow, response: &Response) -> Result<Entity, Box<Dialog>> {
    let address = public_address(world, flow);
    let dialog = Dialog::as_uac(response, flow, address, seed(world));
    if let Some(found) = world.resource::<DialogTable>().find(dialog.key) {
        return Ok(found);
    }
    let limits = &world.resource::<Settings>().limits;
    let forks = world.get::<Dialogs>(leg).map_or(0, |dialogs| dialogs.len());
    if forks >= limits.forks as usize || world.resource::<DialogTable>().len() >= limits.dialogs as usize {
        count(world, |counters| counters.hit_limit("forks or dialogs"));
        return Err(Box::new(dialog));
    }
    let id = mint(world);
    Ok(world.spawn((id, dialog, DialogOf(leg))).id())
}
