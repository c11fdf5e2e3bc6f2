//! Randomness that a replay repeats and a peer can't guess.

use super::{Now, StableId};
use crate::record::Record;
use bevy_ecs::prelude::*;
use std::fmt;

/// The world's secret: all random numbers are a keyed hash (BLAKE3) of it, a stable id, the tick and a purpose.
///
/// Keys of SRTP or DTLS never come from here: the secret is in every recording.
#[derive(Resource, Record, Clone, PartialEq, Eq, Hash)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a random number is for; two purposes never share a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words are those of RFC 3261, RFC 4566 and RFC 3550")]
pub enum Purpose {
    Tag = 1,
    Branch = 2,
    CallId = 3,
    CSeq = 4,
    SdpSession = 5,
    Ssrc = 6,
    RtpSequence = 7,
    RtpTimestamp = 8,
    Glare = 9,
    TableSeed = 10,
    Plugin = 11,
}

impl Secret {
    /// Seeds the hashes by which messages find transactions and dialogs, so that no peer can make them collide.
    pub fn table_seed(&self) -> u64 {
        self.bits(StableId(0), Now(0), Purpose::TableSeed, 0) as u64
    }

    /// 128 random bits for `purpose` of the entity `id` at `now`; `counter` tells several of one tick apart.
    pub fn bits(&self, id: StableId, now: Now, purpose: Purpose, counter: u32) -> u128 {
        let mut input = [0u8; 21];
        input[..8].copy_from_slice(&id.0.to_le_bytes());
        input[8..16].copy_from_slice(&now.0.to_le_bytes());
        input[16] = purpose as u8;
        input[17..].copy_from_slice(&counter.to_le_bytes());
        let hash = blake3::keyed_hash(&self.0, &input);
        let mut bits = [0; 16];
        bits.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_le_bytes(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_depends_on_everything_it_is_made_from_and_on_nothing_else() {
        let draw = |secret: u8, id: u64, tick: u64, purpose: Purpose, counter: u32| {
            Secret([secret; 32]).bits(StableId(id), Now(tick), purpose, counter)
        };
        let number = draw(1, 2, 3, Purpose::Tag, 0);
        assert_eq!(draw(1, 2, 3, Purpose::Tag, 0), number, "the same again");
        let others = [
            draw(9, 2, 3, Purpose::Tag, 0),
            draw(1, 9, 3, Purpose::Tag, 0),
            draw(1, 2, 9, Purpose::Tag, 0),
            draw(1, 2, 3, Purpose::Branch, 0),
            draw(1, 2, 3, Purpose::Tag, 9),
        ];
        let all: BTreeSet<u128> = others.into_iter().chain([number]).collect();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret([7; 32])), "Secret(..)");
    }
}
