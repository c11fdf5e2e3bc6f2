//! Recording what a world takes in, and replaying it.
//!
//! A world advances only by its inputs, so a recording of the inputs is a recording of everything. [`Recorder`] writes
//! one while the world runs; [`Player`] runs a fresh world by it and compares what comes out, tick for tick;
//! [`compare`] finds where two recordings begin to differ.
//!
//! The file is a header and then chunks, each compressed and checked by itself, so that what was written before a crash
//! can be read; see ARCHITECTURE.md for its layout. It holds the world's secret: only its owner can read it.

mod chunks;
mod compare;
mod entry;
mod error;
mod file;
mod flight;
mod header;
mod journal;
mod player;
mod reader;
mod recorder;
mod scribe;
mod tail;
mod verify;
mod writer;

pub use compare::{Comparison, Parting, compare};
pub use error::{Damage, Divergence, RecordError, ReplayError, Unlike};
pub use flight::{Feed, FlightDump, FlightRecorder, FlightSettings, FlightSummary};
pub use header::{Ending, Footer, Header, Start};
pub(crate) use journal::{Journal, snapshot_file};
pub use player::{Claims, Executor, Player, ReplayOptions, TickReport, Witness};
pub use recorder::{Recorder, RecordingSummary};
pub(crate) use tail::{Heir, ReadAt, Step, Tail, TailError};
