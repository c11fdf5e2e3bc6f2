//! What an offer and an answer agree on (RFC 3264).

use super::description::Stream;
use super::media_line::taken;
use super::{Codec, Direction, MediaLine, Negotiated, SdpError, SessionDescription};
use std::net::IpAddr;

/// What we can do and want to.
#[derive(Debug, Clone, Copy)]
pub struct LocalMedia<'a> {
    /// Where we receive.
    pub address: IpAddr,
    /// The port for RTP; RTCP is on the next one.
    pub port: u16,
    /// The codecs that we allow.
    pub codecs: &'a [Codec],
    /// Those of them that we offer, the preferred one first.
    pub offered: &'a [Codec],
    /// What we want to do.
    pub direction: Direction,
    /// The packet time where the other side has no wish, in milliseconds.
    pub ptime_ms: u8,
    /// Whether telephone events are spoken.
    pub telephone_event: bool,
}

/// What we take of an offer: its first audio stream that we can use, with the first codec, in the offerer's order, that
/// we allow. A stream that is in use, by the lines of the last agreement in `before`, comes before all others. Every
/// other stream is turned down, so that the lines of both stay aligned. The offerer's payload types are used in both
/// directions. Of an offer that turns all streams of an agreement off none is taken (section 8.2).
///
/// # Errors
/// [`SdpError::NoAudio`], [`SdpError::NoAddress`] or [`SdpError::NoCommonCodec`]: the offer is to be refused with 488.
pub fn accept_offer(
    offer: &SessionDescription,
    before: &[MediaLine],
    local: &LocalMedia<'_>,
) -> Result<Vec<MediaLine>, SdpError> {
    let turns_all_off = !before.is_empty() && offer.streams().count() > 0 && offer.streams().all(Stream::is_off);
    let mut choice = if turns_all_off { None } else { Some(choose(offer, before, local)?) };
    let take = |(index, stream): (usize, Stream<'_>)| {
        stream.line(choice.take_if(|(chosen, _)| *chosen == index).map(|(_, agreed)| agreed))
    };
    Ok(offer.streams().enumerate().map(take).collect())
}

fn choose(
    offer: &SessionDescription,
    before: &[MediaLine],
    local: &LocalMedia<'_>,
) -> Result<(usize, Negotiated), SdpError> {
    let in_use = taken(before).map(|(index, _)| index);
    let first = in_use.and_then(|index| Some((index, offer.stream(index)?)));
    let mut error = SdpError::NoAudio;
    for (index, stream) in first.into_iter().chain(offer.streams().enumerate()) {
        if !stream.is_audio() {
            continue;
        }
        if stream.rtp(local.address).is_none() {
            error = error.max(SdpError::NoAddress);
            continue;
        }
        let Some((codec, payload_type)) = stream.codec(local.codecs) else {
            error = error.max(SdpError::NoCommonCodec);
            continue;
        };
        let dtmf = stream.telephone_event(codec).filter(|_| local.telephone_event);
        let types =
            PayloadTypes { codec, send: payload_type, receive: payload_type, send_dtmf: dtmf, receive_dtmf: dtmf };
        if let Some(agreed) = agree(stream, local.address, types, local.direction, local.ptime_ms) {
            return Ok((index, agreed));
        }
    }
    Err(error)
}

/// Reads the answer to an offer of ours: line by line, the first of audio that is taken.
///
/// # Errors
/// [`SdpError::Rejected`] where the streams were turned down, [`SdpError::NoAddress`] where the answer names no address
/// that we can send to, [`SdpError::NoCommonCodec`] where it names no codec that was offered.
pub fn accept_answer(offer: &SessionDescription, answer: &SessionDescription) -> Result<Vec<MediaLine>, SdpError> {
    let mut error = SdpError::Rejected;
    let mut is_taken = false;
    let mut lines = Vec::new();
    let mut answers = answer.streams();
    for offered in offer.streams() {
        let answered = answers.next().filter(|_| !is_taken && offered.is_audio()).filter(|answer| answer.is_audio());
        let agreed = match answered.map(|answered| accept_line(offered, answered)) {
            None => None,
            Some(Ok(agreed)) => Some(agreed),
            Some(Err(why)) => {
                error = error.max(why);
                None
            }
        };
        is_taken |= agreed.is_some();
        lines.push(offered.line(agreed));
    }
    if is_taken { Ok(lines) } else { Err(error) }
}

fn accept_line(offered: Stream<'_>, answered: Stream<'_>) -> Result<Negotiated, SdpError> {
    let local = offered.connection.ip().ok_or(SdpError::NoAddress)?;
    answered.rtp(local).ok_or(SdpError::NoAddress)?;
    let allowed: Vec<Codec> = Codec::ALL.iter().copied().filter(|codec| offered.codec(&[*codec]).is_some()).collect();
    let (codec, send) = answered.codec(&allowed).ok_or(SdpError::NoCommonCodec)?;
    let (_, receive) = offered.codec(&[codec]).ok_or(SdpError::NoCommonCodec)?;
    let receive_dtmf = offered.telephone_event(codec);
    let send_dtmf = answered.telephone_event(codec).filter(|_| receive_dtmf.is_some());
    let types =
        PayloadTypes { codec, send, receive, send_dtmf, receive_dtmf: receive_dtmf.filter(|_| send_dtmf.is_some()) };
    agree(answered, local, types, offered.direction(), offered.ptime_ms().unwrap_or(20)).ok_or(SdpError::NoAddress)
}

struct PayloadTypes {
    codec: Codec,
    send: u8,
    receive: u8,
    send_dtmf: Option<u8>,
    receive_dtmf: Option<u8>,
}

/// What the other side's stream comes to with ours.
fn agree(
    stream: Stream<'_>,
    local: IpAddr,
    types: PayloadTypes,
    direction: Direction,
    ptime_ms: u8,
) -> Option<Negotiated> {
    Some(Negotiated {
        remote: stream.rtp(local)?,
        codec: types.codec,
        payload_type: types.send,
        receive_payload_type: types.receive,
        dtmf_payload_type: types.send_dtmf,
        receive_dtmf_payload_type: types.receive_dtmf,
        ptime_ms: stream.ptime_ms().unwrap_or(ptime_ms.clamp(10, 60) / 10 * 10).min(types.codec.ptime_ms_max()),
        direction: crate::planted!(UnmirroredDirection ? stream.direction(), stream.direction().mirrored())
            .and(direction),
    })
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
