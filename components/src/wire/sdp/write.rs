//! Session descriptions, written.

use super::{LocalMedia, Negotiated, SessionDescription};
use bytes::Bytes;
use std::fmt::Write as _;

/// The payload type that we offer telephone events with.
pub(crate) const TELEPHONE_EVENT_PAYLOAD_TYPE: u8 = 101;

/// The stream of an offer that an answer accepts.
pub(crate) struct Accepted<'a> {
    pub(crate) index: usize,
    pub(crate) negotiated: &'a Negotiated,
}

/// An offer of one audio stream with static payload types.
pub fn offer(local: &LocalMedia<'_>) -> Bytes {
    let mut out = String::with_capacity(320);
    push_session(&mut out, local, std::iter::once((0, 0)));
    let _ = write!(out, "m=audio {} RTP/AVP", local.port);
    for codec in local.codecs {
        let _ = write!(out, " {}", codec.static_payload_type());
    }
    let events = local.telephone_event.then_some(TELEPHONE_EVENT_PAYLOAD_TYPE);
    if let Some(events) = events {
        let _ = write!(out, " {events}");
    }
    out.push_str("\r\n");
    for codec in local.codecs {
        push_codec(&mut out, codec.static_payload_type(), codec.name(), codec.clock_rate());
    }
    push_common(&mut out, events, local.codecs.first().map_or(8_000, |codec| codec.clock_rate()));
    let _ = write!(out, "a=ptime:{}\r\na={}\r\n", local.ptime_ms.clamp(10, 60), local.direction.as_str());
    Bytes::from(out)
}

/// An answer with as many streams as the offer, in its order, all but one turned down.
pub(crate) fn write_answer(offer: &SessionDescription, local: &LocalMedia<'_>, accepted: &Accepted<'_>) -> Bytes {
    let mut out = String::with_capacity(320);
    push_session(&mut out, local, offer.timing());
    for (index, stream) in offer.streams().enumerate() {
        let media = stream.media;
        if index != accepted.index {
            let _ = write!(out, "m={} 0 {}", media.media, media.protocol);
            for format in &media.formats {
                let _ = write!(out, " {format}");
            }
            out.push_str("\r\n");
            continue;
        }
        let agreed = accepted.negotiated;
        let _ = write!(out, "m=audio {} {} {}", local.port, media.protocol, agreed.receive_payload_type);
        if let Some(events) = agreed.receive_dtmf_payload_type {
            let _ = write!(out, " {events}");
        }
        out.push_str("\r\n");
        push_codec(&mut out, agreed.receive_payload_type, agreed.codec.name(), agreed.codec.clock_rate());
        push_common(&mut out, agreed.receive_dtmf_payload_type, agreed.codec.clock_rate());
        let _ = write!(out, "a=ptime:{}\r\na={}\r\n", agreed.ptime_ms, agreed.direction.as_str());
    }
    Bytes::from(out)
}

// Writing into a string can't fail.
fn push_session(out: &mut String, local: &LocalMedia<'_>, timing: impl Iterator<Item = (u64, u64)>) {
    let LocalMedia { address, session_id, version, .. } = local;
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let _ =
        write!(out, "v=0\r\no=- {session_id} {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\n");
    let mut timing = timing.peekable();
    if timing.peek().is_none() {
        out.push_str("t=0 0\r\n");
    }
    for (start, stop) in timing {
        let _ = write!(out, "t={start} {stop}\r\n");
    }
}

fn push_codec(out: &mut String, payload_type: u8, name: &str, clock_rate: u32) {
    let _ = write!(out, "a=rtpmap:{payload_type} {name}/{clock_rate}\r\n");
}

fn push_common(out: &mut String, events: Option<u8>, clock_rate: u32) {
    if let Some(events) = events {
        push_codec(out, events, "telephone-event", clock_rate);
        let _ = write!(out, "a=fmtp:{events} 0-16\r\n");
    }
}
