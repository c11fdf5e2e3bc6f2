//! How the endings of sessions reach the sessions that are related to them, within one tick.

use super::{EndCause, SessionState};
use bevy_ecs::prelude::*;

/// A session entered a state in this tick. Written at every change of state, read in `Step::Relate` and emptied in
/// `Step::Settle` of `Phase::Cleanup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateEntered {
    /// The session.
    pub session: Entity,
    /// The state.
    pub state: SessionState,
}

/// A session is to be ended because one that it is related to has ended. From `Step::Relate` to `Step::Reap` of
/// `Phase::Cleanup`, so that its BYE, CANCEL or final response leaves in the same tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndFollower {
    /// The session.
    pub session: Entity,
    /// Why it ends.
    pub cause: EndCause,
}
