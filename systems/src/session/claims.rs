//! Claims: the decision about a call is a plugin's for a while.

use super::answer::start_deadline;
use super::state::{error, raise};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallError, CallErrorCause, Claim, ClaimDeadline, ClaimEnded, RingDeadline, Session, SessionState, Settings,
};
use ringworld_components::kernel::{Now, TimerWheel};
use std::time::Duration;

/// Claims a call. The time for a decision is that of the claim then.
pub(super) fn claim(world: &mut World, session: Entity, by: String, lasts_ms: u32) -> Result<(), CallError> {
    if let Some(claim) = world.get::<Claim>(session).filter(|claim| claim.by != by) {
        let by = claim.by.clone();
        return Err(error(world, session, CallErrorCause::Claimed(by)));
    }
    if let Ok(mut entity) = world.get_entity_mut(session) {
        entity.insert(Claim { by });
    }
    let deadline = world.resource::<Now>().after(Duration::from_millis(u64::from(lasts_ms)));
    world.resource_mut::<TimerWheel<ClaimDeadline>>().start(session, deadline.0);
    world.resource_mut::<TimerWheel<RingDeadline>>().cancel(session);
    Ok(())
}

/// Gives a call back that the plugin of that name has claimed.
pub(super) fn release(world: &mut World, session: Entity, by: &str) -> Result<(), CallError> {
    match world.get::<Claim>(session) {
        Some(claim) if claim.by == by => {
            end(world, session, true);
            Ok(())
        }
        Some(claim) => {
            let by = claim.by.clone();
            Err(error(world, session, CallErrorCause::Claimed(by)))
        }
        None => {
            let what = format!("{by} has no claim on the call");
            Err(error(world, session, CallErrorCause::Invalid(what)))
        }
    }
}

/// The claimed call was decided about: the claim ends.
pub(super) fn settle(world: &mut World, session: Entity) {
    if let Some(mut entity) = world.get_entity_mut(session).ok().filter(|session| session.contains::<Claim>()) {
        entity.remove::<Claim>();
        world.resource_mut::<TimerWheel<ClaimDeadline>>().cancel(session);
    }
}

/// Ends a claim. A call that is not decided about yet waits for a decision as if it had just come in.
pub(super) fn end(world: &mut World, session: Entity, is_released: bool) {
    world.resource_mut::<TimerWheel<ClaimDeadline>>().cancel(session);
    let Some(claim) = world.get_entity_mut(session).ok().and_then(|mut session| session.take::<Claim>()) else {
        return;
    };
    let state = world.get::<Session>(session).map(Session::state);
    let timers = &world.resource::<Settings>().timers;
    let waits_s = match state {
        Some(SessionState::Initializing) => timers.deferral_s,
        Some(SessionState::Ringing) => timers.ringing_s,
        _ => return,
    };
    start_deadline::<RingDeadline>(world, session, waits_s);
    raise(world, session, |id| ClaimEnded::of(id, session, claim.by, is_released));
}
