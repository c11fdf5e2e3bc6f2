//! The packets that wait, in the order of their timestamps.

use crate::record::Record;
use std::collections::VecDeque;

/// Packets that are held at most: 400 ms in packets of 10 ms, and some.
const PACKETS_MAX: usize = 64;

/// Bytes that are held at most: 600 ms.
const BYTES_MAX: usize = 4800;

/// One packet, or what is left of it.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Packet {
    timestamp: u32,
    sequence: u16,
    length: u16,
}

/// Why a packet was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// One with its timestamp is held.
    Duplicate,
    /// No room.
    Full,
}

/// What a read met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Samples that were there.
    pub covered: usize,
    /// The timestamp after the last of them.
    pub end: u32,
}

/// The packets' places, and their bytes one after the other in the same order.
#[derive(Record, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct HeldPackets {
    packets: VecDeque<Packet>,
    bytes: VecDeque<u8>,
}

impl HeldPackets {
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.bytes.clear();
    }

    /// Timestamp and sequence number of the first packet.
    pub(super) fn first(&self) -> Option<(u32, u16)> {
        self.packets.front().map(|packet| (packet.timestamp, packet.sequence))
    }

    /// Timestamp of the last packet.
    pub(super) fn last(&self) -> Option<u32> {
        self.packets.back().map(|packet| packet.timestamp)
    }

    /// Samples that are held.
    #[cfg(test)]
    pub(super) fn samples(&self) -> usize {
        self.bytes.len()
    }

    /// Takes in a packet at its place.
    pub(super) fn insert(&mut self, timestamp: u32, sequence: u16, payload: &[u8]) -> Result<(), Refused> {
        let length = u16::try_from(payload.len()).map_err(|_| Refused::Full)?;
        let after = |packet: &&Packet| packet.timestamp.wrapping_sub(timestamp) as i32 > 0;
        let later = self.packets.iter().rev().take_while(after).count();
        let place = self.packets.len() - later;
        if place > 0 && self.packets.get(place - 1).is_some_and(|before| before.timestamp == timestamp) {
            return Err(Refused::Duplicate);
        }
        if self.packets.len() >= PACKETS_MAX || self.bytes.len() + payload.len() > BYTES_MAX {
            return Err(Refused::Full);
        }
        let later_bytes: usize = self.packets.range(place..).map(|packet| usize::from(packet.length)).sum();
        self.packets.insert(place, Packet { timestamp, sequence, length });
        self.bytes.extend(payload);
        if later_bytes > 0 {
            let from = self.bytes.len() - payload.len() - later_bytes;
            if let Some(tail) = self.bytes.make_contiguous().get_mut(from..) {
                tail.rotate_right(payload.len());
            }
        }
        Ok(())
    }

    /// Copies what there is from `playhead` on into `out` and drops it, and all before it. `begun` is told the sequence
    /// number of each packet that is touched.
    pub(super) fn read(&mut self, playhead: u32, out: &mut [u8], mut begun: impl FnMut(u16)) -> Reading {
        let mut reading = Reading { covered: 0, end: playhead };
        let mut cursor = 0usize;
        while let Some(first) = self.packets.front().copied() {
            let offset = first.timestamp.wrapping_sub(playhead) as i32;
            // What lies before the cursor was played, from this packet or from one that overlaps it.
            let stale = (cursor as i32).saturating_sub(offset).max(0) as usize;
            if stale >= usize::from(first.length) {
                begun(first.sequence);
                self.consume(usize::from(first.length));
                continue;
            }
            let start = cursor.max(usize::try_from(offset).unwrap_or(0));
            let Some(room) = out.get_mut(start..).filter(|room| !room.is_empty()) else { break };
            begun(first.sequence);
            self.consume(stale);
            let count = room.len().min(usize::from(first.length) - stale);
            copy_front(&self.bytes, &mut room[..count]);
            self.consume(count);
            cursor = start + count;
            reading.covered += count;
            reading.end = playhead.wrapping_add(cursor as u32);
        }
        reading
    }

    /// Drops what lies before `playhead`; returns the packets of which nothing is left, and the last one's sequence
    /// number.
    pub(super) fn drop_before(&mut self, playhead: u32) -> (u32, Option<u16>) {
        let (mut dropped, mut last) = (0, None);
        while let Some(first) = self.packets.front().copied() {
            let stale = playhead.wrapping_sub(first.timestamp) as i32;
            if stale <= 0 {
                break;
            }
            if stale < i32::from(first.length) {
                self.consume(stale as usize);
                break;
            }
            self.consume(usize::from(first.length));
            dropped += 1;
            last = Some(first.sequence);
        }
        (dropped, last)
    }

    /// Drops `count` bytes of the first packet, and the packet with its last byte.
    fn consume(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        if let Some(first) = self.packets.front_mut() {
            first.timestamp = first.timestamp.wrapping_add(count as u32);
            first.length = first.length.saturating_sub(count as u16);
            if first.length == 0 {
                self.packets.pop_front();
            }
        }
    }
}

