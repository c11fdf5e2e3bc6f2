//! The codecs that can be agreed on.

use crate::record::Record;
use std::fmt;

/// An audio codec (RFC 3551 section 4.5.14).
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// Every codec.
    pub const ALL: &[Self] = &[Self::Pcmu, Self::Pcma];

    /// The encoding name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The payload type that needs no rtpmap (RFC 3551 section 6).
    pub fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        8_000
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
