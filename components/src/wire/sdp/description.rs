//! A parsed session description, and what an audio stream in it says.

use super::{Codec, Direction, SdpError};
use sipx_sdp::rtpmap::Rtpmap;
use sipx_sdp::{MediaDescription, SessionDescription as Parsed};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// More streams than this are not answered: every one costs a line in the answer.
const STREAMS_MAX: usize = 16;

/// A parsed offer or answer.
#[derive(Debug, Clone)]
pub struct SessionDescription {
    parsed: Parsed,
}

impl SessionDescription {
    /// Parses a body of type `application/sdp`. Octets that are not UTF-8 are replaced, lines that are unknown kept out.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        let parsed = sipx_sdp::parse(&String::from_utf8_lossy(body)).map_err(|_| SdpError::Syntax)?;
        if parsed.media.len() > STREAMS_MAX { Err(SdpError::TooManyStreams) } else { Ok(Self { parsed }) }
    }

    /// The session's id and version as its sender counts them (the `o=` line): a changed description has a higher one.
    pub fn origin(&self) -> (u64, u64) {
        (self.parsed.origin.session_id, self.parsed.origin.session_version)
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = Stream<'_>> {
        self.parsed.media.iter().map(|media| Stream { parsed: &self.parsed, media })
    }

    /// The `t=` lines, which an answer repeats (RFC 3264 section 6).
    pub(crate) fn timing(&self) -> impl Iterator<Item = (u64, u64)> {
        self.parsed.timing.iter().map(|timing| (timing.start, timing.stop))
    }
}

/// One `m=` section.
#[derive(Clone, Copy)]
pub(crate) struct Stream<'a> {
    parsed: &'a Parsed,
    pub(crate) media: &'a MediaDescription,
}

impl<'a> Stream<'a> {
    /// Whether it is audio over plain RTP and not turned off.
    pub(crate) fn is_usable(self) -> bool {
        let media = self.media;
        media.media == "audio" && media.port != 0 && matches!(media.protocol.as_str(), "RTP/AVP" | "RTP/AVPF")
    }

    /// The payload types and what they stand for, in the sender's order of preference. Formats that are no payload type
    /// or not described are left out.
    fn formats(self) -> impl Iterator<Item = (u8, &'a str, u32)> {
        let maps = self.rtpmaps();
        self.media.formats.iter().filter_map(move |format| {
            let payload_type: u8 = format.parse().ok()?;
            match *maps.get(usize::from(payload_type))? {
                Some(map) => Rtpmap::parse(map.trim())
                    .ok()
                    .filter(|map| map.channels() == 1)
                    .map(|map| (payload_type, map.encoding(), map.clock_rate())),
                None => Codec::ALL
                    .iter()
                    .find(|codec| codec.static_payload_type() == payload_type)
                    .map(|codec| (payload_type, codec.name(), codec.clock_rate())),
            }
        })
    }

    /// What `a=rtpmap` says of each payload type: gathered in one pass, because a hostile offer may hold thousands of
    /// formats and thousands of attributes.
    fn rtpmaps(self) -> [Option<&'a str>; 128] {
        let mut maps = [None; 128];
        for attribute in self.media.attributes.iter().filter(|attribute| attribute.name == "rtpmap") {
            let Some((format, map)) = attribute.value.as_deref().and_then(|value| value.trim().split_once(' ')) else {
                continue;
            };
            if let Some(slot) = format.parse().ok().and_then(|payload_type: usize| maps.get_mut(payload_type)) {
                slot.get_or_insert(map);
            }
        }
        maps
    }

    /// The first codec, in the sender's order, that is allowed.
    pub(crate) fn codec(self, allowed: &[Codec]) -> Option<(Codec, u8)> {
        self.formats().find_map(|(payload_type, name, rate)| {
            let named = |codec: &&Codec| name.eq_ignore_ascii_case(codec.name()) && rate == codec.clock_rate();
            allowed.iter().find(named).map(|codec| (*codec, payload_type))
        })
    }

    /// The payload type of telephone events that share the codec's clock (RFC 4733 section 2.1).
    pub(crate) fn telephone_event(self, codec: Codec) -> Option<u8> {
        self.formats()
            .find(|(_, name, rate)| name.eq_ignore_ascii_case("telephone-event") && *rate == codec.clock_rate())
            .map(|(payload_type, ..)| payload_type)
    }

    fn attribute(self, name: &str) -> Option<&'a str> {
        self.media.attribute(name)?.value.as_deref().map(str::trim)
    }

    /// The packet time asked for, rounded to tens and bounded to 10 to 60 ms and by `maxptime`.
    pub(crate) fn ptime_ms(self) -> Option<u8> {
        // Some write a fraction; whole milliseconds are all that is sent.
        let number = |name| self.attribute(name)?.split('.').next()?.parse::<u32>().ok().filter(|&ms| ms > 0);
        let most = number("maxptime");
        let wish = number("ptime").or(most.filter(|&most| most < 20))?;
        let ms = wish.min(most.unwrap_or(wish)).clamp(10, 60) / 10 * 10;
        u8::try_from(ms).ok()
    }

    /// The direction as its sender sees it; the null address is the old way to say "don't send to me" (RFC 3264
    /// section 8.4).
    pub(crate) fn direction(self) -> Direction {
        let flag = |attributes: &[sipx_sdp::Attribute]| {
            attributes
                .iter()
                .filter(|attribute| attribute.value.is_none())
                .find_map(|flag| Direction::named(&flag.name))
        };
        let said = flag(&self.media.attributes).or_else(|| flag(&self.parsed.attributes));
        let said = said.unwrap_or(Direction::SendRecv);
        let held = self.parsed.address_for(self.media).is_some_and(|ip| ip.is_unspecified());
        if held { said.and(Direction::SendOnly) } else { said }
    }

    /// Where its sender receives RTP; the null address where it names a host, which nobody resolves here: media is then
    /// sent to where it comes from.
    pub(crate) fn rtp(self) -> SocketAddr {
        let ip = self.parsed.address_for(self.media).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        SocketAddr::new(ip, self.media.port)
    }

    /// Where its sender receives RTCP: `a=rtcp` (RFC 3605), else the port after that of RTP.
    pub(crate) fn rtcp(self) -> Option<SocketAddr> {
        let rtp = self.rtp();
        let Some(value) = self.attribute("rtcp") else {
            return rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port));
        };
        let mut words = value.split_whitespace();
        let port = words.next()?.parse().ok()?;
        let ip = words.nth(2).and_then(|address| address.parse().ok()).unwrap_or(rtp.ip());
        Some(SocketAddr::new(ip, port))
    }
}
