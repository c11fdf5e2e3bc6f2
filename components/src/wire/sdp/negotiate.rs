//! What an offer and an answer agree on (RFC 3264).

use super::description::Stream;
use super::write::{Accepted, TELEPHONE_EVENT_PAYLOAD_TYPE, write_answer};
use super::{Codec, Direction, SdpError, SessionDescription};
use crate::record::Record;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// What we can do and want to.
#[derive(Debug, Clone, Copy)]
pub struct LocalMedia<'a> {
    /// Where we receive.
    pub address: IpAddr,
    /// The port for RTP; RTCP is on the next one.
    pub port: u16,
    /// The codecs that we allow; in an offer, the first is preferred.
    pub codecs: &'a [Codec],
    /// What we want to do.
    pub direction: Direction,
    /// The packet time where the other side has no wish, in milliseconds.
    pub ptime_ms: u8,
    /// The id of our description, the same throughout the session.
    pub session_id: u64,
    /// Its version, one more whenever the description changes.
    pub version: u64,
    /// Whether telephone events are spoken.
    pub telephone_event: bool,
}

/// An agreed audio stream.
#[derive(Record, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Negotiated {
    /// Where RTP goes. The address is null when held the old way, or when a host name stood there.
    pub remote: SocketAddr,
    /// Where RTCP goes.
    pub remote_rtcp: Option<SocketAddr>,
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

/// Answers an offer: its first audio stream that we can use with the first codec, in the offerer's order, that we allow.
/// Every other stream is turned down (port 0), so that the lines of both stay aligned. The offerer's payload types are
/// used in both directions.
///
/// # Errors
/// [`SdpError::NoAudio`] or [`SdpError::NoCommonCodec`]: the call is to be refused with 488.
pub fn answer(offer: &SessionDescription, local: &LocalMedia<'_>) -> Result<(Bytes, Negotiated), SdpError> {
    let mut usable = offer.streams().enumerate().filter(|(_, stream)| stream.is_usable()).peekable();
    usable.peek().ok_or(SdpError::NoAudio)?;
    let (index, stream, codec, payload_type) = usable
        .find_map(|(index, stream)| {
            let (codec, payload_type) = stream.codec(local.codecs)?;
            Some((index, stream, codec, payload_type))
        })
        .ok_or(SdpError::NoCommonCodec)?;
    let dtmf = stream.telephone_event(codec).filter(|_| local.telephone_event);
    let negotiated = agree(stream, local, codec, (payload_type, payload_type), (dtmf, dtmf));
    Ok((write_answer(offer, local, &Accepted { index, negotiated: &negotiated }), negotiated))
}

/// Reads the answer to an offer written by [`super::offer`] from the same `local`.
///
/// # Errors
/// [`SdpError::Rejected`] where the stream was turned down, [`SdpError::NoCommonCodec`] where the answer names no codec
/// that was offered.
pub fn accept_answer(local: &LocalMedia<'_>, answer: &SessionDescription) -> Result<Negotiated, SdpError> {
    let stream = answer.streams().next().filter(|stream| stream.is_usable()).ok_or(SdpError::Rejected)?;
    let (codec, payload_type) = stream.codec(local.codecs).ok_or(SdpError::NoCommonCodec)?;
    let dtmf = stream.telephone_event(codec).filter(|_| local.telephone_event);
    let receive_dtmf = dtmf.map(|_| TELEPHONE_EVENT_PAYLOAD_TYPE);
    Ok(agree(stream, local, codec, (payload_type, codec.static_payload_type()), (dtmf, receive_dtmf)))
}

fn agree(
    stream: Stream<'_>,
    local: &LocalMedia<'_>,
    codec: Codec,
    (payload_type, receive_payload_type): (u8, u8),
    (dtmf_payload_type, receive_dtmf_payload_type): (Option<u8>, Option<u8>),
) -> Negotiated {
    Negotiated {
        remote: stream.rtp(),
        remote_rtcp: stream.rtcp(),
        codec,
        payload_type,
        receive_payload_type,
        dtmf_payload_type,
        receive_dtmf_payload_type,
        ptime_ms: stream.ptime_ms().unwrap_or(local.ptime_ms.clamp(10, 60) / 10 * 10),
        direction: crate::planted!(UnmirroredDirection ? stream.direction(), stream.direction().mirrored())
            .and(local.direction),
    }
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
