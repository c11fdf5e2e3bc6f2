//! Ringing, answering and refusing an incoming call.

use super::state::{change, error, raise, selected_usage};
use super::{ending, negotiate};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    Answered, CallError, CallErrorCause, Carrier, Claim, Counters, DurationDeadline, EndCause, InviteExpiry,
    PendingInvite, Queue, RingDeadline, Role, Service, SessionMessage, SessionState, Settings, is_refusal,
};
use ringworld_components::kernel::{Now, TimerWheel};
use ringworld_components::planted;
use ringworld_components::wire::sip::Warning;
use std::time::Duration;

/// Sends 180.
pub(super) fn ring(world: &mut World, session: Entity) -> Result<(), CallError> {
    respond(world, session, 180, None, None);
    change(world, session, SessionState::Ringing)?;
    if world.get::<Claim>(session).is_none() {
        start_deadline::<RingDeadline>(world, session, world.resource::<Settings>().timers.ringing_s);
    }
    Ok(())
}

/// Answers with 200 and connects the call to the service of that name. If that can't be, the call is refused with the
/// status that says why, and nothing is left of it.
pub(super) fn answer(world: &mut World, session: Entity, service: &str) -> Result<(), CallError> {
    let service = match Service::named(service) {
        Some(Service::Reject(status)) => return reject(world, session, status),
        Some(service) => service,
        None => return Err(error(world, session, CallErrorCause::NoSuchService(service.to_owned()))),
    };
    if let Some(mut connected) = world.get_mut::<Service>(session) {
        *connected = service;
    }
    let described = negotiate::describe(world, session, Carrier::Success, false);
    match described {
        Ok(described) => {
            respond(world, session, 200, None, described.body);
            if !planted!(TimerLeftRunning) {
                world.resource_mut::<TimerWheel<RingDeadline>>().cancel(session);
            }
            world.resource_mut::<TimerWheel<InviteExpiry>>().cancel(session);
            world.resource_mut::<Counters>().calls_answered += 1;
            start_deadline::<DurationDeadline>(world, session, world.resource::<Settings>().timers.call_s);
            change(world, session, SessionState::Connected)?;
            raise(world, session, |id| Answered::of(id, session, Role::Incoming));
            Ok(())
        }
        Err(cause) => {
            let error = error(world, session, cause);
            respond(world, session, error.status(), error.warning(), None);
            ending::end(world, session, EndCause::Rejected, error.status());
            Err(error)
        }
    }
}

/// Refuses with a final response of 400 to 699.
pub(super) fn reject(world: &mut World, session: Entity, status: u16) -> Result<(), CallError> {
    if !is_refusal(status) {
        let what = format!("a call is not refused with {status}; take 400 to 699");
        return Err(error(world, session, CallErrorCause::Invalid(what)));
    }
    refuse(world, session, EndCause::Rejected, status);
    Ok(())
}

/// Sends a final response to the INVITE and ends the session.
pub(super) fn refuse(world: &mut World, session: Entity, cause: EndCause, status: u16) {
    respond(world, session, status, None, None);
    ending::end(world, session, cause, status);
}

fn respond(world: &mut World, session: Entity, status: u16, warning: Option<Warning>, body: Option<bytes::Bytes>) {
    let Some(transaction) = world.get::<PendingInvite>(session).and_then(PendingInvite::received) else { return };
    let usage = selected_usage(world, session);
    let response = SessionMessage::Respond { transaction, usage, status, warning, body };
    world.resource_mut::<Queue<SessionMessage>>().push(response);
}

/// Starts a deadline of the session, in place of the one before; none if it is 0 seconds.
pub(super) fn start_deadline<T: Send + Sync + 'static>(world: &mut World, session: Entity, seconds: u32) {
    let lasts = Duration::from_secs(u64::from(planted!(DurationEarly ? seconds / 2, seconds)));
    let deadline = world.resource::<Now>().after(lasts);
    let mut wheel = world.resource_mut::<TimerWheel<T>>();
    if seconds > 0 {
        wheel.start(session, deadline.0);
    } else {
        wheel.cancel(session);
    }
}
