//! The chunks that are kept, and which of them may be removed.

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
    /// The world, packed; `None` if it had not begun, or if a snapshot of it is still to be offered.
    pub snapshot: Option<Arc<(Vec<u8>, u32)>>,
}

impl Base {
    /// Whether a recording can begin here.
    pub fn is_whole(&self) -> bool {
        self.snapshot.is_some() || self.mark.tick == 0
    }

    fn bytes(&self) -> usize {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.0.len())
    }
}

/// A part of a world's history.
#[derive(Default)]
pub(super) struct Ring {
    pub base: Base,
    pub chunks: VecDeque<Arc<Packed>>,
    /// Where it can begin when it has to be shorter, and how many chunks lie before that.
    next: Option<(usize, Base)>,
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

    /// What the chunks and the snapshots take.
    pub fn bytes(&self) -> usize {
        self.bytes + self.base.bytes() + self.next.as_ref().map_or(0, |(_, next)| next.bytes())
    }

    /// The last tick.
    pub fn end(&self) -> Mark {
        self.chunks.back().map_or(self.base.mark, |chunk| chunk.mark)
    }

    /// How many of the oldest chunks should be removed, once it is worthwhile: when the ring is twice as long as the
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

    /// Removes the oldest chunks: the ring begins where they end.
    pub fn advance(&mut self, count: usize, base: Base) {
        let gone = self.chunks.drain(..count.min(self.chunks.len()));
        self.bytes -= gone.map(|chunk| chunk.bytes.len()).sum::<usize>();
        (self.base, self.next) = (base, None);
    }

    /// Whether a snapshot of now would be of use: if the ring has no beginning, or will have to be shorter once it has
    /// grown as much again.
    pub fn wants_snapshot(&self, window_ticks: u64, bytes_max: usize) -> bool {
        let is_long = self.end().tick.saturating_sub(self.base.mark.tick) >= window_ticks;
        let is_large = self.bytes > bytes_max.saturating_sub(self.base.bytes()) / 4;
        !self.base.is_whole() || (self.next.is_none() && (is_long || is_large))
    }

    /// Takes a snapshot made where a chunk ends. One that there is no room for beside the older one takes
    /// its place at once.
    pub fn offer(&mut self, base: Base, bytes_max: usize) {
        let tick = base.mark.tick;
        if !self.base.is_whole() && tick == self.base.mark.tick {
            self.base = Base { mark: self.base.mark, ..base };
            return;
        }
        let Some(at) = self.chunks.iter().position(|chunk| chunk.mark.tick == tick) else { return };
        let mark = self.chunks.get(at).map_or(base.mark, |chunk| chunk.mark);
        let base = Base { mark, ..base };
        if self.base.is_whole() && self.bytes() + base.bytes() <= bytes_max {
            self.next = Some((at + 1, base));
        } else {
            self.advance(at + 1, base);
        }
    }

    /// Begins at the snapshot that was offered, if that makes it short enough and leaves the window; or if it has to,
    /// for want of memory. True if one waits for that.
    pub fn begin_at_next(&mut self, window_ticks: u64, bytes_max: usize) -> bool {
        let Some((count, next)) = self.next.take() else { return false };
        let is_old = self.end().tick.saturating_sub(next.mark.tick) >= window_ticks;
        let is_large = self.bytes > bytes_max.saturating_sub(self.base.bytes() + next.bytes()) / 2;
        if is_old || is_large {
            self.advance(count, next);
            return false;
        }
        self.next = Some((count, next));
        true
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
            let damaged = ReplayError::Damaged { offset: 0, readable_to: tick, damage: Damage::Packetizer };
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
        // 210 ticks: what is more than 100 back is removed.
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

    /// A snapshot of the end of the chunk of that number.
    fn snapshot(chunk: u64, bytes: usize) -> Base {
        let mark = Mark { tick: chunk * 10, ticks: 0 };
        Base { mark, snapshot: Some(Arc::new((vec![0; bytes], 0))), ..Base::default() }
    }

    #[test]
    fn a_snapshot_that_is_offered_is_used_when_the_window_lies_behind_it() {
        let mut young = ring(9, 1);
        assert!(!young.wants_snapshot(100, 1_000));
        young.push(Packed { bytes: vec![0; 1], raw: 0, mark: Mark { tick: 100, ticks: 99 } });
        assert!(young.wants_snapshot(100, 1_000));
        young.offer(snapshot(10, 7), 1_000);
        assert!(!young.wants_snapshot(100, 1_000), "one is enough");
        assert_eq!(young.bytes(), 17);
        assert!(young.begin_at_next(100, 1_000));
        young.push(Packed { bytes: vec![0; 1], raw: 0, mark: Mark { tick: 200, ticks: 199 } });
        assert!(!young.begin_at_next(100, 1_000));
        assert_eq!((young.base.mark, young.bytes()), (Mark { tick: 100, ticks: 99 }, 8));
        assert!(young.base.is_whole());
    }

    #[test]
    fn without_room_for_two_snapshots_the_older_one_goes() {
        let mut full = ring(10, 30);
        assert!(full.wants_snapshot(10_000, 1_000), "a quarter is full");
        full.offer(snapshot(8, 701), 1_000);
        assert_eq!((full.base.mark.tick, full.chunks.len(), full.bytes()), (80, 2, 761));
        full.offer(snapshot(10, 100), 1_000);
        assert!(full.begin_at_next(10_000, 1_000), "there is still room");
        assert!(!full.begin_at_next(10_000, 900), "there is not");
        assert_eq!((full.base.mark.tick, full.chunks.len()), (100, 0));
    }

    #[test]
    fn a_ring_without_a_beginning_takes_the_first_that_fits() {
        let mut waiting = Ring::beginning_at(Base { mark: Mark { tick: 5, ticks: 5 }, ..Base::default() });
        assert!(!waiting.base.is_whole() && waiting.wants_snapshot(1_000, 1_000));
        waiting.push(Packed { bytes: vec![0; 9], raw: 0, mark: Mark { tick: 10, ticks: 10 } });
        waiting.offer(snapshot(7, 1), 1_000);
        assert!(!waiting.base.is_whole(), "no chunk ends there");
        waiting.offer(snapshot(1, 1), 1_000);
        assert_eq!((waiting.base.is_whole(), waiting.base.mark.tick, waiting.chunks.len()), (true, 10, 0));
        let mut waiting = Ring::beginning_at(Base { mark: Mark { tick: 10, ticks: 5 }, ..Base::default() });
        waiting.offer(snapshot(1, 1), 1_000);
        assert!(waiting.base.is_whole() && waiting.base.mark.ticks == 5);
    }
}