/// Copies the first bytes; `bytes` holds at least as many unless a snapshot was damaged.
fn copy_front(bytes: &VecDeque<u8>, out: &mut [u8]) {
    let (head, tail) = bytes.as_slices();
    let split = head.len().min(out.len());
    let (first, second) = out.split_at_mut(split);
    first.copy_from_slice(&head[..split]);
    let rest = second.len().min(tail.len());
    second[..rest].copy_from_slice(&tail[..rest]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(held: &mut HeldPackets, playhead: u32, count: usize) -> (Vec<u8>, Vec<u16>) {
        let (mut out, mut begun) = (vec![0; count], Vec::new());
        held.read(playhead, &mut out, |sequence| begun.push(sequence));
        (out, begun)
    }

    #[test]
    fn packets_are_read_in_the_order_of_time() {
        let mut held = HeldPackets::default();
        for (timestamp, sequence, payload) in
            [(4, 2, [3, 4]), (u32::MAX - 1, 1, [1, 2]), (8, 4, [7, 8]), (6, 3, [5, 6])]
        {
            assert_eq!(held.insert(timestamp, sequence, &payload), Ok(()));
        }
        assert_eq!(held.insert(6, 9, &[0]), Err(Refused::Duplicate));
        assert_eq!((held.first(), held.last(), held.samples()), (Some((u32::MAX - 1, 1)), Some(8), 8));
        assert_eq!(read(&mut held, u32::MAX - 1, 7), (vec![1, 2, 0, 0, 0, 0, 3], vec![1, 2]));
        assert_eq!(read(&mut held, 5, 4), (vec![4, 5, 6, 7], vec![2, 3, 4]));
        assert_eq!(read(&mut held, 20, 1), (vec![0], vec![4]));
        assert!(held.is_empty() && held.samples() == 0);
    }

    #[test]
    fn what_overlaps_is_played_once() {
        let mut held = HeldPackets::default();
        for (timestamp, payload) in [(0, [1, 2, 3, 4]), (2, [9, 9, 5, 6]), (3, [8, 8, 8, 7])] {
            assert_eq!(held.insert(timestamp, 0, &payload), Ok(()));
        }
        assert_eq!(read(&mut held, 0, 8).0, [1, 2, 3, 4, 5, 6, 7, 0]);
        assert!(held.is_empty());
    }

    #[test]
    fn there_is_a_limit_to_packets_and_to_bytes() {
        let mut small = HeldPackets::default();
        let stored = (0..100).filter(|n| small.insert(*n, 0, &[0]).is_ok()).count();
        assert_eq!(stored, PACKETS_MAX);
        let mut large = HeldPackets::default();
        let stored = (0..60).filter(|n| large.insert(*n, 0, &[0; 960]).is_ok()).count();
        assert_eq!(stored, 5);
    }

    #[test]
    fn dropping_says_what_it_dropped() {
        let mut held = HeldPackets::default();
        (0..3).for_each(|n| assert_eq!(held.insert(u32::from(n) * 2, n, &[0, 1]), Ok(())));
        assert_eq!(held.drop_before(3), (1, Some(0)));
        assert_eq!(held.first(), Some((3, 1)));
        assert_eq!(held.drop_before(100), (2, Some(2)));
        assert!(held.is_empty() && held.samples() == 0);
    }
}
