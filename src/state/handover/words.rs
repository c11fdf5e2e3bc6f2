//! The messages of a hand-over, and their encoding.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

/// The version of all these messages: a process that uses another one is told so. The first did not name itself.
pub(super) const VERSION: u32 = 2;

/// The longest message, in bytes: the list of all ports and some. Also the most bytes that follow one.
pub(super) const MESSAGE_BYTES_MAX: usize = 1 << 20;

fn first_version() -> u32 {
    1
}

/// The messages of both sides.
#[derive(Serialize, Deserialize, Debug)]
pub(super) enum Word {
    /// The successor's request to take over.
    Hello {
        build: String,
        #[serde(default = "first_version")]
        version: u32,
    },
    /// What descriptors follow, behind that of the lock, and how many parcels behind them.
    Here {
        #[serde(default = "first_version")]
        version: u32,
        sip: Vec<(String, SocketAddr)>,
        rtp: Vec<u16>,
        #[serde(default)]
        connections: usize,
        #[serde(default)]
        parcels: usize,
    },
    /// The hand-over is refused.
    Refused { why: String },
    /// The worlds and the network of the successor are ready.
    Ready { process: u32 },
    /// They belong to the successor from now on.
    Go,
}

/// A message as it goes over the stream; an error if it is too long.
pub(super) fn framed(word: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(word)?;
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(damaged("a message is too long"));
    }
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    Ok([&length.to_le_bytes()[..], &body].concat())
}

pub(super) fn say(mut stream: &UnixStream, word: &Word) -> io::Result<()> {
    stream.write_all(&framed(word)?)
}

/// Reads one message and not a byte more: descriptors come with the bytes behind it.
pub(super) fn hear<T: DeserializeOwned>(mut stream: &UnixStream) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(damaged("a message is too long"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    serde_json::from_slice(&body).map_err(io::Error::from)
}

pub(super) fn unexpected(word: &impl Debug) -> io::Error {
    damaged(&format!("unexpected: {word:?}"))
}

pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
