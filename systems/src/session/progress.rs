//! What dialogs tell about calls.

use super::answer::start_deadline;
use super::ending::{end, invite_failed, terminate};
use super::state::{change, error, raise, selected_usage, session_of};
use super::{arrive, hold, negotiate, reinvite};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    Answered, CallEvent, Carrier, Counters, DigitHeard, DurationDeadline, EndCause, InviteAim, Part, PendingInvite,
    Queue, RingDeadline, Role, SelectedUsage, Session, SessionMessage, SessionState, Settings, contain,
};
use ringworld_components::kernel::TimerWheel;
use ringworld_components::media::MediaCounters;
use ringworld_components::sip::{Transaction, TransactionUser};
use ringworld_components::wire::sip::Response;

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
        CallEvent::Reinvited { usage, transaction, flow, request } => {
            reinvite::receive(world, usage, transaction, &flow, &request);
        }
        CallEvent::Acked { usage, body, then_bye } => acknowledged(world, usage, body.as_deref(), then_bye),
        CallEvent::NeverAcked { usage } => never_acknowledged(world, usage),
        CallEvent::Cancelled { invite } => {
            if let Some(TransactionUser::InviteUsage(usage)) =
                world.get::<Transaction>(invite).map(|invite| invite.user)
                && let Some(session) = session_of(world, usage)
            {
                cancelled(world, session);
            }
        }
        CallEvent::ByeReceived { usage } => bye_received(world, usage),
        CallEvent::DigitReceived { usage, digit, duration_ms } => digit_received(world, usage, digit, duration_ms),
        CallEvent::Progressed { session, usage, response } => progressed(world, session, usage, &response),
        CallEvent::Accepted { session, usage, response } => accepted(world, session, usage, &response),
        CallEvent::Refused { session, status, by_transport } => invite_failed(world, session, status, by_transport),
        CallEvent::ByeDone { usage } => bye_done(world, usage),
        CallEvent::UsageLost { usage, status } => usage_lost(world, usage, status),
    }
}

fn is_in(world: &World, session: Entity, states: &[SessionState]) -> bool {
    world.get::<Session>(session).is_some_and(|session| states.contains(&session.state()))
}

/// Our 200 was acknowledged; with a late offer the ACK holds the answer (RFC 3261 section 13.2.2.4).
fn acknowledged(world: &mut World, usage: Entity, body: Option<&[u8]>, then_bye: bool) {
    let Some(session) = session_of(world, usage) else { return };
    if then_bye {
        return world.resource_mut::<Queue<SessionMessage>>().push(SessionMessage::Bye { usage });
    }
    match negotiate::receive(world, session, usage, Carrier::Ack, body) {
        Ok(Some(Part::Answer)) => hold::settle(world, session),
        Ok(_) => {}
        Err(cause) => {
            let error = error(world, session, cause);
            tracing::debug!(%error, "the answer in an ACK can't be used");
            terminate(world, session, EndCause::NegotiationFailed, 488);
        }
    }
}

/// Section 13.3.1.4: the session is ended with a BYE.
fn never_acknowledged(world: &mut World, usage: Entity) {
    let Some(session) = session_of(world, usage) else { return };
    if is_in(world, session, &[SessionState::Terminating]) {
        world.resource_mut::<Queue<SessionMessage>>().push(SessionMessage::Bye { usage });
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
fn bye_received(world: &mut World, usage: Entity) {
    let Some(session) = session_of(world, usage) else { return };
    if selected_usage(world, session) != Some(usage) {
        // The BYE of a fork that was not chosen.
        world.despawn(usage);
        return;
    }
    if let Some(transaction) = world.get::<PendingInvite>(session).and_then(PendingInvite::received) {
        let usage = Some(usage);
        let refusal = SessionMessage::Respond { transaction, usage, status: 487, warning: None, body: None };
        world.resource_mut::<Queue<SessionMessage>>().push(refusal);
    }
    end(world, session, EndCause::PeerHungUp, 0);
}

/// A key was pressed. In a call that is ending it counts as little as one in its RTP.
fn digit_received(world: &mut World, usage: Entity, digit: char, duration_ms: u32) {
    let Some(session) = session_of(world, usage) else { return };
    if world.get::<Session>(session).is_some_and(|session| !session.state().is_over()) {
        if let Some(mut counters) = world.get_resource_mut::<MediaCounters>() {
            counters.digits_in += 1;
        }
        raise(world, session, |id| DigitHeard::of(id, session, digit, duration_ms));
    }
}

/// Our BYE is done with. That of a fork that was not chosen ends nothing but its usage.
fn bye_done(world: &mut World, usage: Entity) {
    let Some(session) = session_of(world, usage) else { return };
    if selected_usage(world, session) == Some(usage) && is_in(world, session, &[SessionState::Terminating]) {
        end(world, session, EndCause::HungUp, 0);
    }
}

/// The peer does not know the usage any more, or can't be reached by it (RFC 5057 section 5).
fn usage_lost(world: &mut World, usage: Entity, status: u16) {
    let Some(session) = session_of(world, usage) else { return };
    if selected_usage(world, session) == Some(usage) {
        terminate(world, session, EndCause::DialogLost, status);
    } else {
        world.despawn(usage);
    }
}

/// A provisional response to our INVITE. We don't ask for reliable ones, so a description in it is a preview.
fn progressed(world: &mut World, session: Entity, usage: Option<Entity>, response: &Response) {
    if let (Some(usage), Ok(Some(preview))) = (usage, response.head.session_description())
        && let Err(cause) = negotiate::receive(world, session, usage, Carrier::Provisional, Some(&preview))
    {
        let error = error(world, session, cause);
        tracing::debug!(%error, "the description in a provisional response is ignored");
    }
    if response.status > 100 && is_in(world, session, &[SessionState::Dialing]) {
        let _ = change(world, session, SessionState::Ringing);
    }
}

/// A 2xx to our INVITE; the ACK is sent.
fn accepted(world: &mut World, session: Entity, usage: Entity, response: &Response) {
    let Some(sent) = world.get_mut::<PendingInvite>(session).and_then(|mut pending| pending.take_sent()) else {
        return;
    };
    if let Some(mut selected) = world.get_mut::<SelectedUsage>(session) {
        selected.0 = Some(usage);
    }
    let answer = response.head.session_description().unwrap_or_default();
    let agreed = negotiate::receive(world, session, usage, Carrier::Success, answer.as_deref());
    match (sent.aim, agreed) {
        (InviteAim::Call, agreed) => {
            world.resource_mut::<TimerWheel<RingDeadline>>().cancel(session);
            world.resource_mut::<Counters>().calls_answered += 1;
            if change(world, session, SessionState::Connected).is_ok() {
                raise(world, session, |id| Answered::of(id, session, Role::Outgoing));
            }
            start_deadline::<DurationDeadline>(world, session, world.resource::<Settings>().timers.call_s);
            match agreed {
                Ok(_) => hold::settle(world, session),
                Err(cause) => {
                    let error = error(world, session, cause);
                    tracing::debug!(%error, "the answer to our offer can't be used");
                    terminate(world, session, EndCause::NegotiationFailed, 488);
                }
            }
        }
        (_, Ok(_)) => hold::settle(world, session),
        (_, Err(cause)) => {
            let error = error(world, session, cause);
            tracing::debug!(%error, "the answer to our re-INVITE can't be used");
            terminate(world, session, EndCause::NegotiationFailed, 488);
        }
    }
    debug_assert!(
        world
            .get::<Session>(session)
            .is_none_or(|session| session.role == Role::Outgoing || sent.aim != InviteAim::Call)
    );
}
