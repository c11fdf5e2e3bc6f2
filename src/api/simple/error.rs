//! What can go wrong, as a sentence that says what to do.

use super::CallState;
use crate::config::ConfigError;
use crate::engine::StartError;
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
        /// What the look-up said.
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
    Ended,
    /// The call's state does not allow it.
    NotNow {
        /// The state that it is in.
        state: String,
        /// What was asked for.
        operation: String,
    },
    /// A limit is reached.
    Limit(String),
    /// Something that was given is not as it should be.
    Invalid(String),
    /// What was waited for did not happen in time; the call was left as it is.
    TimedOut {
        /// What was waited for.
        awaited: CallState,
        /// How long.
        waited: Duration,
    },
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
            Self::Ended => f.write_str("the call is over"),
            Self::NotNow { state, operation } => {
                write!(f, "a call in state {state} can't {operation}; wait for the state that allows it")
            }
            Self::Limit(limit) => write!(f, "the limit of {limit} is reached; end calls or raise it"),
            Self::Invalid(what) => f.write_str(what),
            Self::TimedOut { awaited, waited } => write!(f, "the call was not {awaited} within {waited:?}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Start(error) => Some(error),
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
            Refusal::NoSuchSession => Self::Ended,
            Refusal::IllegalState { state, operation } => Self::NotNow { state, operation },
            Refusal::Limit(limit) => Self::Limit(limit),
            Refusal::Invalid(what) => Self::Invalid(what),
        }
    }
}
