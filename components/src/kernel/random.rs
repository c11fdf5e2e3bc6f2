//! Randomness that a replay repeats and a peer can't guess.

use super::{Now, StableId};
use crate::record::{DecodeError, Decoder, Encoder, Record, Shape};
use bevy_ecs::prelude::*;
use std::fmt;

/// The world's secret: all random numbers are a keyed hash (BLAKE3) of it, a stable id, the tick and a purpose.
///
/// Keys of SRTP or DTLS never come from here: the secret is in every recording.
#[derive(Resource, Clone, PartialEq, Eq, Hash)]
pub struct Secret {
    key: [u8; 32],
    /// Follows from the key. It is asked for with every message.
    table_seed: u64,
}

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
    /// The secret of this key.
    pub fn new(key: [u8; 32]) -> Self {
        let table_seed = Self { key, table_seed: 0 }.bits(StableId(0), Now(0), Purpose::TableSeed, 0) as u64;
        Self { key, table_seed }
    }

    /// The key.
    pub fn key(&self) -> [u8; 32] {
        self.key
    }

    /// Seeds the hashes by which messages find transactions and dialogs, so that no peer can make them collide.
    pub fn table_seed(&self) -> u64 {
        self.table_seed
    }

    /// 128 random bits for `purpose` of the entity `id` at `now`; `counter` tells several of one tick apart.
    pub fn bits(&self, id: StableId, now: Now, purpose: Purpose, counter: u32) -> u128 {
        let mut input = [0u8; 21];
        input[..8].copy_from_slice(&id.0.to_le_bytes());
        input[8..16].copy_from_slice(&now.0.to_le_bytes());
        input[16] = purpose as u8;
        input[17..].copy_from_slice(&counter.to_le_bytes());
        let hash = blake3::keyed_hash(&self.key, &input);
        let mut bits = [0; 16];
        bits.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_le_bytes(bits)
    }
}

// Only the key is state.
impl Record for Secret {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.key.encode(to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self::new(Record::decode(from)?))
    }
    fn shape(to: &mut Shape) {
        to.open("Secret");
        <[u8; 32]>::shape(to);
        to.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_depends_on_everything_it_is_made_from_and_on_nothing_else() {
        let draw = |secret: u8, id: u64, tick: u64, purpose: Purpose, counter: u32| {
            Secret::new([secret; 32]).bits(StableId(id), Now(tick), purpose, counter)
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
        assert_eq!(format!("{:?}", Secret::new([7; 32])), "Secret(..)");
    }
}
