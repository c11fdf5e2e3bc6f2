//! What the outside may ask of a world.

use crate::kernel::StableId;
use crate::record::Record;
use std::net::SocketAddr;

/// A numbered request. The number is the caller's and comes back in the [`Reply`].
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Chosen by the caller; 0 if no reply is wanted.
    pub number: u64,
    /// What to do.
    pub operation: Operation,
}

/// The operations on a world.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Place a call.
    Place(PlaceCall),
    /// Answer an offered or ringing call with 200 and connect it to a service, named as the user part of a request URI
    /// would name it (`echo`, `conf-NAME` ...).
    Answer {
        /// The session.
        session: StableId,
        /// The service.
        service: String,
    },
    /// Let an offered call ring (180).
    Ring {
        /// The session.
        session: StableId,
    },
    /// Refuse an offered or ringing call.
    Reject {
        /// The session.
        session: StableId,
        /// The SIP status, 300-699.
        status: u16,
    },
    /// End a call in whatever state it is: BYE, CANCEL or a final response.
    HangUp {
        /// The session.
        session: StableId,
    },
    /// Put a connected call on hold by re-INVITE.
    Hold {
        /// The session.
        session: StableId,
    },
    /// Take a held call back by re-INVITE.
    Resume {
        /// The session.
        session: StableId,
    },
    /// Send digits by RFC 4733.
    SendDtmf {
        /// The session.
        session: StableId,
        /// `0-9 * # A-D`.
        digits: String,
    },
    /// Refuse new calls from now on, and end those that there are.
    Drain,
}

impl Operation {
    /// The session that it is about.
    pub fn session(&self) -> Option<StableId> {
        match self {
            Self::Place(_) | Self::Drain => None,
            Self::Answer { session, .. }
            | Self::Ring { session }
            | Self::Reject { session, .. }
            | Self::HangUp { session }
            | Self::Hold { session }
            | Self::Resume { session }
            | Self::SendDtmf { session, .. } => Some(*session),
        }
    }
}

/// A call to place.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct PlaceCall {
    /// From whom: a SIP URI.
    pub from: String,
    /// To whom: a SIP URI.
    pub to: String,
    /// Where to send the request: the address that `to` resolved to.
    pub remote: SocketAddr,
    /// Over TCP rather than UDP.
    pub over_tcp: bool,
    /// Our address towards that peer.
    pub local: SocketAddr,
    /// The service that the call is connected to once it is answered.
    pub service: String,
    /// A session description to offer instead of our own; its media are then not ours to handle.
    pub sdp: Option<String>,
}

/// The answer to a command.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The number of the command.
    pub number: u64,
    /// The session that it was about or that it made, or why it was refused.
    pub result: Result<StableId, Refusal>,
}

/// Why a command was refused. Nothing was changed.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such session (any more).
    NoSuchSession,
    /// The session's state does not allow the operation.
    IllegalState {
        /// The state it is in.
        state: String,
        /// The operation.
        operation: String,
    },
    /// A limit is reached.
    Limit(String),
    /// Something in the command is not as it should be.
    Invalid(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchSession => f.write_str("there is no such session (any more)"),
            Self::IllegalState { state, operation } => write!(f, "a session in state {state} can't {operation}"),
            Self::Limit(limit) => write!(f, "the limit of {limit} is reached"),
            Self::Invalid(what) => f.write_str(what),
        }
    }
}
