//! Calls that a plugin has claimed.

use crate::record::Record;
use bevy_ecs::prelude::*;

/// The decision about this call belongs to a plugin: the operations of default routing are dropped while it lasts. It
/// ends by a release, by a timer ([`ClaimDeadline`](super::ClaimDeadline)), or with the decision.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name of the plugin.
    pub by: String,
}
