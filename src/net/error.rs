//! Why the network could not be started.

use ringworld_components::edge::Transport;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Why [`Net::start`](super::Net::start) refused. Whatever had been opened is closed again.
#[derive(Debug)]
pub enum NetError {
    /// A SIP address could not be bound.
    Bind {
        /// The transport.
        transport: Transport,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// Not one RTP port pair of the range could be opened.
    NoPorts {
        /// The first and the last port of the range.
        range: (u16, u16),
        /// The address to bind them to.
        address: IpAddr,
        /// The system's error for the last pair tried, if one was tried at all.
        source: Option<io::Error>,
    },
    /// The process may not even have the descriptors that one port pair of each RTP thread needs.
    Descriptors {
        /// How many the port range and the connections can need.
        needed: u64,
        /// How many the system grants (the hard limit of RLIMIT_NOFILE).
        granted: u64,
    },
    /// A setting has a value that can't work.
    Setting {
        /// The setting.
        name: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// The system refused something else that is needed: an event descriptor, a thread.
    System {
        /// What was being done.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { transport, address, source } => {
                write!(f, "can't listen for SIP over {transport} on {address}: {source}")
            }
            Self::NoPorts { range: (first, last), address, source } => {
                write!(f, "no pair of RTP ports from {first} to {last} can be opened on {address}")?;
                source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
            }
            Self::Descriptors { needed, granted } => write!(
                f,
                "the RTP ports and TCP connections can need {needed} file descriptors and the system grants {granted}: \
                 that is too few for any port pair; raise the hard limit (ulimit -Hn)"
            ),
            Self::Setting { name, must } => write!(f, "{name} must be {must}"),
            Self::System { doing, source } => write!(f, "{doing} failed: {source}"),
        }
    }
}

impl std::error::Error for NetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::System { source, .. } => Some(source),
            Self::NoPorts { source, .. } => source.as_ref().map(|source| source as _),
            Self::Descriptors { .. } | Self::Setting { .. } => None,
        }
    }
}

/// Names what was being done when the system refused.
pub(super) fn system<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> NetError {
    move |source| NetError::System { doing, source: source.into() }
}
