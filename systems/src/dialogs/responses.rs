//! Responses to requests of ours (RFC 3261 sections 12.1.2, 13.2.2 and 15.1.1).

use super::send::{ask, count, mint, seed, send, tell};
use super::{failures, messages};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallEvent, InviteUsageOf, InviteUsages, Negotiation, PendingInvite, SelectedUsage, SentInvite, Settings,
};
use ringworld_components::edge::Flow;
use ringworld_components::kernel::StableId;
use ringworld_components::sip::{
    Dialog, DialogState, DialogTable, InviteUsage, TransactionRequest, TransactionUser, UsageOf,
};
use ringworld_components::wire::sip::{Method, Response};

/// A response that its transaction let through.
pub(super) fn receive(world: &mut World, method: &Method, user: TransactionUser, flow: &Flow, response: Box<Response>) {
    match (method, user) {
        (Method::Invite, TransactionUser::Session(session)) => receive_for_invite(world, session, user, flow, response),
        (Method::Invite, TransactionUser::InviteUsage(usage)) => {
            if let Some(session) = world.get::<InviteUsageOf>(usage).map(|of| of.0) {
                receive_for_invite(world, session, user, flow, response);
            }
        }
        (_, _) if response.status < 200 => {}
        (Method::Bye, TransactionUser::InviteUsage(usage)) => tell(world, CallEvent::ByeDone { usage }),
        (_, user) if response.status >= 300 => failures::request_refused(world, method, user, response.status),
        _ => {}
    }
}

/// Sections 13.2.2 and 12.1.2.
fn receive_for_invite(world: &mut World, session: Entity, user: TransactionUser, flow: &Flow, response: Box<Response>) {
    let Some(pending) = world.get::<PendingInvite>(session) else { return };
    let awaited = pending.sent().is_some_and(|sent| sent.cseq == response.head.cseq);
    match response.status {
        100..200 if awaited => {
            let has_dialog = response.head.to.tag.is_some();
            let usage = if has_dialog { find_or_fork(world, session, flow, &response).ok() } else { None };
            if let Some(invite) = mark_provisional(world, session) {
                ask(world, TransactionRequest::Cancel { invite });
            }
            tell(world, CallEvent::Progressed { session, usage, response });
        }
        200..300 => accept(world, session, flow, response),
        300.. if awaited => failures::invite_refused(world, user, response.status, false),
        _ => {}
    }
}

/// A CANCEL may only be sent once a provisional response has come (section 9.1); the INVITE for which one is waiting.
fn mark_provisional(world: &mut World, session: Entity) -> Option<Entity> {
    let mut pending = world.get_mut::<PendingInvite>(session)?;
    let sent = pending.sent_mut()?;
    let was_first = !std::mem::replace(&mut sent.provisional, true);
    sent.transaction.filter(|_| was_first && sent.cancel)
}

/// A 2xx: makes or confirms a dialog, is acknowledged, and each time it comes again so is the ACK.
fn accept(world: &mut World, session: Entity, flow: &Flow, response: Box<Response>) {
    let cseq = response.head.cseq;
    let usage = match find_or_fork(world, session, flow, &response) {
        Ok(usage) => usage,
        Err(fork) => return turn_down(world, session, *fork, cseq),
    };
    let sent_ack = world.get::<InviteUsage>(usage).and_then(|usage| usage.sent_ack.as_deref());
    if let Some(ack) = sent_ack.filter(|ack| ack.cseq == cseq) {
        let (target, bytes) = (ack.target, ack.bytes.clone());
        count(world, |counters| counters.retransmissions_received += 1);
        return send(world, target, bytes);
    }
    let Some(dialog) = world.get::<UsageOf>(usage).map(|of| of.0) else { return };
    if let Some(mut state) = world.get_mut::<Dialog>(dialog) {
        state.confirm(&response.head, flow);
    }
    messages::send_ack(world, usage, cseq);
    let selected = world.get::<SelectedUsage>(session).and_then(|selected| selected.0);
    let awaited = sent_invite(world, session, cseq).map(|sent| sent.cancel);
    match awaited {
        Some(false) if selected.is_none_or(|selected| selected == usage) => {
            tell(world, CallEvent::Accepted { session, usage, response });
        }
        cancelled => {
            // Another fork answered first, or the call was cancelled meanwhile (sections 13.2.2.4 and 9.1).
            messages::send_bye(world, usage);
            if cancelled == Some(true) {
                tell(world, CallEvent::Refused { session, status: 487, by_transport: false });
            }
        }
    }
}

