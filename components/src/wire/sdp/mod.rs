//! Session descriptions (RFC 8866) and what is agreed by offer and answer (RFC 3264): any number of `m=` lines, of
//! which one audio stream with one codec is taken.
//!
//! ```
//! use ringworld_components::wire::sdp::{Codec, Direction, LocalMedia, Origin, SessionDescription, accept_offer, write_answer};
//!
//! let offer = SessionDescription::parse(b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
//!     m=video 4002 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=sendonly\r\n").unwrap();
//! let local = LocalMedia {
//!     address: "192.0.2.1".parse().unwrap(), port: 10_000,
//!     codecs: &[Codec::Pcmu, Codec::Pcma], offered: &[Codec::Pcmu],
//!     direction: Direction::SendRecv, ptime_ms: 20, telephone_event: true,
//! };
//! let lines = accept_offer(&offer, &[], &local).unwrap();
//! let text = write_answer(&offer, &lines, &local, Origin { session_id: 7, version: 1 });
//! assert!(text.ends_with(b"m=video 0 RTP/AVP 31\r\nm=audio 10000 RTP/AVP 8 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\n\
//!     a=fmtp:96 0-16\r\na=ptime:20\r\na=recvonly\r\n"));
//! let agreed = lines[1].taken.as_ref().unwrap();
//! assert_eq!((agreed.codec, agreed.dtmf_payload_type, agreed.direction), (Codec::Pcma, Some(96), Direction::RecvOnly));
//! ```

mod connection;
mod description;
mod direction;
mod media_line;
mod negotiate;
mod write;

pub use description::{Origin, SessionDescription};
pub use direction::Direction;
pub use media_line::{MediaLine, Negotiated, taken};
pub use negotiate::{LocalMedia, accept_answer, accept_offer};
pub use write::{write_answer, write_offer};

pub use crate::audio::Codec;
use crate::record::Record;
use std::fmt;

/// Why a session description, or an agreement, is refused; each makes a good counter. In the order of how far it got.
#[derive(Record, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SdpError {
    /// It doesn't parse: a 400.
    Syntax,
    /// It has more streams than we answer: a 488.
    TooManyStreams,
    /// It has no audio stream that is on and of a protocol we speak: a 488.
    NoAudio,
    /// The answer turned our streams down.
    Rejected,
    /// An audio stream, but no address that we can send to from ours: a 488.
    NoAddress,
    /// An audio stream, but no codec that we allow: a 488.
    NoCommonCodec,
}

impl SdpError {
    /// A label for a counter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::TooManyStreams => "too_many_streams",
            Self::NoAudio => "no_audio",
            Self::Rejected => "rejected",
            Self::NoAddress => "no_address",
            Self::NoCommonCodec => "no_common_codec",
        }
    }

    /// The status that a request with such an offer is answered with.
    pub fn status(self) -> u16 {
        match self {
            Self::Syntax => 400,
            _ => 488,
        }
    }

    /// The code of the warning in that answer (RFC 3261 section 27.2).
    pub fn warning_code(self) -> u16 {
        match self {
            Self::NoAddress => 301,
            Self::NoAudio => 304,
            Self::NoCommonCodec => 305,
            Self::Syntax | Self::TooManyStreams | Self::Rejected => 399,
        }
    }
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "the session description doesn't parse",
            Self::TooManyStreams => "the session description has too many streams",
            Self::NoAudio => "the session description has no audio stream that we can use",
            Self::Rejected => "the audio stream was turned down",
            Self::NoAddress => "the session description has no address that we can send to",
            Self::NoCommonCodec => "there is no codec in common",
        })
    }
}

impl std::error::Error for SdpError {}
