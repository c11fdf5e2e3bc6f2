//! SDP for one audio stream: offers and answers, and what a description of the peer says (RFC 4566, 3264).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use super::codec::Codec;
use super::g711::G711;

/// Payload type under which telephone-event is offered.
pub const TELEPHONE_EVENT_OFFERED: u8 = 101;

/// What the description of the peer says about the audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAudio {
    /// Where it wants packets; `None` for a held stream without an address, or port 0.
    pub address: Option<SocketAddr>,
    pub codec: Codec,
    pub payload_type: u8,
    pub telephone_event: Option<u8>,
    /// It wants to receive.
    pub receives: bool,
    /// It wants to send.
    pub sends: bool,
}

impl RemoteAudio {
    /// The law that is spoken with a peer that knows G.711 alone, as do those who speak with this.
    pub fn law(&self) -> G711 {
        self.codec.g711().unwrap_or(G711::Pcmu)
    }
}

/// How a side writes its descriptions, beside what they say of its audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Lines of other media before that of audio, and after it. They are always refused.
    pub before: u8,
    pub after: u8,
    /// The first of four dynamic payload types: for mu-law, A-law, telephone-event and L16. 0: they are the usual ones.
    pub types_from: u8,
}

impl Layout {
    /// The payload type of a codec.
    pub fn payload_type(self, codec: Codec) -> u8 {
        match (self.types_from, codec) {
            (0, codec) => codec.payload_type(),
            (from, Codec::G711(G711::Pcmu)) => from,
            (from, Codec::G711(G711::Pcma)) => from + 1,
            (from, Codec::L16) => from + 3,
        }
    }

    /// The payload type of telephone-event.
    pub fn telephone_event(self) -> u8 {
        if self.types_from == 0 { TELEPHONE_EVENT_OFFERED } else { self.types_from + 2 }
    }
}

/// Our side.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Where we receive audio.
    pub address: SocketAddr,
    /// In the order of preference.
    pub codecs: &'a [Codec],
    pub session: u64,
    pub version: u64,
    pub direction: &'a str,
    pub layout: Layout,
    /// Whether it is an offer: in an answer all lines but that of audio are off.
    pub is_offer: bool,
}

/// Writes our side.
pub fn describe(local: &Local<'_>) -> String {
    let Local { address, codecs, session, version, direction, layout, is_offer } = *local;
    let family = if address.is_ipv6() { "IP6" } else { "IP4" };
    let (ip, port) = (address.ip(), address.port());
    let mut text = format!("v=0\r\no=- {session} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n");
    let other_port = if is_offer { port.saturating_add(1000) } else { 0 };
    for _ in 0..layout.before {
        let _ = write!(text, "m=video {other_port} RTP/AVP 31 34\r\na=mid:v\r\n");
    }
    let _ = write!(text, "m=audio {port} RTP/AVP");
    for codec in codecs {
        let _ = write!(text, " {}", layout.payload_type(*codec));
    }
    let event = layout.telephone_event();
    let _ = write!(text, " {event}\r\n");
    for codec in codecs {
        let _ = write!(text, "a=rtpmap:{} {}/8000\r\n", layout.payload_type(*codec), codec.name());
    }
    let _ = write!(text, "a=rtpmap:{event} telephone-event/8000\r\n");
    let _ = write!(text, "a=fmtp:{event} 0-16\r\na=ptime:20\r\na={direction}\r\n");
    for _ in 0..layout.after {
        let _ = write!(text, "m=image {other_port} udptl t38\r\n");
    }
    text
}

/// The media types of all lines of a description, in order, and which of them are on.
pub fn lines(body: &[u8]) -> Vec<(String, bool)> {
    let text = String::from_utf8_lossy(body);
    let line = |line: &str| {
        let mut words = line.strip_prefix("m=")?.split_ascii_whitespace();
        Some((words.next()?.to_owned(), words.next()? != "0"))
    };
    text.lines().filter_map(line).collect()
}

/// Reads the first audio stream that is not refused and has a codec that we know; `prefer` wins over the order.
pub fn read(body: &[u8], prefer: Option<Codec>) -> Option<RemoteAudio> {
    let text = std::str::from_utf8(body).ok()?;
    let mut session_ip = None;
    let mut session_direction = None;
    let mut audio: Option<Stream<'_>> = None;
    let mut in_media = false;
    for line in text.lines() {
        let (kind, value) = line.trim_end().split_once('=')?;
        let found = audio.is_some();
        match (kind, audio.as_mut().filter(|_| in_media)) {
            ("m", _) if found => break,
            ("m", _) => {
                in_media = true;
                audio = Stream::parse(value);
            }
            ("c", Some(stream)) => stream.ip = connection_ip(value),
            ("c", None) if !in_media => session_ip = connection_ip(value),
            ("a", Some(stream)) => stream.attribute(value),
            ("a", None) if !in_media => session_direction = session_direction.or_else(|| direction(value)),
            _ => {}
        }
    }
    let mut audio = audio?;
    audio.ip = audio.ip.or(session_ip);
    audio.direction = audio.direction.or(session_direction);
    audio.finish(prefer)
}

/// One `m=audio` section while it is read.
struct Stream<'a> {
    port: u16,
    formats: Vec<u8>,
    maps: Vec<(u8, &'a str)>,
    ip: Option<IpAddr>,
    direction: Option<(bool, bool)>,
}

