//! What took too long.

use super::ending::{end, terminate};
use super::hold;
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CancelDeadline, DurationDeadline, EndCause, GlareWait, RingDeadline, Role, Session, SessionState,
};
use ringworld_components::kernel::TimerFired;

pub(super) fn run_deadlines(world: &mut World) {
    for session in fired::<RingDeadline>(world) {
        let state = world.get::<Session>(session).map(|session| (session.state(), session.role));
        let cause = match state {
            Some((SessionState::Initializing, Role::Incoming)) => EndCause::DeferralTimeout,
            Some((SessionState::Initializing | SessionState::Dialing | SessionState::Ringing, _)) => {
                EndCause::RingTimeout
            }
            // It was answered, or ended, in this very tick.
            _ => continue,
        };
        terminate(world, session, cause, 480);
    }
    for session in fired::<DurationDeadline>(world) {
        terminate(world, session, EndCause::DurationLimit, 0);
    }
    for session in fired::<CancelDeadline>(world) {
        end(world, session, EndCause::SignallingTimeout, 408);
    }
    for leg in fired::<GlareWait>(world) {
        hold::try_again(world, leg);
    }
}

fn fired<T: Send + Sync + 'static>(world: &mut World) -> Vec<Entity> {
    world.resource_mut::<Messages<TimerFired<T>>>().drain().map(|fired| fired.owner).collect()
}
