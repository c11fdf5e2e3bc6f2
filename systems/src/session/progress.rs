//! What dialogs tell about calls.

use super::answer::start_deadline;
use super::ending::{end, invite_failed, terminate};
use super::state::{change, error, owners_of, raise, session_of};
use super::{arrive, hold, media, reinvite};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    Answered, CallEvent, Counters, DurationDeadline, EndCause, InviteAim, Leg, Queue, RingDeadline, Role, Service,
    Session, SessionState, Settings, Signal, Transaction, contain,
};
use ringworld_components::kernel::TimerWheel;
use ringworld_components::wire::sip::{Head, Response};

pub(super) fn take_call_events(world: &mut World) {
    for event in world.resource_mut::<Queue<CallEvent>>().take() {
        contain(world, "take_call_events", Some(event.culprit()), |world| take(world, event));
    }
}

fn take(world: &mut World, event: CallEvent) {
    match event {
        CallEvent::Invited { transaction, flow, request } => {
            arrive::receive_invite(world, transaction, &flow, &request);
        }
        CallEvent::Reinvited { dialog, transaction, request } => {
            reinvite::receive(world, dialog, transaction, &request);
        }
        CallEvent::Acked { dialog, body, then_bye, expects_answer } => {
            acknowledged(world, dialog, &body, then_bye, expects_answer);
        }
        CallEvent::NeverAcked { dialog } => never_acknowledged(world, dialog),
        CallEvent::Cancelled { invite } => {
            let leg = world.get::<Transaction>(invite).and_then(|invite| invite.owner);
            if let Some(session) = leg.and_then(|leg| session_of(world, leg)) {
                cancelled(world, session);
            }
        }
        CallEvent::ByeReceived { dialog } => bye_received(world, dialog),
        CallEvent::Progressed { leg, response } => progressed(world, leg, response.status),
        CallEvent::Accepted { leg, dialog, response } => accepted(world, leg, dialog, &response),
        CallEvent::Refused { leg, status, by_transport } => {
            if let Some(session) = session_of(world, leg) {
                invite_failed(world, session, leg, status, by_transport);
            }
        }
        CallEvent::ByeDone { dialog } => {
            if let Some((_, session)) = owners_of(world, dialog)
                && is_in(world, session, &[SessionState::Terminating])
            {
                end(world, session, EndCause::HungUp, 0);
            }
        }
    }
}

fn is_in(world: &World, session: Entity, states: &[SessionState]) -> bool {
    world.get::<Session>(session).is_some_and(|session| states.contains(&session.state()))
}

/// Our 200 was acknowledged; with a late offer the ACK holds the answer (RFC 3261 section 13.2.2.4).
fn acknowledged(world: &mut World, dialog: Entity, body: &[u8], then_bye: bool, expects_answer: bool) {
    let Some((leg, session)) = owners_of(world, dialog) else { return };
    if then_bye {
        world.resource_mut::<Queue<Signal>>().push(Signal::Bye { dialog });
    } else if expects_answer {
        match media::take_answer(world, leg, body) {
            Ok(()) => hold::settle(world, session, leg),
            Err(cause) => {
                let error = error(world, session, cause);
                tracing::debug!(%error, "the answer in an ACK can't be used");
                terminate(world, session, EndCause::NegotiationFailed, 488);
            }
        }
    }
}

/// Section 13.3.1.4: the session is ended with a BYE.
fn never_acknowledged(world: &mut World, dialog: Entity) {
    let Some((_, session)) = owners_of(world, dialog) else { return };
    if is_in(world, session, &[SessionState::Terminating]) {
        world.resource_mut::<Queue<Signal>>().push(Signal::Bye { dialog });
    } else {
        terminate(world, session, EndCause::SignallingTimeout, 408);
    }
}

/// Section 9.2: the INVITE gets its 487, unless it was answered meanwhile.
fn cancelled(world: &mut World, session: Entity) {
    if is_in(world, session, &[SessionState::Initializing, SessionState::Ringing]) {
        super::answer::refuse(world, session, EndCause::Cancelled, 487);
    }
}

/// Section 15.1.2. An INVITE that is still open is answered with 487.
fn bye_received(world: &mut World, dialog: Entity) {
    let Some((leg, session)) = owners_of(world, dialog) else { return };
    let Some(state) = world.get::<Leg>(leg) else { return };
    if state.dialog != Some(dialog) {
        // The BYE of a fork that was not chosen.
        world.despawn(dialog);
        return;
    }
    let pending = state.invite.filter(|_| state.outgoing.is_none());
    if let Some(transaction) = pending {
        let dialog = Some(dialog);
        let refusal = Signal::Respond { transaction, dialog, status: 487, body: None, expects_answer: false };
        world.resource_mut::<Queue<Signal>>().push(refusal);
    }
    end(world, session, EndCause::PeerHungUp, 0);
}

/// The session description in a message that was let through; empty if there is none that is understood.
pub(super) fn description_in(head: &Head) -> Bytes {
    head.session_description().ok().flatten().unwrap_or_default()
}

fn progressed(world: &mut World, leg: Entity, status: u16) {
    let Some(session) = session_of(world, leg) else { return };
    if status > 100 && is_in(world, session, &[SessionState::Dialing]) {
        let _ = change(world, session, SessionState::Ringing);
    }
}

/// A 2xx to our INVITE; the ACK is sent.
fn accepted(world: &mut World, leg: Entity, dialog: Entity, response: &Response) {
    let Some(session) = session_of(world, leg) else { return };
    let Some(outgoing) = world.get_mut::<Leg>(leg).and_then(|mut leg| {
        leg.invite = None;
        leg.dialog = Some(dialog);
        leg.outgoing.take()
    }) else {
        return;
    };
    let is_foreign = world.get::<Leg>(leg).is_some_and(|leg| leg.service == Service::ExternalMedia);
    let agreed = if is_foreign { Ok(()) } else { media::take_answer(world, leg, &description_in(&response.head)) };
    match (outgoing.aim, agreed) {
        (InviteAim::Call, agreed) => {
            world.resource_mut::<TimerWheel<RingDeadline>>().cancel(session);
            world.resource_mut::<Counters>().calls_answered += 1;
            if change(world, session, SessionState::Connected).is_ok() {
                raise(world, session, |id| Answered::of(id, session, Role::Outgoing));
            }
            start_deadline::<DurationDeadline>(world, session, world.resource::<Settings>().timers.call_s);
            match agreed {
                Ok(()) => hold::settle(world, session, leg),
                Err(cause) => {
                    let error = error(world, session, cause);
                    tracing::debug!(%error, "the answer to our offer can't be used");
                    terminate(world, session, EndCause::NegotiationFailed, 488);
                }
            }
        }
        (_, Ok(())) => hold::agreed(world, session, leg),
        (_, Err(cause)) => {
            let error = error(world, session, cause);
            tracing::debug!(%error, "the answer to our re-INVITE can't be used");
            terminate(world, session, EndCause::NegotiationFailed, 488);
        }
    }
    debug_assert!(
        world
            .get::<Session>(session)
            .is_none_or(|session| session.role == Role::Outgoing || outgoing.aim != InviteAim::Call)
    );
}
