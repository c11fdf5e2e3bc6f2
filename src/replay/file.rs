//! The layout of the file: a magic number, then chunks.
//!
//! A chunk is 20 bytes of frame (packed length, raw length, checksum, checksum of the frame; little-endian) and one
//! zstd frame. The checksum covers the packed bytes, the raw length and the position among the chunks, so a chunk that
//! is damaged, missing or out of place is found before any of it is used. The frame has a checksum of its own, so that
//! a length that is damaged is not taken for a chunk whose writer was killed.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The first bytes of a recording. The line ends catch transfers as text; the last byte is the version of the format.
pub(super) const MAGIC: [u8; 8] = *b"RWLOG\r\n\x02";

/// The version of the format.
pub(super) const VERSION: u8 = MAGIC[MAGIC.len() - 1];

/// The bytes in front of a chunk.
pub(super) const FRAME_BYTES: usize = 20;

/// Those of them that the last four are the checksum of.
const SUMMED_BYTES: usize = 16;

/// A chunk is closed at the end of the tick that fills it to here.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// The largest chunk: a header with a snapshot, or one tick with thousands of inputs.
pub(super) const RAW_BYTES_MAX: usize = 512 * 1024 * 1024;

/// What a chunk holds: its first raw byte.
pub(super) const HEADER: u8 = 1;
/// Ticks.
pub(super) const TICKS: u8 = 2;
/// The end.
pub(super) const FOOTER: u8 = 3;

/// The frame in front of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub packed: u32,
    pub raw: u32,
    pub checksum: u64,
}

impl Frame {
    /// The frame of the `index`-th chunk.
    pub fn of(index: u64, packed: &[u8], raw: u32) -> Self {
        Self { packed: packed.len() as u32, raw, checksum: checksum(index, packed, raw) }
    }

    pub fn to_bytes(self) -> [u8; FRAME_BYTES] {
        let mut bytes = [0; FRAME_BYTES];
        bytes[..4].copy_from_slice(&self.packed.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.raw.to_le_bytes());
        bytes[8..SUMMED_BYTES].copy_from_slice(&self.checksum.to_le_bytes());
        let sum = own_checksum(&bytes[..SUMMED_BYTES]);
        bytes[SUMMED_BYTES..].copy_from_slice(&sum);
        bytes
    }

    /// Reads a frame; `None` if it is damaged.
    pub fn from_bytes(bytes: &[u8; FRAME_BYTES]) -> Option<Self> {
        let (summed, sum) = bytes.split_at(SUMMED_BYTES);
        if own_checksum(summed) != *sum {
            return None;
        }
        let (packed, rest) = summed.split_first_chunk()?;
        let (raw, checksum) = rest.split_first_chunk()?;
        Some(Self {
            packed: u32::from_le_bytes(*packed),
            raw: u32::from_le_bytes(*raw),
            checksum: u64::from_le_bytes(checksum.try_into().ok()?),
        })
    }

    /// Whether these are the packed bytes that the frame was made for.
    pub fn fits(&self, index: u64, packed: &[u8]) -> bool {
        checksum(index, packed, self.raw) == self.checksum
    }
}

fn checksum(index: u64, packed: &[u8], raw: u32) -> u64 {
    xxh3_64_with_seed(packed, (index << 32) ^ u64::from(raw))
}

fn own_checksum(bytes: &[u8]) -> [u8; FRAME_BYTES - SUMMED_BYTES] {
    (xxh3_64(bytes) as u32).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_knows_its_bytes_and_its_place() {
        let frame = Frame::of(3, b"packed", 17);
        assert_eq!(Frame::from_bytes(&frame.to_bytes()), Some(frame));
        assert!(frame.fits(3, b"packed"));
        assert!(!frame.fits(4, b"packed"));
        assert!(!frame.fits(3, b"pack3d"));
        assert!(!Frame { raw: 18, ..frame }.fits(3, b"packed"));
    }

    #[test]
    fn any_bit_of_a_frame_that_is_wrong_is_found_out() {
        let bytes = Frame::of(3, b"packed", 17).to_bytes();
        for bit in 0..8 * FRAME_BYTES {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::from_bytes(&damaged), None, "bit {bit}");
        }
    }
}
