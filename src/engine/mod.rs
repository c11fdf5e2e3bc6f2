//! A world and what runs it.
//!
//! [`Engine`] is the world alone: it advances by inputs and gives outputs, and knows neither a socket nor a clock.
//! [`Switch`] puts worlds between sockets and a paced clock.

mod accounting;
mod chain;
mod hand_over;
mod leaks;
mod network;
mod plugins;
mod prepare;
mod route;
mod runner;
mod summary;
mod switch;
mod watch;
mod world;

pub use accounting::{Imbalance, Sum};
pub use chain::{Chain, ChainDigest};
pub use hand_over::HandOver;
#[cfg(feature = "cli")]
pub(crate) use leaks::ENDING_MAX;
pub use leaks::Leak;
pub use plugins::Plugins;
pub use route::world_of_message;
pub use summary::{Levels, Summary, TickPercentiles};
pub(crate) use switch::unix_ms;
pub use switch::{Extend, StartError, Switch};
pub use world::{Census, Engine, WorldConfig};
