//! The simulator: user agents around the switch, in virtual time, all decided by one seed.
//!
//! The engine is the real one, with its real schedule, behind the same kinds of rings; only sockets, clock and disk are
//! replaced. One thread and one seed decide everything, so a run that fails can be run again, step by step, and made
//! smaller until only what matters is left.
//!
//! - [`Scenario`] describes a run; [`run()`] runs it.
//! - `agent/` are the user agents; they share no code with the switch.
//! - `network/` carries their packets, and [`fault`] lists what happens to them.
//! - `intruders.rs` are hosts of no call that send to its ports.
//! - `operator.rs` gives the switch the commands of an operator.
//! - `run/lives.rs` keeps it in a state folder, kills it and starts it again; `ground.rs` is the disk under that
//!   folder.
//! - [`invariants`] say what must hold, whatever happens.
//! - [`shrink()`] finds the smallest run that still fails, and [`twice()`] compares runs of one seed.
//!
//! ```
//! use ringworld::sim::{Scenario, run};
//!
//! let scenario = Scenario { agents: 4, seconds: 10, ..Scenario::of_seed(1) };
//! let exercised = run(&scenario, &mut |_| {}).expect("all invariants hold");
//! assert!(exercised.calls_placed > 0);
//! ```

mod agent;
mod desk;
mod dice;
mod exercised;
pub mod fault;
mod ground;
mod intruders;
pub mod invariants;
mod network;
mod operator;
mod order;
mod relator;
mod rings;
mod run;
mod scenario;
mod shrink;
mod twice;

pub use dice::{Dice, Purpose};
pub use exercised::Exercised;
pub use order::shuffle_systems;
pub use run::{Failure, Progress, run};
pub use scenario::Scenario;
pub use shrink::shrink;
pub use twice::twice;

/// A millisecond of simulated time, which is counted in nanoseconds.
const MS: u64 = 1_000_000;
/// A second of simulated time.
const SECOND: u64 = 1_000 * MS;
/// A tick.
const TICK: u64 = 5 * MS;
