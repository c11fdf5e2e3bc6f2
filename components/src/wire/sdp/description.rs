//! A parsed session description, and what an audio stream in it says.

use super::connection::Connection;
use super::{Codec, Direction, MediaLine, Negotiated, SdpError};
use crate::record::Record;
use bytes::Bytes;
use sipx_sdp::rtpmap::Rtpmap;
use sipx_sdp::{MediaDescription, SessionDescription as Parsed};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// More streams than this are not answered: every one costs a line in the answer.
const STREAMS_MAX: usize = 16;

/// A parsed offer or answer.
#[derive(Debug, Clone)]
pub struct SessionDescription {
    parsed: Parsed,
    connections: Vec<Option<Connection>>,
}

/// The identity of a description: the session id and the version of its `o=` line (RFC 8866 section 5.2).
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The same in all descriptions of one sender in one session.
    pub session_id: u64,
    /// One more in each description that differs from the one before (RFC 3264 section 8).
    pub version: u64,
}

impl SessionDescription {
    /// Parses a body of type `application/sdp`. Octets that are not UTF-8 are replaced, lines that are unknown kept
    /// out.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        // Most descriptions are whole UTF-8, which is found out faster than what is not is replaced.
        let text = str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
        let parsed = sipx_sdp::parse(&text).map_err(|_| SdpError::Syntax)?;
        if parsed.media.len() > STREAMS_MAX {
            return Err(SdpError::TooManyStreams);
        }
        Ok(Self { connections: Connection::of_each_section(&text), parsed })
    }

    /// The session's id and version as its sender counts them.
    pub fn origin(&self) -> Origin {
        let origin = &self.parsed.origin;
        Origin { session_id: origin.session_id, version: origin.session_version }
    }

    /// The `m=` sections, in order.
    pub(crate) fn streams(&self) -> impl Iterator<Item = Stream<'_>> {
        let of_session = self.connections.first().copied().flatten();
        let of_media = self.connections.iter().skip(1).copied().chain(std::iter::repeat(None));
        self.parsed.media.iter().zip(of_media).map(move |(media, connection)| Stream {
            parsed: &self.parsed,
            media,
            connection: connection.or(of_session).unwrap_or(Connection::Unusable),
        })
    }

    /// The `m=` section of this index.
    pub(crate) fn stream(&self, index: usize) -> Option<Stream<'_>> {
        self.streams().nth(index)
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
    pub(crate) connection: Connection,
}

impl<'a> Stream<'a> {
    /// Whether it is turned off, or down.
    pub(crate) fn is_off(self) -> bool {
        self.media.port == 0
    }

    /// Whether it is audio over plain RTP and on.
    pub(crate) fn is_audio(self) -> bool {
        let media = self.media;
        media.media == "audio" && media.port != 0 && matches!(media.protocol.as_str(), "RTP/AVP" | "RTP/AVPF")
    }

    /// This line of an agreement.
    pub(crate) fn line(self, taken: Option<Negotiated>) -> MediaLine {
        let copy = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        MediaLine {
            media: copy(&self.media.media),
            protocol: copy(&self.media.protocol),
            format: copy(self.media.formats.first().map_or("0", String::as_str)),
            taken,
        }
    }

    /// The payload types and what they stand for, in the sender's order of preference. Formats that are no payload type
    /// or not described are left out.
    fn formats(self) -> impl Iterator<Item = Format<'a>> {
        let maps = self.of_each_payload_type("rtpmap");
        let parameters = self.of_each_payload_type("fmtp");
        self.media.formats.iter().filter_map(move |format| {
            let payload_type: u8 = format.parse().ok()?;
            let map = maps.get(usize::from(payload_type))?.and_then(rtpmap);
            let (name, rate_hz, channels) = match (map, Codec::of_static_payload_type(payload_type)) {
                (Some(map), _) => (map.encoding(), map.clock_rate(), map.channels()),
                // A type that needs no rtpmap is what it is, if the one that it has can't be read.
                (None, Some(codec)) => (codec.name(), codec.clock().rate_hz, 1),
                (None, None) => return None,
            };
            let parameters = parameters.get(usize::from(payload_type)).copied().flatten();
            Some(Format { payload_type, name, rate_hz, channels, parameters })
        })
    }

    /// The value of this attribute for each payload type: gathered in one pass, because a hostile offer may hold
    /// thousands of formats and thousands of attributes.
    fn of_each_payload_type(self, name: &str) -> [Option<&'a str>; 128] {
        let mut values = [None; 128];
        for attribute in self.media.attributes.iter().filter(|attribute| attribute.name == name) {
            let Some((format, value)) = attribute.value.as_deref().and_then(|value| value.trim().split_once(' '))
            else {
                continue;
            };
            if let Some(slot) = format.parse().ok().and_then(|payload_type: usize| values.get_mut(payload_type)) {
                slot.get_or_insert(value);
            }
        }
        values
    }

    /// The first codec, in the sender's order, that is allowed. A format of more channels than ours counts where there
    /// is no other.
    pub(crate) fn codec(self, allowed: &[Codec]) -> Option<(Codec, u8)> {
        let find = |takes: fn(Codec, u32) -> bool| {
            self.formats().find_map(|format| {
                let is_of = |codec: &&Codec| format.is(**codec) && takes(**codec, format.channels);
                allowed.iter().find(is_of).map(|codec| (*codec, format.payload_type))
            })
        };
        find(|_, channels| channels == 1).or_else(|| find(Codec::takes_channels))
    }

    /// The payload type of telephone events that share the codec's clock (RFC 4733 section 2.1).
    pub(crate) fn telephone_event(self, codec: Codec) -> Option<u8> {
        let is_event = |format: &Format<'_>| {
            format.name.eq_ignore_ascii_case("telephone-event")
                && format.rate_hz == codec.clock().rate_hz
                && format.channels == 1
        };
        self.formats().find(is_event).map(|format| format.payload_type)
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
        let is_null = matches!(self.connection, Connection::Address(ip) if ip.is_unspecified());
        if is_null { said.and(Direction::SendOnly) } else { said }
    }

    /// Where its sender receives RTP; the null address where it names a host, which is not resolved here: media is then
    /// sent to where it comes from. None if it can't be sent to from an address of this family.
    pub(crate) fn rtp(self, local: IpAddr) -> Option<SocketAddr> {
        let connection = Some(self.connection).filter(|connection| connection.is_usable_from(local))?;
        Some(SocketAddr::new(connection.ip()?, self.media.port))
    }
}

/// What a payload type stands for.
struct Format<'a> {
    payload_type: u8,
    name: &'a str,
    rate_hz: u32,
    channels: u32,
    parameters: Option<&'a str>,
}

impl Format<'_> {
    /// Whether it is this codec, but for the channels.
    fn is(&self, codec: Codec) -> bool {
        self.name.eq_ignore_ascii_case(codec.name())
            && self.rate_hz == codec.clock().rate_hz
            && self.parameters.is_none_or(|parameters| codec.takes_parameters(parameters))
    }
}

/// The format that an `a=rtpmap` names. Words after it are left out.
fn rtpmap(value: &str) -> Option<Rtpmap<'_>> {
    Rtpmap::parse(value.split_ascii_whitespace().next()?).ok()
}
