//! What every other module builds on: the tick and its phases, time, stable identity, keyed randomness, timers, and
//! the registry that lets the whole world be digested, encoded and restored.

mod encode;
mod id;
mod migrate;
mod phase;
mod plugin;
mod plugins;
mod quiet;
mod random;
mod registry;
mod restore;
mod snapshot;
mod table;
mod time;
mod timers;
mod wheel;

pub use encode::{EncodeBuffers, encode_world, encode_world_with};
pub use id::{StableId, StableIds};
pub use migrate::{Convert, MigrateApp};
pub use phase::{Phase, Step, Tick};
pub use plugin::KernelPlugin;
pub use plugins::PluginDifference;
pub use quiet::{QuietApp, next_due};
pub use random::{Purpose, Secret};
pub use registry::{Channel, RecordApp, Registry, Unregistered};
pub use restore::{RestoreError, restore_world};
pub use snapshot::{Difference, Digest, difference, differences, digest};
pub use table::Table;
pub use time::{Anchor, Elapsed, Now, TICK, WallTime};
pub use timers::{TimerApp, TimerCounts, TimerFired, Timers, cancel_timer, start_timer, take_fired};
pub use wheel::TimerWheel;
