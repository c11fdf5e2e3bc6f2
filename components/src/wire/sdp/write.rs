//! Session descriptions, written.

use super::media_line::taken;
use super::{Codec, LocalMedia, MediaLine, Negotiated, Origin, SessionDescription};
use crate::audio::RtpClock;
use crate::wire::text::PushText;
use bytes::Bytes;
use std::fmt::Write as _;

/// The payload type that we offer telephone events with, where none is agreed on yet.
const TELEPHONE_EVENT_PAYLOAD_TYPE: u8 = 101;

/// The longest packet time that is spoken of, in milliseconds.
const PTIME_MS_MAX: u8 = 60;

/// An offer of one audio stream. `before` holds the lines of the last agreement, if there is one: they keep their
/// number and their places, and the payload types of the one that is taken stay (RFC 3264 sections 8 and 8.3.2).
pub fn write_offer(before: &[MediaLine], local: &LocalMedia<'_>, origin: Origin) -> Bytes {
    let mut out = String::with_capacity(320);
    push_session(&mut out, local, origin, std::iter::empty());
    // The line that is taken; else one that was audio before (section 8.1); else one more.
    let was_audio = || before.iter().position(|line| line.media.as_ref() == b"audio");
    let slot = taken(before).map(|(index, _)| index).or_else(was_audio).unwrap_or(before.len());
    for (index, line) in before.iter().enumerate() {
        if index == slot {
            push_offered(&mut out, Some(line), local);
        } else {
            push_refused(&mut out, line);
        }
    }
    if slot == before.len() {
        push_offered(&mut out, None, local);
    }
    Bytes::from(out)
}

fn push_offered(out: &mut String, before: Option<&MediaLine>, local: &LocalMedia<'_>) {
    let agreed = before.and_then(|line| line.taken.as_ref());
    let is_plain = |line: &&MediaLine| matches!(line.protocol.as_ref(), b"RTP/AVP" | b"RTP/AVPF");
    let protocol = before.filter(is_plain).map_or_else(|| "RTP/AVP".into(), |it| String::from_utf8_lossy(&it.protocol));
    let formats = formats_offered(agreed, local);
    let events = if local.telephone_event { events_offered(agreed, &formats) } else { Vec::new() };
    let _ = write!(out, "m=audio {} {protocol}", local.port);
    let of_events = events.iter().map(|(payload_type, _)| *payload_type);
    for payload_type in formats.iter().map(|(payload_type, _)| *payload_type).chain(of_events) {
        let _ = write!(out, " {payload_type}");
    }
    out.push_str("\r\n");
    for (payload_type, codec) in &formats {
        push_codec(out, *payload_type, codec.name(), codec.clock());
    }
    for (payload_type, clock) in events {
        push_events(out, Some(payload_type), clock);
    }
    let _ = write!(out, "a=ptime:{}\r\na={}\r\n", local.ptime_ms.clamp(10, 60), local.direction.as_str());
}

/// The codecs that we offer and that can have the packet time, that which is in use first and with the payload type that
/// it has.
fn formats_offered(agreed: Option<&Negotiated>, local: &LocalMedia<'_>) -> Vec<(u8, Codec)> {
    let allowed = |codec: &&Codec| local.codecs.contains(codec);
    let in_use = agreed.filter(|agreed| allowed(&&agreed.codec));
    let mut formats: Vec<(u8, Codec)> =
        in_use.iter().map(|agreed| (agreed.receive_payload_type, agreed.codec)).collect();
    let events = agreed.and_then(|agreed| agreed.receive_dtmf_payload_type);
    for &codec in local.offered.iter().filter(allowed).filter(|codec| codec.ptime_ms_max() >= local.ptime_ms) {
        if in_use.is_none_or(|agreed| agreed.codec != codec) {
            formats.push((free_payload_type(codec.payload_type(), &formats, events), codec));
        }
    }
    formats
}