/// The INVITE of ours with that CSeq number, if it waits for a final response.
fn sent_invite(world: &World, session: Entity, cseq: u32) -> Option<&SentInvite> {
    world.get::<PendingInvite>(session)?.sent().filter(|sent| sent.cseq == cseq)
}

/// A 2xx for whose dialog there is no room. Where no other fork has answered the call has come to nothing.
fn turn_down(world: &mut World, session: Entity, fork: Dialog, cseq: u32) {
    if let Some(&id) = world.get::<StableId>(session) {
        messages::turn_down(world, id, fork, cseq);
    }
    let has_answered = usages(world, session).into_iter().any(|usage| is_in(world, usage, DialogState::Confirmed));
    if !has_answered && sent_invite(world, session, cseq).is_some() {
        tell(world, CallEvent::Refused { session, status: 503, by_transport: false });
    }
}

fn usages(world: &World, session: Entity) -> Vec<Entity> {
    world.get::<InviteUsages>(session).map(|usages| usages.iter().collect()).unwrap_or_default()
}

/// Whether the dialog of a usage is in that state.
fn is_in(world: &World, usage: Entity, state: DialogState) -> bool {
    let dialog = world.get::<UsageOf>(usage).and_then(|of| world.get::<Dialog>(of.0));
    dialog.is_some_and(|dialog| dialog.state == state)
}

/// The usage of a response; a response with a new tag makes one and its dialog, up to the limit of forks. The error is
/// one beyond it.
fn find_or_fork(world: &mut World, session: Entity, flow: &Flow, response: &Response) -> Result<Entity, Box<Dialog>> {
    let sip = &world.resource::<Settings>().sip;
    let dialog = Dialog::as_uac(response, flow, sip.advertised(flow.local), seed(world));
    let found = world.resource::<DialogTable>().find(dialog.key);
    if let Some(usage) = found.and_then(|dialog| InviteUsage::of(world, dialog)) {
        return Ok(usage);
    }
    let limits = &world.resource::<Settings>().limits;
    let forks = world.get::<InviteUsages>(session).map_or(0, |usages| usages.len());
    if forks >= limits.forks as usize || world.resource::<DialogTable>().len() >= limits.dialogs as usize {
        count(world, |counters| counters.hit_limit("forks or dialogs"));
        return Err(Box::new(dialog));
    }
    let dialog = match found {
        Some(dialog) => dialog,
        None => {
            let id = mint(world);
            world.spawn((id, dialog)).id()
        }
    };
    // The usage goes on from the offer of the first INVITE (RFC 3264 section 5).
    let negotiation = world.get::<Negotiation>(session).map(Negotiation::fork);
    let id = mint(world);
    let usage = (id, InviteUsage::default(), UsageOf(dialog), InviteUsageOf(session));
    Ok(match negotiation {
        Some(negotiation) => world.spawn((usage, negotiation)).id(),
        None => world.spawn(usage).id(),
    })
}

/// Section 13.2.2.4: 64*T1 after the first 2xx all usages but the selected one go. Those that only rang will never be
/// answered, those that were answered late have been sent a BYE.
pub(super) fn forget_other_forks(world: &mut World, session: Entity) {
    let Some(selected) = world.get::<SelectedUsage>(session).and_then(|selected| selected.0) else { return };
    for usage in usages(world, session) {
        if usage != selected {
            world.despawn(usage);
        }
    }
    // No fork needs the offer of the first INVITE any more.
    if let Ok(mut session) = world.get_entity_mut(session) {
        session.remove::<Negotiation>();
    }
}
