//! All that a behaviour in another crate needs: `use ringworld::prelude::*;` and no other dependency.
//!
//! The names `bevy_ecs` and `ringworld_components` are here because the derives of `Component`, `Resource`, `Message`
//! and `Record` look for them.
//!
//! ```
//! use ringworld::prelude::*;
//!
//! /// Ends a call when the hash key is pressed.
//! struct HashHangsUp;
//!
//! impl Plugin for HashHangsUp {
//!     fn build(&self, app: &mut App) {
//!         app.add_systems(Tick, hang_up_on_hash.in_set(Phase::Behaviour));
//!     }
//! }
//!
//! fn hang_up_on_hash(mut digits: MessageReader<DigitHeard>, mut operations: Operations) {
//!     operations.for_each_call(digits.read().filter(|heard| heard.digit == '#'), |operations, heard| {
//!         operations.write(Operation::hang_up(heard.session));
//!     });
//! }
//!
//! let engine = Engine::with_plugins(&WorldConfig::default(), |plugins| { plugins.add(HashHangsUp); });
//! assert_eq!(engine.now(), Now(0));
//! ```

pub use bevy_app::{App, Plugin};
pub use bevy_ecs;
pub use bevy_ecs::prelude::*;
pub use ringworld_components;
pub use ringworld_components::call::{
    AboutCall, Answered, CallEnded, CallOffered, ClaimEnded, DigitHeard, EndCause, Ending, MediaEstablished,
    OperationDone, Operations, Parties, RequestReceived, ResponseReceived, Role, Service, Session, SessionState,
    Settings, SipIdentity, SourceChanged, StateChanged, Ticket,
};
pub use ringworld_components::edge::{
    Operation, OperationKind, OperationPriority, PlaceCall, RequestTarget, SendRequest,
};
pub use ringworld_components::kernel::{
    Now, Phase, RecordApp, StableId, StableIds, TICK, Tick, TimerApp, TimerFired, Timers,
};
pub use ringworld_components::record::Record;
pub use ringworld_components::sip::{MethodScope, SipApp, SipMethod};
pub use ringworld_components::wire::sip::Method;
pub use std::time::Duration;

pub use crate::config::Config;
pub use crate::engine::{Engine, Plugins, StartError, Summary, Switch, WorldConfig};
