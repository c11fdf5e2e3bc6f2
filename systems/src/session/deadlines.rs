//! What is done when a deadline of a session has passed.

use super::ending::{end, terminate};
use super::{claims, hold};
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CancelDeadline, ClaimDeadline, DurationDeadline, EndCause, GlareWait, InviteExpiry, RingDeadline, Role, Session,
    SessionState, contain,
};
use ringworld_components::kernel::TimerFired;
use ringworld_components::planted;

pub(super) fn run_deadlines(world: &mut World) {
    for_each_fired::<RingDeadline>(world, |world, session| {
        let state = world.get::<Session>(session).map(|session| (session.state(), session.role));
        let cause = match state {
            Some((SessionState::Initializing, Role::Incoming)) => EndCause::DeferralTimeout,
            Some((SessionState::Initializing | SessionState::Dialing | SessionState::Ringing, _)) => {
                EndCause::RingTimeout
            }
            Some(_) if planted!(DeadlineOverAnswer) => EndCause::RingTimeout,
            // It was answered, or ended, in this very tick.
            _ => return,
        };
        terminate(world, session, cause, 480);
    });
    for_each_fired::<InviteExpiry>(world, |world, session| {
        let state = world.get::<Session>(session).map(Session::state);
        // Else it was answered, or ended, in this very tick.
        if matches!(state, Some(SessionState::Initializing | SessionState::Ringing)) {
            terminate(world, session, EndCause::RingTimeout, 487);
        }
    });
    for_each_fired::<DurationDeadline>(world, |world, session| {
        terminate(world, session, EndCause::DurationLimit, 0);
    });
    for_each_fired::<CancelDeadline>(world, |world, session| {
        end(world, session, EndCause::SignallingTimeout, 408);
    });
    for_each_fired::<ClaimDeadline>(world, |world, session| claims::end(world, session, false));
    for_each_fired::<GlareWait>(world, hold::try_again);
}

fn for_each_fired<T: Send + Sync + 'static>(world: &mut World, work: impl Fn(&mut World, Entity)) {
    let fired: Vec<Entity> = world.resource_mut::<Messages<TimerFired<T>>>().drain().map(|fired| fired.owner).collect();
    for owner in fired {
        contain(world, "run_deadlines", Some(owner), |world| work(world, owner));
    }
}
