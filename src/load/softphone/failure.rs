//! Why a call did not do what was asked.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::ua::call::End;

/// Why a call failed. `Display` writes it as a sentence.
#[derive(Debug)]
pub enum Failure {
    /// The address to call, or the one to call from, is no usable `sip:` URI.
    BadUri(String),
    /// The address needs TLS (`sips:` or `transport=tls`), which there is not.
    NeedsTls(String),
    /// The file to play can't be used.
    BadSound {
        path: PathBuf,
        why: String,
    },
    /// A character that no phone has a key for.
    BadDigit(char),
    /// A setting is out of its range.
    BadSetting(&'static str),
    Resolve {
        host: String,
        error: io::Error,
    },
    /// A TCP connection could not be made, or broke.
    Connection {
        to: SocketAddr,
        error: io::Error,
    },
    /// Sockets or files on this machine.
    Local(io::Error),
    /// Refused with a SIP status.
    Rejected {
        status: u16,
        phrase: String,
    },
    /// Nothing listens there (ICMP).
    PortClosed(SocketAddr),
    /// No response at all.
    NoResponse(SocketAddr),
    /// The peer rang, but did not answer.
    NotAnswered {
        seconds: u64,
    },
    /// Given up before it was answered.
    Cancelled,
    /// Answered without audio that we understand.
    NoAudio,
    /// The other side cannot receive digits (no telephone-event in its SDP).
    NoDigits,
    /// A tone was expected, and no packet came.
    NothingHeard,
    /// Packets came, but nothing in them was loud enough to be a tone.
    OnlySilence {
        expected_hz: u16,
    },
    /// Something else was heard; the strongest tone, if there was a clear one.
    WrongTone {
        expected_hz: u16,
        strongest_hz: Option<u16>,
    },
    /// The other side never confirmed our BYE.
    ByeUnanswered,
    /// The recording could not be written.
    Recording(hound::Error),
}

impl Failure {
    /// The failure that an end means, if it means one.
    pub(super) fn of_end(end: &End, to: SocketAddr, waited_s: u64) -> Option<Failure> {
        Some(match end {
            End::Completed | End::HungUp => return None,
            End::Rejected { status, phrase } => Failure::Rejected { status: *status, phrase: phrase.clone() },
            End::NoAnswer { rang: false } => Failure::NoResponse(to),
            End::NoAnswer { rang: true } => Failure::NotAnswered { seconds: waited_s },
            End::Refused => Failure::PortClosed(to),
            End::ByeUnanswered => Failure::ByeUnanswered,
            End::Cancelled => Failure::Cancelled,
            End::BadAnswer => Failure::NoAudio,
            End::Local(what) => Failure::Local(io::Error::other(what.clone())),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::BadUri(uri) => write!(f, "`{uri}` is no address to call: write sip:user@host[:port]"),
            Failure::BadDigit(digit) => write!(f, "`{digit}` is no DTMF digit: 0-9, *, #, A-D"),
            Failure::NeedsTls(uri) => {
                write!(f, "{uri} asks for TLS, which is not supported: call sip:user@host over UDP or transport=tcp")
            }
            Failure::BadSound { path, why } => write!(f, "{} can't be played: {why}", path.display()),
            Failure::BadSetting(what) => f.write_str(what),
            Failure::Resolve { host, error } => write!(f, "the host `{host}` has no address: {error}"),
            Failure::Connection { to, error } => write!(f, "no TCP connection with {to}: {error}"),
            Failure::Local(error) => write!(f, "this machine: {error}"),
            Failure::Rejected { status, phrase } => write!(f, "the call was refused: {status} {phrase}"),
            Failure::PortClosed(to) => write!(f, "nothing listens at {to} (port closed)"),
            Failure::NoResponse(to) => write!(f, "{to} does not respond"),
            Failure::NotAnswered { seconds } => write!(f, "it rang for {seconds} s and was not answered"),
            Failure::Cancelled => f.write_str("the call was given up before it was answered"),
            Failure::NoAudio => f.write_str("the call was answered, but without audio that is understood here"),
            Failure::NoDigits => f.write_str("the other side does not take DTMF digits (no telephone-event)"),
            Failure::NothingHeard => f.write_str("the call was answered, but nothing was heard"),
            Failure::OnlySilence { expected_hz } => {
                write!(f, "a tone of {expected_hz} Hz was expected, but there was only silence")
            }
            Failure::WrongTone { expected_hz, strongest_hz: Some(heard) } => {
                write!(f, "a tone of {expected_hz} Hz was expected, but {heard} Hz was heard")
            }
            Failure::WrongTone { expected_hz, strongest_hz: None } => {
                write!(f, "a tone of {expected_hz} Hz was expected, but other sounds were heard")
            }
            Failure::ByeUnanswered => f.write_str("the other side never confirmed the end of the call"),
            Failure::Recording(error) => write!(f, "the recording could not be written: {error}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Failure::Resolve { error, .. } | Failure::Connection { error, .. } | Failure::Local(error) => Some(error),
            Failure::Recording(error) => Some(error),
            _ => None,
        }
    }
}
