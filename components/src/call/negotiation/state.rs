//! The parts of a negotiation.

use super::{Carrier, Side};
use crate::record::Record;
use crate::wire::sdp::{Direction, MediaLine, Origin, SessionDescription, taken};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

/// Whether an offer is out, and whose.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum OfferState {
    /// None: both sides know what is agreed.
    Stable,
    /// Ours. The peer has not answered.
    LocalOffer {
        /// The message that it went out in.
        carrier: Carrier,
        /// The offer.
        description: Bytes,
        /// Whether we hold the peer, if it is agreed to.
        we_hold: bool,
    },
    /// The peer's. We have not answered.
    RemoteOffer {
        /// The message that it came in.
        carrier: Carrier,
        /// The offer.
        description: Bytes,
    },
}

impl OfferState {
    /// The message that the offer is in, if one is out.
    pub fn carrier(&self) -> Option<Carrier> {
        match self {
            Self::Stable => None,
            Self::LocalOffer { carrier, .. } | Self::RemoteOffer { carrier, .. } => Some(*carrier),
        }
    }
}

/// What both sides agreed on. A failed exchange goes back to it (RFC 3261 section 14.1).
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Our description.
    pub local: Bytes,
    /// The peer's description.
    pub remote: Bytes,
    /// The `m=` lines, in order, with what is agreed on each.
    pub lines: Vec<MediaLine>,
    /// Whether we hold the peer.
    pub we_hold: bool,
}

impl Agreement {
    /// Whether the peer holds us: it wants to send only, or nothing at all and that was not our own wish, or has turned
    /// all streams off.
    pub fn peer_holds(&self) -> bool {
        match taken(&self.lines).map(|(_, agreed)| agreed.direction) {
            Some(Direction::RecvOnly) | None => true,
            Some(Direction::Inactive) => !self.we_hold,
            Some(Direction::SendRecv | Direction::SendOnly) => false,
        }
    }
}

/// An INVITE that has no 2xx yet.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenInvite {
    /// Its sender.
    pub(super) by: Side,
    /// Whether an exchange was completed within it.
    pub(super) is_settled: bool,
}

/// The last description of one side.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastSeen {
    /// Its identity.
    pub(super) origin: Origin,
    /// A digest of its octets.
    pub(super) digest: u64,
}

impl LastSeen {
    /// Writes a description of ours: with the version of the last one if it says the same, else with the next version
    /// (RFC 3264 section 8).
    pub(super) fn stamp(&mut self, write: impl Fn(Origin) -> Bytes) -> Bytes {
        if self.origin.version > 0 {
            let same = write(self.origin);
            if xxh3_64(&same) == self.digest {
                return same;
            }
        }
        self.origin.version += 1;
        let text = write(self.origin);
        self.digest = xxh3_64(&text);
        text
    }

    /// That of a description of the peer; none if it can't be read.
    pub(super) fn read(description: &[u8]) -> Option<Self> {
        Some(Self::of(&SessionDescription::parse(description).ok()?, description))
    }

    /// That of a description and its octets.
    pub(super) fn of(parsed: &SessionDescription, octets: &[u8]) -> Self {
        Self { origin: parsed.origin(), digest: xxh3_64(octets) }
    }

    /// Whether this can't be the description after `before`: another session id, an older version, one that skips, or
    /// the same version on another text (RFC 3264 section 8).
    pub(super) fn is_wrong_after(&self, before: Option<Self>) -> bool {
        let Some(before) = before else { return false };
        let (now, last) = (self.origin, before.origin);
        now.session_id != last.session_id
            || now.version < last.version
            || now.version - last.version > 1
            || (now.version == last.version && self.digest != before.digest)
    }
}
