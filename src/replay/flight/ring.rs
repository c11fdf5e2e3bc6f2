//! The chunks that are kept, and which of them may go.

use crate::engine::ChainDigest;
use crate::replay::chunks::{Chunks, unpack};
use crate::replay::error::{Damage, ReplayError};
use crate::replay::header::{Ending, Footer};
use crate::replay::writer::{Mark, footer_bytes};
use std::collections::VecDeque;
use std::sync::Arc;

/// A packed chunk, and where the world stood at its end.
pub(super) struct Packed {
    pub bytes: Vec<u8>,
    pub raw: u32,
    pub mark: Mark,
}

/// Where the ring begins.
#[derive(Clone, Default)]
pub(super) struct Base {
    /// How many ticks were run until then.
    pub mark: Mark,
    pub chain: ChainDigest,
    /// The world, packed; `None` if it had not begun.
    pub snapshot: Option<Arc<(Vec<u8>, u32)>>,
}

/// A stretch of a world's life.
#[derive(Default)]
pub(super) struct Ring {
    pub base: Base,
    pub chunks: VecDeque<Arc<Packed>>,
    bytes: usize,
}

impl Ring {
    pub fn beginning_at(base: Base) -> Self {
        Self { base, ..Self::default() }
    }

    pub fn push(&mut self, chunk: Packed) {
        self.bytes += chunk.bytes.len();
        self.chunks.push_back(Arc::new(chunk));
    }

    /// What the chunks and the snapshot take.
    pub fn bytes(&self) -> usize {
        self.bytes + self.base.snapshot.as_ref().map_or(0, |snapshot| snapshot.0.len())
    }

    /// The last tick.
    pub fn end(&self) -> Mark {
        self.chunks.back().map_or(self.base.mark, |chunk| chunk.mark)
    }

    /// How many of the oldest chunks should go, once it is worth the trouble: when the ring is twice as long as the
    /// window, down to the window, or when half of the memory is taken, down to a quarter.
    pub fn surplus(&self, window_ticks: u64, bytes_max: usize) -> usize {
        let (end, room) = (self.end().tick, bytes_max.saturating_sub(self.bytes() - self.bytes));
        let is_long = end.saturating_sub(self.base.mark.tick) > 2 * window_ticks;
        let is_large = self.bytes > room / 2;
        let mut left = self.bytes;
        let goes = |chunk: &&Arc<Packed>| {
            let too_old = is_long && end.saturating_sub(chunk.mark.tick) >= window_ticks;
            let too_much = is_large && left > room / 4;
            left -= chunk.bytes.len();
            too_old || too_much
        };
        self.chunks.iter().take_while(goes).count()
    }

    /// Lets the oldest chunks go: the ring begins where they end.
    pub fn advance(&mut self, count: usize, base: Base) {
        let gone = self.chunks.drain(..count.min(self.chunks.len()));
        self.bytes -= gone.map(|chunk| chunk.bytes.len()).sum::<usize>();
        self.base = base;
    }
}

/// Chunks out of memory.
pub(super) struct MemoryChunks {
    chunks: std::vec::IntoIter<Arc<Packed>>,
    mark: Mark,
    has_ended: bool,
}

impl MemoryChunks {
    pub fn of(chunks: Vec<Arc<Packed>>) -> Self {
        let mark = chunks.last().map(|chunk| chunk.mark).unwrap_or_default();
        Self { chunks: chunks.into_iter(), mark, has_ended: false }
    }
}

impl Chunks for MemoryChunks {
    fn next(&mut self, tick: u64) -> Result<Option<Vec<u8>>, ReplayError> {
        if let Some(chunk) = self.chunks.next() {
            let raw = unpack(&chunk.bytes, chunk.raw);
            let damaged = ReplayError::Damaged { offset: 0, readable_to: tick, damage: Damage::Packing };
            return raw.map(Some).ok_or(damaged);
        }
        if std::mem::replace(&mut self.has_ended, true) {
            return Ok(None);
        }
        let Mark { tick, ticks } = self.mark;
        Ok(Some(footer_bytes(&Footer { tick, ticks, ending: Ending::Finished, digest: None })))
    }

    fn began_at(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(chunks: u64, bytes: usize) -> Ring {
        let mut ring = Ring::default();
        for tick in 1..=chunks {
            ring.push(Packed { bytes: vec![0; bytes], raw: 0, mark: Mark { tick: tick * 10, ticks: tick * 10 } });
        }
        ring
    }

    #[test]
    fn nothing_goes_before_the_ring_is_twice_as_long_as_the_window() {
        assert_eq!(ring(20, 1).surplus(100, 1_000), 0);
        // 210 ticks: what lies more than 100 back goes.
        assert_eq!(ring(21, 1).surplus(100, 1_000), 11);
    }

    #[test]
    fn memory_that_is_half_full_is_emptied_to_a_quarter() {
        assert_eq!(ring(10, 50).surplus(1_000, 1_000), 0);
        let mut full = ring(11, 50);
        assert_eq!(full.surplus(1_000, 1_000), 6);
        full.advance(6, Base::default());
        assert_eq!((full.bytes(), full.end().tick, full.chunks.len()), (250, 110, 5));
        assert_eq!(full.surplus(1_000, 1_000), 0);
    }

    #[test]
    fn a_large_snapshot_leaves_less_room_for_chunks() {
        let mut ring = ring(10, 50);
        ring.base.snapshot = Some(Arc::new((vec![0; 400], 0)));
        assert_eq!((ring.bytes(), ring.surplus(1_000, 1_000)), (900, 7));
    }
}
