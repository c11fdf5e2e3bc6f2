//! RTP packets (RFC 3550 section 5.1).

use crate::record::Record;
use rtp_types::{RtpPacket, RtpParseError};
use std::fmt;
use std::ops::Range;

/// The length of a header without contributing sources and extension, in octets.
pub const HEADER_BYTES: usize = 12;

/// The fields of an RTP header that we read and write.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtpHeader {
    /// The marker: the start of a talk spurt or of an event.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp, in units of the payload's clock rate.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
}

/// Why bytes are not an RTP packet; each makes a good counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RtpError {
    /// Shorter than its header, its extension or its padding says.
    Truncated,
    /// Not version 2.
    Version,
    /// A padding of no octets.
    Padding,
}

impl RtpError {
    /// A label for a counter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Version => "version",
            Self::Padding => "padding",
        }
    }
}

impl fmt::Display for RtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an RTP packet: {}", self.as_str())
    }
}

impl std::error::Error for RtpError {}

/// The header, and where the payload lies: behind contributing sources and extension, before padding.
///
/// ```
/// use ringworld_components::wire::rtp::{RtpHeader, parse, write_header};
///
/// let header = RtpHeader { marker: true, payload_type: 8, sequence: 1, timestamp: 160, ssrc: 0xfeed };
/// let mut packet = [0xd5; 172];
/// assert_eq!(write_header(&mut packet, &header), Some(12));
/// assert_eq!(parse(&packet), Ok((header, 12..172)));
/// ```
pub fn parse(packet: &[u8]) -> Result<(RtpHeader, Range<usize>), RtpError> {
    let view = RtpPacket::parse(packet).map_err(|error| match error {
        RtpParseError::UnsupportedVersion(_) => RtpError::Version,
        RtpParseError::PaddingInvalid(_) => RtpError::Padding,
        _ => RtpError::Truncated,
    })?;
    let header = RtpHeader {
        marker: view.marker_bit(),
        payload_type: view.payload_type(),
        sequence: view.sequence_number(),
        timestamp: view.timestamp(),
        ssrc: view.ssrc(),
    };
    let start = view.payload_offset();
    let padding = view.padding().map_or(0, usize::from);
    match packet.len().checked_sub(padding) {
        Some(end) if start <= end => Ok((header, start..end)),
        _ => Err(RtpError::Truncated),
    }
}

/// Writes a header without contributing sources, extension and padding to the front of `buf`; says how long it is, or
/// none where it doesn't fit.
pub fn write_header(buf: &mut [u8], header: &RtpHeader) -> Option<usize> {
    let [version, kind, sequence @ .., t0, t1, t2, t3, s0, s1, s2, s3] = buf.first_chunk_mut::<HEADER_BYTES>()?;
    *version = 0x80;
    *kind = u8::from(header.marker) << 7 | (header.payload_type & 0x7f);
    *sequence = header.sequence.to_be_bytes();
    [*t0, *t1, *t2, *t3] = header.timestamp.to_be_bytes();
    [*s0, *s1, *s2, *s3] = header.ssrc.to_be_bytes();
    Some(HEADER_BYTES)
}

/// Whether a packet on a shared port is RTCP (RFC 5761 section 4: packet types 192 to 223).
pub fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [first, 192..=223, ..] if first >> 6 == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let header = RtpHeader { marker: false, payload_type: 0, sequence: 2, timestamp: 3, ssrc: 4 };
        let mut bytes = vec![0; HEADER_BYTES];
        write_header(&mut bytes, &header).unwrap();
        bytes[0] = first;
        bytes.extend_from_slice(rest);
        bytes
    }

    type Case = (u8, &'static [u8], Result<Range<usize>, RtpError>);

    #[test]
    fn sources_extension_and_padding_are_not_payload() {
        let table: [Case; 9] = [
            (0x80, b"abc", Ok(12..15)),
            (0x80, b"", Ok(12..12)),
            (0x82, b"11112222abc", Ok(20..23)),
            (0x90, b"\xbe\xde\0\x01extnabc", Ok(20..23)),
            (0xa0, b"abc\0\0\x03", Ok(12..15)),
            (0xa0, b"abc\0", Err(RtpError::Padding)),
            (0xa0, b"abc\x05", Err(RtpError::Truncated)),
            (0x82, b"1111", Err(RtpError::Truncated)),
            (0x40, b"abc", Err(RtpError::Version)),
        ];
        for (first, rest, expected) in table {
            assert_eq!(parse(&packet(first, rest)).map(|(_, payload)| payload), expected, "{first:#x} {rest:?}");
        }
        assert_eq!(parse(&[0x80; 11]), Err(RtpError::Truncated));
        assert_eq!(write_header(&mut [0; 11], &parse(&packet(0x80, b"")).unwrap().0), None);
    }

    #[test]
    fn rtcp_is_told_from_rtp() {
        assert!(is_rtcp(&[0x80, 200]) && is_rtcp(&[0x81, 223]));
        assert!(!is_rtcp(&[0x80, 0x80 | 101]) && !is_rtcp(&[0x80, 8]) && !is_rtcp(&[0x40, 200]) && !is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(mut bytes: Vec<u8>, version_2: bool) {
            if let Some(first) = bytes.first_mut().filter(|_| version_2) {
                *first = *first & 0x3f | 0x80;
            }
            if let Ok((_, payload)) = parse(&bytes) {
                prop_assert!(bytes.get(payload).is_some());
            }
        }

        #[test]
        fn what_is_written_is_read(marker: bool, payload_type in 0..128u8, sequence: u16, timestamp: u32, ssrc: u32) {
            let header = RtpHeader { marker, payload_type, sequence, timestamp, ssrc };
            let mut buf = [0xff; 20];
            prop_assert_eq!(write_header(&mut buf, &header), Some(12));
            prop_assert_eq!(parse(&buf), Ok((header, 12..20)));
        }
    }
}
