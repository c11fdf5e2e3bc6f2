//! What can go wrong. Each error is a sentence that says what to do.

use super::{CallEnding, CallState, SessionId};
use crate::config::ConfigError;
use crate::engine::StartError;
use ringworld_components::call::{CallError, CallErrorCause, ErrorContext};
use ringworld_components::edge::Refusal;
use std::fmt;
use std::net::AddrParseError;
use std::time::Duration;

/// Why something could not be done. Nothing was changed, unless it says so.
#[derive(Debug)]
pub enum Error {
    /// An address or a URI can't be read.
    Address {
        /// As it was given.
        given: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// A host name leads to no address that we can reach.
    Unreachable {
        /// The host.
        host: String,
        /// The resolver's error.
        why: String,
    },
    /// A setting has a value that can't work.
    Config(ConfigError),
    /// The switch can't start.
    Start(StartError),
    /// There is no tokio runtime around this call.
    NoRuntime,
    /// The switch is not running: never started, or stopped.
    NotRunning,
    /// The switch is running already.
    AlreadyRunning,
    /// The call is over.
    Ended {
        /// The call.
        call: SessionId,
        /// How it ended, where that is known.
        ending: Option<CallEnding>,
    },
    /// The call's state does not allow it. The error holds the state of the call, and the time.
    NotNow(CallError),
    /// The switch refused for another reason, such as a limit. The error holds the state of the call, and the time.
    Refused(CallError),
    /// The switch is too busy, or has stopped.
    Busy(String),
    /// Something that was given is not as it should be.
    Invalid(String),
    /// What was waited for did not happen in time; the call was left as it is.
    TimedOut {
        /// The call.
        call: SessionId,
        /// The state that it is in.
        state: CallState,
        /// What was waited for.
        awaited: CallState,
        /// How long.
        waited: Duration,
    },
}

impl Error {
    /// The state of the call when the switch refused: its state and media, the tick and the time of day.
    pub fn context(&self) -> Option<&ErrorContext> {
        match self {
            Self::NotNow(error) | Self::Refused(error) => Some(&error.context),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { given, expected } => write!(f, "{given:?} is not {expected}"),
            Self::Unreachable { host, why } => {
                write!(f, "{host:?} can't be reached: {why}; check the name, and that we listen in its address family")
            }
            Self::Config(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
            Self::NoRuntime => f.write_str("a SessionManager needs a tokio runtime; use #[tokio::main]"),
            Self::NotRunning => f.write_str("the switch is not running; call start_server first"),
            Self::AlreadyRunning => {
                f.write_str("the switch is running already; stop it, or make a second SessionManager")
            }
            Self::Ended { call, ending: Some(ending) } => write!(f, "call {call} is over: {ending}"),
            Self::Ended { call, ending: None } => write!(f, "call {call} is over"),
            Self::NotNow(error) | Self::Refused(error) => error.fmt(f),
            Self::Busy(what) | Self::Invalid(what) => f.write_str(what),
            Self::TimedOut { call, state, awaited, waited } => {
                write!(
                    f,
                    "call {call} was not {awaited} within {waited:?}, it is {state}; wait longer, or terminate it"
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Start(error) => Some(error),
            Self::NotNow(error) | Self::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl From<AddrParseError> for Error {
    fn from(_: AddrParseError) -> Self {
        Self::Address { given: "the address".to_owned(), expected: "ADDRESS:PORT, such as 127.0.0.1:5060" }
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::World(error) => match &error.cause {
                CallErrorCause::NoSuchSession => Self::Ended { call: error.context.session, ending: None },
                CallErrorCause::IllegalOperation(_) | CallErrorCause::IllegalTransition(_) => Self::NotNow(error),
                _ => Self::Refused(error),
            },
            Refusal::NotTaken(_) | Refusal::NoAnswer => Self::Busy(refusal.to_string()),
        }
    }
}
