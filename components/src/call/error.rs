//! Errors that say which call they are about.

use super::{EndCause, IllegalTransition, Session, SessionOperation, SessionState};
use crate::kernel::{Now, StableId};
use crate::wire::sdp::SdpError;
use bytes::Bytes;
use std::fmt;

/// What went wrong with a call, and where it stood. Built by [`CallError::new`] alone, so that all look the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// What went wrong.
    pub cause: CallErrorCause,
    /// Where the call stood.
    pub context: Box<ErrorContext>,
}

/// The circumstances of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorContext {
    /// The session.
    pub session: StableId,
    /// Its Call-ID, which names the call in the peers' logs.
    pub call_id: Option<Bytes>,
    /// The state it was in.
    pub state: SessionState,
    /// The tick.
    pub tick: Now,
    /// Whether media were set up.
    pub has_media: bool,
}

/// What went wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallErrorCause {
    /// The state does not allow the operation.
    IllegalOperation(SessionOperation),
    /// The state machine refused a change.
    IllegalTransition(IllegalTransition),
    /// No port pair is free.
    PortsExhausted,
    /// There is no codec in common, or the session description can't be used.
    Negotiation(SdpError),
    /// A room has no place left.
    RoomLimit,
    /// There are as many rooms as there may be.
    RoomsExhausted,
    /// Digits can't be sent.
    Digits(&'static str),
    /// The service's name is not known.
    NoSuchService(String),
    /// The call ended.
    Ended(EndCause),
    /// The work for the call panicked in this system.
    Panicked(String),
}

impl CallError {
    /// An error about `session`.
    pub fn new(
        cause: CallErrorCause,
        id: StableId,
        session: &Session,
        call_id: Option<Bytes>,
        tick: Now,
        has_media: bool,
    ) -> Self {
        let context = ErrorContext { session: id, call_id, state: session.state(), tick, has_media };
        Self { cause, context: Box::new(context) }
    }

    /// The SIP status that tells the peer.
    pub fn status(&self) -> u16 {
        match &self.cause {
            CallErrorCause::PortsExhausted | CallErrorCause::RoomsExhausted => 503,
            CallErrorCause::Negotiation(why) => why.status(),
            CallErrorCause::RoomLimit => 486,
            CallErrorCause::NoSuchService(_) => 404,
            CallErrorCause::IllegalOperation(_)
            | CallErrorCause::IllegalTransition(_)
            | CallErrorCause::Digits(_)
            | CallErrorCause::Ended(_)
            | CallErrorCause::Panicked(_) => 500,
        }
    }

    /// What the caller of the operation can do about it.
    pub fn advice(&self) -> &'static str {
        match &self.cause {
            CallErrorCause::IllegalOperation(_) | CallErrorCause::IllegalTransition(_) => {
                "wait for the state change that allows it"
            }
            CallErrorCause::PortsExhausted => "widen rtp_ports or end calls",
            CallErrorCause::Negotiation(_) => "offer PCMU or PCMA",
            CallErrorCause::RoomLimit => "raise limits.participants",
            CallErrorCause::RoomsExhausted => "raise limits.rooms",
            CallErrorCause::Digits(_) => "send at most 64 of 0-9 * # A-D, to a peer that takes telephone-events",
            CallErrorCause::NoSuchService(_) => "use a built-in service's name",
            CallErrorCause::Ended(_) => "nothing: the call is over",
            CallErrorCause::Panicked(_) => "report it with a recording: the call is ended, the switch goes on",
        }
    }
}

impl fmt::Display for CallErrorCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IllegalOperation(operation) => write!(f, "its state does not allow to {operation}"),
            Self::IllegalTransition(transition) => transition.fmt(f),
            Self::PortsExhausted => f.write_str("no RTP port pair is free"),
            Self::Negotiation(why) => write!(f, "no session description was agreed: {why}"),
            Self::RoomLimit => f.write_str("the room has no place left"),
            Self::RoomsExhausted => f.write_str("there is no place for another room"),
            Self::Digits(why) => write!(f, "the digits can't be sent: {why}"),
            Self::NoSuchService(name) => write!(f, "there is no service {name:?}"),
            Self::Ended(cause) => write!(f, "it ended: {}", cause.as_str()),
            Self::Panicked(system) => write!(f, "the system {system} panicked"),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorContext { session, call_id, state, tick, has_media } = self.context.as_ref();
        let call_id = call_id.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let media = if *has_media { "with media" } else { "without media" };
        write!(f, "session {session} ({state}, {media}, Call-ID {call_id:?}, tick {}): {}; ", tick.0, self.cause)?;
        f.write_str(self.advice())
    }
}

impl std::error::Error for CallError {}
