//! Facts that systems may read and requests that they may write. This is what behaviours are made of.

use super::{Ending, SessionOperation, SessionState};
use bevy_ecs::prelude::*;

/// A call came in and waits to be rung, answered or rejected. Read it in `Phase::Behaviour`.
#[derive(Message, Clone, Debug)]
pub struct CallOffered {
    /// The session.
    pub session: Entity,
}

/// A session changed its state.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateChanged {
    /// The session.
    pub session: Entity,
    /// The state it left.
    pub from: SessionState,
    /// The state it entered.
    pub to: SessionState,
}

/// A session ended; it is despawned in `Phase::Cleanup` of the next tick.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct CallEnded {
    /// The session.
    pub session: Entity,
    /// How.
    pub ending: Ending,
}

/// A digit was heard on a session (RFC 4733).
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigitHeard {
    /// The session.
    pub session: Entity,
    /// `0-9 * # A-D`.
    pub digit: char,
    /// How long it was pressed, in milliseconds.
    pub duration_ms: u32,
}

/// A request: do this to that session. Written in `Phase::Behaviour`, carried out in `Phase::Admission` of the same tick
/// in the order of stable ids. One that is illegal in the session's state changes nothing and is counted and traced.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct CallRequest {
    /// The session.
    pub session: Entity,
    /// What to do.
    pub action: CallAction,
}

/// What a [`CallRequest`] asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallAction {
    /// Send 180.
    Ring,
    /// Answer and connect to a service.
    Answer(ServiceName),
    /// Refuse with this status.
    Reject(u16),
    /// Hold the peer.
    Hold,
    /// Take the peer back.
    Resume,
    /// Send digits.
    SendDtmf(String),
    /// End the call.
    HangUp,
}

/// The name of a service, see [`Service::named`](super::Service::named).
pub type ServiceName = String;

impl CallRequest {
    /// Send 180.
    pub fn ring(session: Entity) -> Self {
        Self { session, action: CallAction::Ring }
    }

    /// Answer and connect to the service of that name; see [`Service::named`](super::Service::named).
    pub fn answer(session: Entity, service: impl Into<ServiceName>) -> Self {
        Self { session, action: CallAction::Answer(service.into()) }
    }

    /// Refuse with a status of 300-699.
    pub fn reject(session: Entity, status: u16) -> Self {
        Self { session, action: CallAction::Reject(status) }
    }

    /// End the call.
    pub fn hang_up(session: Entity) -> Self {
        Self { session, action: CallAction::HangUp }
    }
}

impl CallAction {
    /// The operation whose legality decides.
    pub fn operation(&self) -> SessionOperation {
        match self {
            Self::Ring => SessionOperation::Ring,
            Self::Answer(_) => SessionOperation::Answer,
            Self::Reject(_) => SessionOperation::Reject,
            Self::Hold => SessionOperation::Hold,
            Self::Resume => SessionOperation::Resume,
            Self::SendDtmf(_) => SessionOperation::SendDtmf,
            Self::HangUp => SessionOperation::HangUp,
        }
    }
}

/// A request: play a built-in clip to the peer of a session, over whatever it hears.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The session.
    pub session: Entity,
    /// The clip.
    pub clip: &'static str,
}

impl Announce {
    /// The clip of that name. Clips are short signals: two beeps for every name, until files can be played.
    pub fn clip(session: Entity, clip: &'static str) -> Self {
        Self { session, clip }
    }
}

/// Timer of a session: it has been ringing, or waiting for a decision, for too long.
pub struct RingDeadline;

/// Timer of a session: it has lasted for too long.
pub struct DurationDeadline;

/// Timer of a session: it has rung long enough and is answered now (`ring-N`).
pub struct RingThenAnswer;

/// Timer of a session that we cancelled: the final response to its INVITE never came.
pub struct CancelDeadline;
