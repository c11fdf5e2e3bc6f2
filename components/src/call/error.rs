//! Errors that name the call and its state.

use super::{DependencyError, GroupError, IllegalTransition, OfferAnswerError, SequenceError, SessionState};
use crate::edge::OperationKind;
use crate::kernel::{Now, StableId, WallTime};
use crate::record::Record;
use crate::sip::DialogState;
use crate::wire::sdp::{Codec, Direction};
use crate::wire::sip::Warning;
use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;

/// What went wrong with a call, and the state of the call. Built by [`CallError::new`] alone, so that all look the
/// same.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// What went wrong.
    pub cause: CallErrorCause,
    /// The circumstances.
    pub context: Box<ErrorContext>,
}

/// The circumstances of an error.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct ErrorContext {
    /// The session that was asked for; 0 if none had been made.
    pub session: StableId,
    /// The state it was in; `None` if there is no such session.
    pub state: Option<SessionState>,
    /// Its Call-ID, which names the call in the peers' logs.
    pub call_id: Option<Bytes>,
    /// The dialog that the call goes on in.
    pub dialog: Option<DialogStanding>,
    /// Its media.
    pub media: MediaStanding,
    /// The tick.
    pub tick: Now,
    /// The time of day at that tick.
    pub time: WallTime,
}

/// Which dialog, and its state.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialogStanding {
    /// Its name.
    pub id: StableId,
    /// Its state.
    pub state: DialogState,
}

/// How far the media of a call are.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaStanding {
    /// There are none.
    #[default]
    None,
    /// We have offered to receive at this port.
    Offered {
        /// Our RTP port.
        port: u16,
    },
    /// Both sides agreed.
    Agreed {
        /// Our RTP port.
        port: u16,
        /// Where RTP goes.
        remote: SocketAddr,
        /// The codec.
        codec: Codec,
        /// Our direction.
        direction: Direction,
    },
}

/// What went wrong with a call.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum CallErrorCause {
    /// There is no such session (any more).
    NoSuchSession,
    /// The state does not allow the operation.
    IllegalOperation(OperationKind),
    /// An operation of this kind was carried out on the session earlier in the same tick, and excludes this one.
    Superseded(OperationKind),
    /// The plugin of this name has claimed the call.
    Claimed(String),
    /// The state machine refused a change.
    IllegalTransition(IllegalTransition),
    /// No port pair is free.
    PortsExhausted,
    /// There is no codec in common, or the session description can't be used.
    Negotiation(OfferAnswerError),
    /// A room has no place left.
    RoomLimit,
    /// There are as many rooms as there may be.
    RoomsExhausted,
    /// The service's name is not known.
    NoSuchService(String),
    /// A limit of the settings is reached; its name.
    Limit(String),
    /// The peer takes no digits (there is no telephone-event), or its media are not ours.
    NoDigits,
    /// Something in the request is not as it should be.
    Invalid(String),
    /// The work for the call panicked in this system.
    Panicked(String),
    /// Two sessions can't become parent and child.
    Dependency(DependencyError),
    /// Two sessions can't be put in sequence.
    Sequence(SequenceError),
    /// A session can't enter or leave a group.
    Group(GroupError),
}

impl CallError {
    /// An error in these circumstances.
    pub fn new(cause: CallErrorCause, context: ErrorContext) -> Self {
        Self { cause, context: Box::new(context) }
    }

    /// The SIP status that tells the peer.
    pub fn status(&self) -> u16 {
        match &self.cause {
            CallErrorCause::PortsExhausted | CallErrorCause::RoomsExhausted | CallErrorCause::Limit(_) => 503,
            CallErrorCause::Negotiation(why) => why.status(),
            CallErrorCause::RoomLimit => 486,
            CallErrorCause::NoSuchService(_) => 404,
            CallErrorCause::NoSuchSession
            | CallErrorCause::IllegalOperation(_)
            | CallErrorCause::Superseded(_)
            | CallErrorCause::Claimed(_)
            | CallErrorCause::IllegalTransition(_)
            | CallErrorCause::NoDigits
            | CallErrorCause::Invalid(_)
            | CallErrorCause::Panicked(_)
            | CallErrorCause::Dependency(_)
            | CallErrorCause::Sequence(_)
            | CallErrorCause::Group(_) => 500,
        }
    }

    /// What tells the peer in words, where that helps it.
    pub fn warning(&self) -> Option<Warning> {
        match &self.cause {
            CallErrorCause::Negotiation(why) => Some(why.warning()),
            _ => None,
        }
    }

