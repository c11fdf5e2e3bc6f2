//! Commands from outside, and what becomes of them.

use super::Operation;
use crate::call::{CallError, CallErrorCause};
use crate::kernel::StableId;
use crate::record::Record;

/// An [`Operation`] asked for from outside. The number comes back in the [`Reply`].
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Chosen by the caller; 0 if no reply is wanted.
    pub number: u64,
    /// What to do.
    pub operation: Operation,
}

/// The answer to a command.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The number of the command.
    pub number: u64,
    /// The session that it was about or that it made, or why it was refused.
    pub result: Result<StableId, CallError>,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The world refused, and changed nothing. The error holds the state of the call.
    World(CallError),
    /// It did not reach a world, for this reason.
    NotTaken(&'static str),
    /// No answer came in time. It may have been carried out all the same.
    NoAnswer,
}

impl Refusal {
    /// The cause, if the world gave one.
    pub fn cause(&self) -> Option<&CallErrorCause> {
        match self {
            Self::World(error) => Some(&error.cause),
            Self::NotTaken(_) | Self::NoAnswer => None,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::World(error) => error.fmt(f),
            Self::NotTaken(why) => write!(f, "the command was not taken: {why}; try again"),
            Self::NoAnswer => {
                f.write_str("no answer to the command came in time; look at the call before trying again")
            }
        }
    }
}

impl std::error::Error for Refusal {}
