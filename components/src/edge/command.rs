//! What the outside may ask of a world.

use crate::call::{CallError, CallErrorCause, DependencyKind, EndingRule, GroupChoice, PriorityLevel, QosClass};
use crate::kernel::{StableId, WallTime};
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
    /// It is this time of day now: the clock outside and the ticks have parted.
    Reanchor {
        /// The time.
        time: WallTime,
    },
    /// Make one session the child of another one, or change the kind of a child of that parent.
    Link {
        /// The parent.
        parent: StableId,
        /// The child.
        child: StableId,
        /// What the end of the parent does to the child.
        kind: DependencyKind,
    },
    /// Make a child a session without a parent.
    Unlink {
        /// The child.
        child: StableId,
    },
    /// Put two sessions in sequence, or change the rule of their sequence. The reply names the sequence.
    Sequence {
        /// The A-leg.
        a: StableId,
        /// The B-leg.
        b: StableId,
        /// Which ending ends the other leg.
        rule: EndingRule,
    },
    /// Let a session enter a group. The reply names the group.
    EnterGroup {
        /// The session.
        session: StableId,
        /// Which group.
        group: GroupChoice,
    },
    /// Let a session leave a group.
    LeaveGroup {
        /// The session.
        session: StableId,
        /// The group.
        group: StableId,
    },
    /// Let all members leave a group.
    EndGroup {
        /// The group.
        group: StableId,
    },
    /// Tell the load that was measured outside.
    ReportLoad {
        /// The load of the processor, in thousandths.
        cpu_permille: u32,
    },
    /// Set the priority of a session.
    SetPriority {
        /// The session.
        session: StableId,
        /// How urgent it is.
        level: PriorityLevel,
        /// How its packets are marked.
        class: QosClass,
    },
}

impl Operation {
    /// The session that it is about.
    pub fn session(&self) -> Option<StableId> {
        match self {
            Self::Place(_) | Self::Drain | Self::Reanchor { .. } | Self::EndGroup { .. } | Self::ReportLoad { .. } => {
                None
            }
            Self::Link { child, .. } | Self::Unlink { child } => Some(*child),
            Self::Sequence { a, .. } => Some(*a),
            Self::Answer { session, .. }
            | Self::Ring { session }
            | Self::Reject { session, .. }
            | Self::HangUp { session }
            | Self::Hold { session }
            | Self::Resume { session }
            | Self::SendDtmf { session, .. }
            | Self::EnterGroup { session, .. }
            | Self::LeaveGroup { session, .. }
            | Self::SetPriority { session, .. } => Some(*session),
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
    pub result: Result<StableId, CallError>,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The world refused, and changed nothing. The error says where the call stood.
    World(CallError),
    /// It never came to a world: what stood in its way.
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