impl<'a> Stream<'a> {
    fn parse(value: &str) -> Option<Stream<'a>> {
        let mut words = value.split_ascii_whitespace();
        let (media, port, profile) = (words.next()?, words.next()?, words.next()?);
        if media != "audio" || profile != "RTP/AVP" {
            return None;
        }
        let port = port.split('/').next()?.parse().ok()?;
        let formats = words.filter_map(|word| word.parse().ok()).collect();
        Some(Stream { port, formats, maps: Vec::new(), ip: None, direction: None })
    }

    fn attribute(&mut self, value: &'a str) {
        if let Some((payload_type, name)) = value.strip_prefix("rtpmap:").and_then(|map| map.split_once(' ')) {
            self.maps.extend(payload_type.parse().ok().map(|payload_type| (payload_type, name.trim())));
        } else {
            self.direction = direction(value).or(self.direction);
        }
    }

    fn finish(self, prefer: Option<Codec>) -> Option<RemoteAudio> {
        let name_of = |format: u8| self.maps.iter().find(|(mapped, _)| *mapped == format).map(|&(_, name)| name);
        let is = |format: u8, wanted: &str| {
            name_of(format).is_some_and(|name| {
                let mut parts = name.split('/');
                parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted)) && parts.next() == Some("8000")
            })
        };
        let codec_of = |format: u8| {
            let is_static =
                |codec: Codec| codec.is_static() && format == codec.payload_type() && name_of(format).is_none();
            Codec::ALL.into_iter().find(|codec| is(format, codec.name()) || is_static(*codec))
        };
        let known = || self.formats.iter().filter_map(|&format| Some((format, codec_of(format)?)));
        let (payload_type, codec) = known().find(|&(_, codec)| Some(codec) == prefer).or_else(|| known().next())?;
        let telephone_event = self.formats.iter().copied().find(|&format| is(format, "telephone-event"));
        let (sends, receives) = self.direction.unwrap_or((true, true));
        let reachable = self.ip.filter(|ip| !ip.is_unspecified() && self.port != 0);
        let address = reachable.map(|ip| SocketAddr::new(ip, self.port));
        let receives = receives && address.is_some();
        Some(RemoteAudio { address, codec, payload_type, telephone_event, receives, sends })
    }
}

fn connection_ip(value: &str) -> Option<IpAddr> {
    value.split_ascii_whitespace().nth(2)?.split('/').next()?.parse().ok()
}

/// Sends, receives: from the describing side's point of view.
fn direction(attribute: &str) -> Option<(bool, bool)> {
    match attribute {
        "sendrecv" => Some((true, true)),
        "sendonly" => Some((true, false)),
        "recvonly" => Some((false, true)),
        "inactive" => Some((false, false)),
        _ => None,
    }
}

/// The direction with which to answer an offer (RFC 3264, section 6.1), by whether the peer receives and sends.
pub fn mirrored(receives: bool, sends: bool) -> &'static str {
    match (receives, sends) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_reads_back() {
        let address: SocketAddr = "[::1]:20002".parse().unwrap();
        let (session, version, direction, layout) = (1, 1, "sendrecv", Layout::default());
        let codecs = &[G711::Pcma.into(), G711::Pcmu.into()];
        let local = Local { address, codecs, session, version, direction, layout, is_offer: true };
        let text = describe(&local);
        let read = read(text.as_bytes(), None).unwrap();
        let expected = RemoteAudio {
            address: Some(address),
            codec: G711::Pcma.into(),
            payload_type: 8,
            telephone_event: Some(101),
            receives: true,
            sends: true,
        };
        assert_eq!(read, expected);
        assert_eq!(super::read(text.as_bytes(), Some(G711::Pcmu.into())).map(|r| r.law()), Some(G711::Pcmu));
        let layout = Layout { before: 1, after: 2, types_from: 96 };
        let text = describe(&Local { layout, is_offer: false, ..local });
        let read = super::read(text.as_bytes(), None).unwrap();
        assert_eq!((read.law(), read.payload_type, read.telephone_event), (G711::Pcma, 97, Some(98)));
        let all = [("video", false), ("audio", true), ("image", false), ("image", false)];
        assert_eq!(lines(text.as_bytes()), all.map(|(media, is_on)| (media.to_owned(), is_on)));
    }

    #[test]
    fn dynamic_types_hold_and_refusal() {
        let text = "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\na=sendonly\r\n\
            m=audio 4000 RTP/AVP 18 97 99\r\nc=IN IP4 2.2.2.2\r\na=rtpmap:97 pcmu/8000/1\r\n\
            a=rtpmap:99 telephone-event/8000\r\nm=video 5 RTP/AVP 0\r\na=inactive\r\n";
        let remote = read(text.as_bytes(), None).unwrap();
        assert_eq!(remote.address, Some("2.2.2.2:4000".parse().unwrap()));
        assert_eq!((remote.law(), remote.payload_type, remote.telephone_event), (G711::Pcmu, 97, Some(99)));
        assert_eq!(mirrored(remote.receives, remote.sends), "recvonly");

        let held = read(b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n", None).unwrap();
        assert_eq!((held.address, held.receives), (None, false));
        let refused = read(b"v=0\r\nc=IN IP4 1.1.1.1\r\nm=audio 0 RTP/AVP 0\r\n", None).unwrap();
        assert_eq!(refused.address, None);
        assert_eq!(read(b"v=0\r\nc=IN IP4 1.1.1.1\r\nm=audio 4 RTP/AVP 18\r\n", None), None);
        assert_eq!(read(b"", None), None);
    }
}
