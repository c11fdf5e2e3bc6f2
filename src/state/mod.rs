//! Calls that survive their process: a state folder with a journal of all inputs and snapshots of the worlds.
//!
//! Every world has a folder of its own. The thread that runs it appends each tick to a journal before anything of the
//! tick leaves (`write(2)`, so that it outlives the process); a follower, a second world on a thread of its own,
//! replays the journal a little behind, and encodes a snapshot where one journal ends and the next begins. A start
//! finds the last snapshot, replays the journals behind it, and goes on: the time in between is an input like any
//! other.
//!
//! ```text
//! DIR/lock                              held by the process that runs on it
//! DIR/world-0/00001-000000000800.snapshot   the world at tick 800, in its first life
//! DIR/world-0/00001-000000000800.journal    what it took in from there on
//! ```
//!
//! Nothing waits for the disk but the page cache: files are synced by the follower, when they are whole. A process that
//! is killed loses nothing; a machine that loses its power loses what came after the last synced journal, some seconds.
//!
//! The follower costs what the world itself costs, without the network: about as much processor time as the world's
//! thread spends outside the system, and as much memory. Without a state folder there is none.

mod build;
mod error;
mod folder;
mod follower;
mod ground;
mod handover;
mod keeper;
mod recover;

pub use error::StateError;
pub use folder::StateFolder;
#[cfg(feature = "cli")]
pub(crate) use folder::WorldFolder;
#[cfg(feature = "cli")]
pub(crate) use follower::{Follows, Pursuit};
#[cfg(feature = "cli")]
pub(crate) use ground::Ground;
pub(crate) use handover::Legacy;
pub use handover::{Door, Heir, Successor};

pub use keeper::{Keeper, StateSummary};
#[cfg(feature = "cli")]
pub(crate) use recover::recover_asleep;
pub use recover::{Recovered, Recovery, recover};