/// Telephone events for each clock of the codecs (RFC 4733 section 2.1), with the payload type that is in use.
fn events_offered(agreed: Option<&Negotiated>, formats: &[(u8, Codec)]) -> Vec<(u8, RtpClock)> {
    let in_use = agreed.and_then(|agreed| Some((agreed.receive_dtmf_payload_type?, agreed.codec.clock())));
    let is_clock = |clock: RtpClock| formats.iter().any(|(_, codec)| codec.clock() == clock);
    let mut events: Vec<(u8, RtpClock)> = in_use.into_iter().filter(|(_, clock)| is_clock(*clock)).collect();
    for clock in formats.iter().map(|(_, codec)| codec.clock()) {
        if events.iter().all(|(_, known)| *known != clock) {
            let of_formats = formats.iter().map(|(payload_type, _)| *payload_type);
            let taken: Vec<u8> = of_formats.chain(events.iter().map(|(payload_type, _)| *payload_type)).collect();
            let free = (TELEPHONE_EVENT_PAYLOAD_TYPE..128).find(|payload_type| !taken.contains(payload_type));
            events.extend(free.map(|payload_type| (payload_type, clock)));
        }
    }
    events
}

/// This payload type, or if it is taken the next one that is not.
fn free_payload_type(wanted: u8, formats: &[(u8, Codec)], events: Option<u8>) -> u8 {
    let is_taken =
        |payload_type: u8| events == Some(payload_type) || formats.iter().any(|(taken, _)| *taken == payload_type);
    std::iter::once(wanted).chain(96..128).find(|payload_type| !is_taken(*payload_type)).unwrap_or(wanted)
}

fn push_refused(out: &mut String, line: &MediaLine) {
    let text = |part: &Bytes| String::from_utf8_lossy(part).into_owned();
    let _ = write!(out, "m={} 0 {} {}\r\n", text(&line.media), text(&line.protocol), text(&line.format));
}

/// An answer with as many lines as the offer, in its order; those that are not taken are turned down (port 0, RFC 3264
/// section 6). `lines` are what [`accept_offer`](super::accept_offer) made of the same offer.
pub fn write_answer(offer: &SessionDescription, lines: &[MediaLine], local: &LocalMedia<'_>, origin: Origin) -> Bytes {
    let mut out = String::with_capacity(320);
    push_session(&mut out, local, origin, offer.timing());
    for (stream, line) in offer.streams().zip(lines) {
        let media = stream.media;
        let Some(agreed) = &line.taken else {
            if crate::planted!(LinesLost) {
                continue;
            }
            let _ = write!(out, "m={} 0 {}", media.media, media.protocol);
            for format in &media.formats {
                let _ = write!(out, " {format}");
            }
            out.push_str("\r\n");
            continue;
        };
        let _ = write!(out, "m=audio {} {} {}", local.port, media.protocol, agreed.receive_payload_type);
        if let Some(events) = agreed.receive_dtmf_payload_type {
            let _ = write!(out, " {events}");
        }
        out.push_str("\r\n");
        push_codec(&mut out, agreed.receive_payload_type, agreed.codec.name(), agreed.codec.clock());
        push_events(&mut out, agreed.receive_dtmf_payload_type, agreed.codec.clock());
        let _ = write!(out, "a=ptime:{}\r\n", agreed.ptime_ms);
        let most = agreed.codec.ptime_ms_max();
        if most < PTIME_MS_MAX {
            let _ = write!(out, "a=maxptime:{most}\r\n");
        }
        let _ = write!(out, "a={}\r\n", agreed.direction.as_str());
    }
    Bytes::from(out)
}

// Writing into a string can't fail.
fn push_session(out: &mut String, local: &LocalMedia<'_>, origin: Origin, timing: impl Iterator<Item = (u64, u64)>) {
    let Origin { session_id, version } = origin;
    let address = local.address;
    let family = if address.is_ipv4() { " IN IP4 " } else { " IN IP6 " };
    out.push_str("v=0\r\no=- ");
    out.push_number(session_id);
    out.push(' ');
    out.push_number(version);
    out.push_str(family);
    out.push_ip(address);
    out.push_str("\r\ns=-\r\nc=");
    out.push_str(family.trim_start());
    out.push_ip(address);
    out.push_str("\r\n");
    let mut timing = timing.peekable();
    if timing.peek().is_none() {
        out.push_str("t=0 0\r\n");
    }
    for (start, stop) in timing {
        let _ = write!(out, "t={start} {stop}\r\n");
    }
}

fn push_codec(out: &mut String, payload_type: u8, name: &str, clock: RtpClock) {
    let _ = write!(out, "a=rtpmap:{payload_type} {name}/{}\r\n", clock.rate_hz);
}

fn push_events(out: &mut String, events: Option<u8>, clock: RtpClock) {
    if let Some(events) = events {
        push_codec(out, events, "telephone-event", clock);
        let _ = write!(out, "a=fmtp:{events} 0-16\r\n");
    }
}
