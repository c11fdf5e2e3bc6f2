//! What was agreed, line by line.

use super::{Codec, Direction};
use crate::record::Record;
use bytes::Bytes;
use std::net::SocketAddr;

/// An `m=` line of an agreement. Its index is its place in the offer and in the answer, and in every description of the
/// session after them (RFC 3264 section 8).
#[derive(Record, Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaLine {
    /// The media type: `audio`, `video`, `image` ...
    pub media: Bytes,
    /// The transport protocol: `RTP/AVP`, `RTP/SAVP`, `udptl` ...
    pub protocol: Bytes,
    /// The first format: a payload type, or what the protocol has in its place.
    pub format: Bytes,
    /// What was agreed on it; `None` if it is off or was turned down: its port is 0 in the answer.
    pub taken: Option<Negotiated>,
}

/// An agreed audio stream.
#[derive(Record, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Negotiated {
    /// Where RTP goes. The address is null when the peer holds the old way, or names a host.
    pub remote: SocketAddr,
    /// The codec, of both directions.
    pub codec: Codec,
    /// The payload type to send it with.
    pub payload_type: u8,
    /// The payload type that it comes with.
    pub receive_payload_type: u8,
    /// The payload type to send telephone events with, if they are agreed on.
    pub dtmf_payload_type: Option<u8>,
    /// The payload type that telephone events come with.
    pub receive_dtmf_payload_type: Option<u8>,
    /// The packet time to send with, in milliseconds: 10, 20 ... 60.
    pub ptime_ms: u8,
    /// Our direction.
    pub direction: Direction,
}

/// The index and the agreement of the line that is taken, if one is.
pub fn taken(lines: &[MediaLine]) -> Option<(usize, &Negotiated)> {
    lines.iter().enumerate().find_map(|(index, line)| Some((index, line.taken.as_ref()?)))
}
