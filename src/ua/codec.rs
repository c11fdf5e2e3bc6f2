//! What a user agent can speak: frames of 20 ms at 8,000 Hz, as payloads.

use super::g711::G711;

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// A law of G.711.
    G711(G711),
    /// L16 at 8,000 Hz: two octets a sample, the higher one first (RFC 3551 section 4.5.11).
    L16,
}

/// The payload type that L16 is offered with: none of those that a description may choose instead of the usual ones.
const L16_OFFERED: u8 = 116;

impl Codec {
    /// Every codec.
    pub const ALL: [Self; 3] = [Self::G711(G711::Pcmu), Self::G711(G711::Pcma), Self::L16];

    /// The encoding name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::G711(law) => law.name(),
            Self::L16 => "L16",
        }
    }

    /// The payload type, unless another is chosen.
    pub fn payload_type(self) -> u8 {
        match self {
            Self::G711(law) => law.payload_type(),
            Self::L16 => L16_OFFERED,
        }
    }

    /// Whether its payload type needs no name.
    pub fn is_static(self) -> bool {
        matches!(self, Self::G711(_))
    }

    /// The law, if it is G.711.
    pub fn g711(self) -> Option<G711> {
        match self {
            Self::G711(law) => Some(law),
            Self::L16 => None,
        }
    }

    /// Octets of so many samples.
    pub fn octets(self, samples: usize) -> usize {
        if self == Self::L16 { 2 * samples } else { samples }
    }

    /// Samples as a payload.
    pub fn encode(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::G711(law) => samples.iter().map(|&sample| law.encode(sample)).collect(),
            Self::L16 => samples.iter().flat_map(|sample| sample.to_be_bytes()).collect(),
        }
    }

    /// A payload as samples.
    pub fn decode(self, payload: &[u8]) -> Vec<i16> {
        match self {
            Self::G711(law) => payload.iter().map(|&byte| law.decode(byte)).collect(),
            Self::L16 => payload.as_chunks().0.iter().map(|&octets| i16::from_be_bytes(octets)).collect(),
        }
    }
}

impl From<G711> for Codec {
    fn from(law: G711) -> Self {
        Self::G711(law)
    }
}
