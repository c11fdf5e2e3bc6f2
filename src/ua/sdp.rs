//! SDP for one audio stream: offers and answers, and what a description of the peer says (RFC 4566, 3264).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use super::g711::G711;

/// Payload type under which telephone-event is offered.
pub const TELEPHONE_EVENT_OFFERED: u8 = 101;

/// What the description of the peer says about the audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAudio {
    /// Where it wants packets; `None` for a held stream without an address, or port 0.
    pub address: Option<SocketAddr>,
    pub law: G711,
    pub payload_type: u8,
    pub telephone_event: Option<u8>,
    /// It wants to hear us.
    pub receives: bool,
    /// It wants to speak.
    pub sends: bool,
}

/// Our side: the laws in the order of preference, with their static payload types.
pub fn describe(address: SocketAddr, laws: &[G711], session: u64, version: u64, direction: &str) -> String {
    let family = if address.is_ipv6() { "IP6" } else { "IP4" };
    let (ip, port) = (address.ip(), address.port());
    let mut text = format!("v=0\r\no=- {session} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n");
    let _ = write!(text, "m=audio {port} RTP/AVP");
    for law in laws {
        let _ = write!(text, " {}", law.payload_type());
    }
    let _ = write!(text, " {TELEPHONE_EVENT_OFFERED}\r\n");
    for law in laws {
        let _ = write!(text, "a=rtpmap:{} {}/8000\r\n", law.payload_type(), law.name());
    }
    let _ = write!(text, "a=rtpmap:{TELEPHONE_EVENT_OFFERED} telephone-event/8000\r\n");
    let _ = write!(text, "a=fmtp:{TELEPHONE_EVENT_OFFERED} 0-16\r\na=ptime:20\r\na={direction}\r\n");
    text
}

/// Reads the first audio stream that is not refused and has a law that we know; `prefer` wins over the order.
pub fn read(body: &[u8], prefer: Option<G711>) -> Option<RemoteAudio> {
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

    fn finish(self, prefer: Option<G711>) -> Option<RemoteAudio> {
        let name_of = |format: u8| self.maps.iter().find(|(mapped, _)| *mapped == format).map(|&(_, name)| name);
        let is = |format: u8, wanted: &str| {
            name_of(format).is_some_and(|name| {
                let mut parts = name.split('/');
                parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted)) && parts.next() == Some("8000")
            })
        };
        let law_of = |format: u8| {
            [G711::Pcmu, G711::Pcma]
                .into_iter()
                .find(|law| is(format, law.name()) || (format == law.payload_type() && name_of(format).is_none()))
        };
        let known = || self.formats.iter().filter_map(|&format| Some((format, law_of(format)?)));
        let (payload_type, law) = known().find(|&(_, law)| Some(law) == prefer).or_else(|| known().next())?;
        let telephone_event = self.formats.iter().copied().find(|&format| is(format, "telephone-event"));
        let (sends, receives) = self.direction.unwrap_or((true, true));
        let reachable = self.ip.filter(|ip| !ip.is_unspecified() && self.port != 0);
        let address = reachable.map(|ip| SocketAddr::new(ip, self.port));
        let receives = receives && address.is_some();
        Some(RemoteAudio { address, law, payload_type, telephone_event, receives, sends })
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
        let text = describe(address, &[G711::Pcma, G711::Pcmu], 1, 1, "sendrecv");
        let read = read(text.as_bytes(), None).unwrap();
        let expected = RemoteAudio {
            address: Some(address),
            law: G711::Pcma,
            payload_type: 8,
            telephone_event: Some(101),
            receives: true,
            sends: true,
        };
        assert_eq!(read, expected);
        assert_eq!(super::read(text.as_bytes(), Some(G711::Pcmu)).map(|r| r.law), Some(G711::Pcmu));
    }

    #[test]
    fn dynamic_types_hold_and_refusal() {
        let text = "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\na=sendonly\r\n\
            m=audio 4000 RTP/AVP 18 97 99\r\nc=IN IP4 2.2.2.2\r\na=rtpmap:97 pcmu/8000/1\r\n\
            a=rtpmap:99 telephone-event/8000\r\nm=video 5 RTP/AVP 0\r\na=inactive\r\n";
        let remote = read(text.as_bytes(), None).unwrap();
        assert_eq!(remote.address, Some("2.2.2.2:4000".parse().unwrap()));
        assert_eq!((remote.law, remote.payload_type, remote.telephone_event), (G711::Pcmu, 97, Some(99)));
        assert_eq!(mirrored(remote.receives, remote.sends), "recvonly");

        let held = read(b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n", None).unwrap();
        assert_eq!((held.address, held.receives), (None, false));
        let refused = read(b"v=0\r\nc=IN IP4 1.1.1.1\r\nm=audio 0 RTP/AVP 0\r\n", None).unwrap();
        assert_eq!(refused.address, None);
        assert_eq!(read(b"v=0\r\nc=IN IP4 1.1.1.1\r\nm=audio 4 RTP/AVP 18\r\n", None), None);
        assert_eq!(read(b"", None), None);
    }
}