    /// What the caller of the operation can do about it.
    pub fn advice(&self) -> &'static str {
        match &self.cause {
            CallErrorCause::NoSuchSession => "forget it: it never was, or has ended",
            CallErrorCause::IllegalOperation(_) | CallErrorCause::IllegalTransition(_) => {
                "wait for the state change that allows it"
            }
            CallErrorCause::Superseded(_) => "look at the call before asking again",
            CallErrorCause::Claimed(_) => "wait for the end of the claim",
            CallErrorCause::PortsExhausted => "widen network.rtp_ports or end calls",
            CallErrorCause::Negotiation(_) => "offer PCMU or PCMA",
            CallErrorCause::RoomLimit => "raise limits.participants",
            CallErrorCause::RoomsExhausted => "raise limits.rooms",
            CallErrorCause::NoSuchService(_) => "name one of the built-in services",
            CallErrorCause::Limit(_) => "end calls or raise it",
            CallErrorCause::NoDigits => "send no digits on this call",
            CallErrorCause::Invalid(_)
            | CallErrorCause::Dependency(_)
            | CallErrorCause::Sequence(_)
            | CallErrorCause::Group(_) => "mend the request",
            CallErrorCause::Panicked(_) => "report it with a recording: the call is ended, the switch goes on",
        }
    }
}

impl fmt::Display for CallErrorCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSession => f.write_str("there is no such session (any more)"),
            Self::IllegalOperation(operation) => write!(f, "its state does not allow to {operation}"),
            Self::Superseded(winner) => write!(f, "the operation to {winner} came first in the same tick"),
            Self::Claimed(by) => write!(f, "the call is claimed by {by}"),
            Self::IllegalTransition(transition) => transition.fmt(f),
            Self::PortsExhausted => f.write_str("no RTP port pair is free"),
            Self::Negotiation(why) => write!(f, "no session description was agreed: {why}"),
            Self::RoomLimit => f.write_str("the room has no place left"),
            Self::RoomsExhausted => f.write_str("there is no place for another room"),
            Self::NoSuchService(name) => write!(f, "there is no service {name:?}"),
            Self::Limit(limit) => write!(f, "the limit of {limit} is reached"),
            Self::NoDigits => f.write_str("the peer takes no digits (no telephone-event)"),
            Self::Invalid(what) => f.write_str(what),
            Self::Panicked(system) => write!(f, "the system {system} panicked"),
            Self::Dependency(why) => why.fmt(f),
            Self::Sequence(why) => why.fmt(f),
            Self::Group(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for MediaStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no media"),
            Self::Offered { port } => write!(f, "media offered at port {port}"),
            Self::Agreed { port, remote, codec, direction } => {
                write!(f, "{codec} {} between port {port} and {remote}", direction.as_str())
            }
        }
    }
}

/// Session, state, dialog, media, Call-ID, time and tick, as far as there are any.
impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.session, self.state) {
            (StableId(0), _) => f.write_str("no session")?,
            (session, None) => write!(f, "session {session}")?,
            (session, Some(state)) => {
                write!(f, "session {session} ({state}")?;
                match self.dialog {
                    Some(dialog) => write!(f, ", dialog {} {:?}", dialog.id, dialog.state)?,
                    None => f.write_str(", no dialog")?,
                }
                let call_id = self.call_id.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                write!(f, ", {}, Call-ID {call_id:?})", self.media)?;
            }
        }
        write!(f, " at {}, tick {}", self.time, self.tick.0)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.context, self.cause, self.advice())
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_all_that_is_known_of_its_call() {
        let context = ErrorContext {
            session: StableId(0x1f),
            state: Some(SessionState::Connected),
            call_id: Some("c@h".into()),
            dialog: Some(DialogStanding { id: StableId(0x21), state: DialogState::Confirmed }),
            media: MediaStanding::Agreed {
                port: 10_000,
                remote: "10.0.0.2:30002".parse().unwrap(),
                codec: Codec::Pcma,
                direction: Direction::SendRecv,
            },
            tick: Now(400),
            time: WallTime(1_000_002_000),
        };
        let error = CallError::new(CallErrorCause::IllegalOperation(OperationKind::Resume), context.clone());
        assert_eq!(
            error.to_string(),
            "session #1f (Connected, dialog #21 Confirmed, PCMA sendrecv between port 10000 and 10.0.0.2:30002, \
             Call-ID \"c@h\") at 1970-01-12T13:46:42.000Z, tick 400: its state does not allow to resume; wait for the \
             state change that allows it"
        );
        let unborn = ErrorContext { session: StableId(0), state: None, ..context };
        let error = CallError::new(CallErrorCause::Limit("sessions".into()), unborn);
        assert!(
            error.to_string().starts_with("no session at 1970-01-12T13:46:42.000Z, tick 400: the limit"),
            "{error}"
        );
    }
}
