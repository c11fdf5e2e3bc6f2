//! The layout of the file: a magic number, then chunks.
//!
//! A chunk is 16 bytes of frame (packed length, raw length, checksum; little-endian) and one zstd frame. The checksum
//! covers the packed bytes, the raw length and the position among the chunks, so a chunk that is damaged, missing or
//! in another's place is found out before anything of it is believed.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The first bytes of a recording. The line ends catch transfers as text; the last byte is the version of the format.
pub(super) const MAGIC: [u8; 8] = *b"RWLOG\r\n\x01";

/// The bytes in front of a chunk.
pub(super) const FRAME_BYTES: usize = 16;

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

/// What stands in front of a chunk.
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
        bytes[8..].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    pub fn from_bytes(bytes: [u8; FRAME_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, checksum @ ..] = bytes;
        Self {
            packed: u32::from_le_bytes([a, b, c, d]),
            raw: u32::from_le_bytes([e, f, g, h]),
            checksum: u64::from_le_bytes(checksum),
        }
    }

    /// Whether these are the packed bytes that the frame was made for.
    pub fn fits(&self, index: u64, packed: &[u8]) -> bool {
        checksum(index, packed, self.raw) == self.checksum
    }
}

fn checksum(index: u64, packed: &[u8], raw: u32) -> u64 {
    xxh3_64_with_seed(packed, (index << 32) ^ u64::from(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_knows_its_bytes_and_its_place() {
        let frame = Frame::of(3, b"packed", 17);
        assert_eq!(Frame::from_bytes(frame.to_bytes()), frame);
        assert!(frame.fits(3, b"packed"));
        assert!(!frame.fits(4, b"packed"));
        assert!(!frame.fits(3, b"pack3d"));
        assert!(!Frame { raw: 18, ..frame }.fits(3, b"packed"));
    }
}
