//! All that a behaviour in another crate needs: `use ringworld::prelude::*;` and no other dependency.
//!
//! The names `bevy_ecs` and `ringworld_components` are here because the derives of `Component`, `Resource`, `Message`
//! and `Record` look for them.
//!
//! ```
//! use ringworld::prelude::*;
//!
//! /// Hangs up on whoever presses the hash key.
//! struct HashHangsUp;
//!
//! impl Plugin for HashHangsUp {
//!     fn build(&self, app: &mut App) {
//!         app.add_systems(Tick, hang_up_on_hash.in_set(Phase::Behaviour));
//!     }
//! }
//!
//! fn hang_up_on_hash(mut digits: MessageReader<DigitHeard>, mut requests: MessageWriter<CallRequest>) {
//!     for heard in digits.read().filter(|heard| heard.digit == '#') {
//!         requests.write(CallRequest::hang_up(heard.session));
//!     }
//! }
//!
//! let engine = Engine::with_plugins(&WorldConfig::default(), |app| { app.add_plugins(HashHangsUp); });
//! assert_eq!(engine.now(), Now(0));
//! ```

pub use bevy_app::{App, Plugin};
pub use bevy_ecs;
pub use bevy_ecs::prelude::*;
pub use ringworld_components;
pub use ringworld_components::call::{
    Announce, CallAction, CallEnded, CallOffered, CallRequest, DigitHeard, EndCause, Ending, Parties, Role, Service,
    Session, SessionOperation, SessionState, Settings, SipIdentity, StateChanged,
};
pub use ringworld_components::kernel::{
    Now, Phase, RecordApp, StableId, StableIds, TICK, Tick, TimerApp, TimerFired, Timers,
};
pub use ringworld_components::record::Record;
pub use std::time::Duration;

pub use crate::config::Config;
pub use crate::engine::{Engine, StartError, Summary, Switch, WorldConfig};
