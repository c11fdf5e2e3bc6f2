//! A capture of SIP and RTP becomes a recording: the engine takes the place of one of its hosts, is given what that
//! host received, and answers by itself. Where its answers are not those of the host, that is listed.
//!
//! The engine's tags and ports are not the host's, and the peers in the capture don't know it. What they send is
//! rewritten so that it fits: To tags of the host become the engine's, packets for a port of the host go to the port
//! that the engine named in the same call, and responses to a request of the host become responses to the engine's. See
//! `docs/capture-import.md`.

mod account;
mod call;
mod capture;
mod compare;
mod datagram;
mod half;
mod legs;
mod message;
mod packets;
mod repeat;
mod report;
mod rewrite;
mod stand_in;
mod stream;

pub use account::Account;
pub use report::{Difference, NotRepeated, Point, Report};

use crate::config::Config;
use crate::replay::RecordError;
use capture::Capture;
use datagram::Unwrapper;
use ringworld_components::edge::Transport;
use stand_in::StandIn;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use stream::Streams;

/// The host that the engine stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Its address.
    pub ip: IpAddr,
    /// The port of its SIP, if only that port is meant.
    pub port: Option<u16>,
}

impl std::str::FromStr for Local {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { ip: address.ip(), port: Some(address.port()) });
        }
        let ip = text.parse().map_err(|_| format!("{text:?} is neither an IP address nor ADDRESS:PORT"))?;
        Ok(Self { ip, port: None })
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

impl Local {
    /// Whether `address` is where the host has its SIP, with `other` at the other end.
    fn is_at(&self, address: SocketAddr, other: SocketAddr, transport: Transport) -> bool {
        if address.ip() != self.ip {
            return false;
        }
        let is_apart = other.ip() != self.ip;
        match (self.port, transport) {
            // A connection that the host opened has some port.
            (Some(port), Transport::Tcp) => address.port() == port || (is_apart && other.port() != port),
            (Some(port), Transport::Udp) => address.port() == port,
            (None, _) => is_apart || address.port() == 5060,
        }
    }
}

/// Why nothing could be imported.
#[derive(Debug)]
pub enum ImportError {
    /// The capture can't be read.
    Io {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: std::io::Error,
    },
    /// It is no capture.
    NotACapture {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The recording can't be written.
    Record(RecordError),
    /// The host received no SIP message in the capture.
    NothingForUs {
        /// The host.
        local: Local,
        /// What the capture holds, as far as it could be used.
        account: Box<Account>,
    },
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "can't read {}: {error}", path.display()),
            Self::NotACapture { path, why } => write!(f, "{} is no pcap or pcapng file: {why}", path.display()),
            Self::Record(error) => error.fmt(f),
            Self::NothingForUs { local, account } => {
                write!(f, "no SIP message for {local} is in the capture")?;
                match account.busiest() {
                    Some(others) => write!(f, "; SIP is spoken there by {others}: name one of them with --local"),
                    None => write!(f, "; there is no SIP in it at all"),
                }
            }
        }
    }
}

impl std::error::Error for ImportError {}

/// Makes a recording of a capture.
///
/// # Errors
/// The capture can't be read or holds nothing for the host, or the recording can't be written. A capture that is
/// damaged is used up to the damage; the report says so.
pub fn import(capture: &Path, local: Local, config: &Config, out: &Path) -> Result<Report, ImportError> {
    let mut account = Account::default();
    let mut frames = Capture::open(capture)?;
    let mut unwrapper = Unwrapper::default();
    let mut streams = Streams::new(&config.sip);
    let mut stand_in: Option<StandIn> = None;
    while let Some(frame) = frames.next(&mut account) {
        let at = frame.at;
        let Some(datagram) = unwrapper.unwrap(&frame, &mut account) else { continue };
        let stand_in = match &mut stand_in {
            Some(stand_in) => stand_in,
            None => stand_in.insert(StandIn::begin(local, config, out, at).map_err(ImportError::Record)?),
        };
        for happening in streams.sort(datagram, local, &mut account) {
            stand_in.live_through(at, happening, &mut account);
        }
    }
    unwrapper.finish(&mut account);
    let left = streams.finish(&mut account);
    if let Some(stand_in) = &mut stand_in {
        let at = stand_in.now();
        left.into_iter().for_each(|happening| stand_in.live_through(at, happening, &mut account));
    }
    let Some(stand_in) = stand_in.filter(|_| account.sip_to_us > 0) else {
        let _ = std::fs::remove_file(out);
        return Err(ImportError::NothingForUs { local, account: Box::new(account) });
    };
    Ok(stand_in.finish(account))
}
