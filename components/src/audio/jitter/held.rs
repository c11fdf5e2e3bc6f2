//! The packets that wait, in the order of their timestamps.

use crate::record::Record;
use std::collections::VecDeque;

/// Packets that are held at most: 400 ms in packets of 10 ms, and some.
const PACKETS_MAX: usize = 64;

/// Frames that are held at most: 600 ms.
const FRAMES_MAX: u32 = 30;

/// One packet.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Packet {
    /// That of its first unit which was not played.
    timestamp: u32,
    sequence: u16,
    octets: u16,
    /// How long it is, in units of the RTP clock.
    units: u16,
    /// How many of them were played.
    played: u16,
}

impl Packet {
    /// Units that are left.
    fn left(self) -> usize {
        usize::from(self.units.saturating_sub(self.played))
    }
}

/// A part of a packet that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Where it begins within the frame, in units.
    pub at: usize,
    /// The payload of the whole packet.
    pub payload: &'a [u8],
    /// How long that is, in units.
    pub units: usize,
    /// Where in the packet the part begins.
    pub from: usize,
    /// How long the part is.
    pub count: usize,
}

impl Piece<'_> {
    /// Copies the part to its place in the octets of a frame of `frame_units`, where each unit has as many octets as
    /// the others.
    pub(super) fn copy(&self, out: &mut [u8], frame_units: usize) {
        let unit_octets = out.len() / frame_units.max(1);
        let octets = |first: usize| first * unit_octets..(first + self.count) * unit_octets;
        if let (Some(part), Some(place)) = (self.payload.get(octets(self.from)), out.get_mut(octets(self.at))) {
            place.copy_from_slice(part);
        }
    }
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
    /// Units that were there.
    pub covered: usize,
    /// The timestamp after the last of them.
    pub end: u32,
}

/// The packets' places, and their payloads one after the other in the same order.
#[derive(Record, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct HeldPackets {
    packets: VecDeque<Packet>,
    payloads: Vec<u8>,
}

impl HeldPackets {
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.payloads.clear();
    }

    /// Timestamp and sequence number of the first packet.
    pub(super) fn first(&self) -> Option<(u32, u16)> {
        self.packets.front().map(|packet| (packet.timestamp, packet.sequence))
    }

    /// Timestamp of the last packet.
    pub(super) fn last(&self) -> Option<u32> {
        self.packets.back().map(|packet| packet.timestamp)
    }

    /// Units that are held.
    pub(super) fn units(&self) -> usize {
        self.packets.iter().map(|packet| packet.left()).sum()
    }

    /// Takes in a packet of `units` at its place. `frame_units` are those of a frame.
    pub(super) fn insert(
        &mut self,
        timestamp: u32,
        sequence: u16,
        payload: &[u8],
        units: usize,
        frame_units: u32,
    ) -> Result<(), Refused> {
        let octets = u16::try_from(payload.len()).map_err(|_| Refused::Full)?;
        let whole = u16::try_from(units).map_err(|_| Refused::Full)?;
        let after = |packet: &&Packet| packet.timestamp.wrapping_sub(timestamp) as i32 > 0;
        let later = self.packets.iter().rev().take_while(after).count();
        let place = self.packets.len() - later;
        if place > 0 && self.packets.get(place - 1).is_some_and(|before| before.timestamp == timestamp) {
            return Err(Refused::Duplicate);
        }
        if self.packets.len() >= PACKETS_MAX || self.units() + units > (FRAMES_MAX * frame_units) as usize {
            return Err(Refused::Full);
        }
        let later_octets: usize = self.packets.range(place..).map(|packet| usize::from(packet.octets)).sum();
        self.packets.insert(place, Packet { timestamp, sequence, octets, units: whole, played: 0 });
        self.payloads.extend_from_slice(payload);
        if later_octets > 0 {
            let from = self.payloads.len().saturating_sub(later_octets + payload.len());
            if let Some(tail) = self.payloads.get_mut(from..) {
                tail.rotate_right(payload.len());
            }
        }
        Ok(())
    }

    /// Gives out what there is in the `frame_units` from `playhead` on, and drops what is used up and all before it.
    /// `begun` is told the sequence number of each packet that is touched.
    pub(super) fn read(
        &mut self,
        playhead: u32,
        frame_units: usize,
        mut piece: impl FnMut(Piece<'_>),
        mut begun: impl FnMut(u16),
    ) -> Reading {
        let mut reading = Reading { covered: 0, end: playhead };
        let mut cursor = 0usize;
        while let Some(first) = self.packets.front().copied() {
            let offset = first.timestamp.wrapping_sub(playhead) as i32;
            // What lies before the cursor was played, from this packet or from one that overlaps it.
            let stale = (cursor as i32).saturating_sub(offset).max(0) as usize;
            if stale >= first.left() {
                begun(first.sequence);
                self.consume(first.left());
                continue;
            }
            let start = cursor.max(usize::try_from(offset).unwrap_or(0));
            if start >= frame_units {
                break;
            }
            begun(first.sequence);
            let (from, count) = (usize::from(first.played) + stale, (frame_units - start).min(first.left() - stale));
            let payload = self.payloads.get(..usize::from(first.octets)).unwrap_or_default();
            piece(Piece { at: start, payload, units: usize::from(first.units), from, count });
            self.consume(stale + count);
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
            if (stale as usize) < first.left() {
                self.consume(stale as usize);
                break;
            }
            self.consume(first.left());
            dropped += 1;
            last = Some(first.sequence);
        }
        (dropped, last)
    }

    /// Uses up `count` units of the first packet, and drops the packet with its last unit.
    fn consume(&mut self, count: usize) {
        let Some(first) = self.packets.front_mut() else { return };
        first.timestamp = first.timestamp.wrapping_add(count as u32);
        first.played = first.played.saturating_add(count as u16);
        if first.left() == 0 {
            let octets = usize::from(first.octets).min(self.payloads.len());
            self.payloads.drain(..octets);
            self.packets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(held: &mut HeldPackets, playhead: u32, count: usize) -> (Vec<u8>, Vec<u16>) {
        let (mut out, mut begun) = (vec![0; count], Vec::new());
        held.read(playhead, count, |piece| piece.copy(&mut out, count), |sequence| begun.push(sequence));
        (out, begun)
    }

    fn insert(held: &mut HeldPackets, timestamp: u32, sequence: u16, payload: &[u8]) -> Result<(), Refused> {
        held.insert(timestamp, sequence, payload, payload.len(), 160)
    }

    #[test]
    fn packets_are_read_in_the_order_of_time() {
        let mut held = HeldPackets::default();
        for (timestamp, sequence, payload) in
            [(4, 2, [3, 4]), (u32::MAX - 1, 1, [1, 2]), (8, 4, [7, 8]), (6, 3, [5, 6])]
        {
            assert_eq!(insert(&mut held, timestamp, sequence, &payload), Ok(()));
        }
        assert_eq!(insert(&mut held, 6, 9, &[0]), Err(Refused::Duplicate));
        assert_eq!((held.first(), held.last(), held.units()), (Some((u32::MAX - 1, 1)), Some(8), 8));
        assert_eq!(read(&mut held, u32::MAX - 1, 7), (vec![1, 2, 0, 0, 0, 0, 3], vec![1, 2]));
        assert_eq!(read(&mut held, 5, 4), (vec![4, 5, 6, 7], vec![2, 3, 4]));
        assert_eq!(read(&mut held, 20, 1), (vec![0], vec![4]));
        assert!(held.is_empty() && held.payloads.is_empty());
    }

    #[test]
    fn units_of_several_octets_are_cut_where_they_begin() {
        let mut held = HeldPackets::default();
        for (timestamp, payload) in [(10, [1, 2, 3, 4, 5, 6]), (12, [9, 9, 7, 8, 0, 0])] {
            assert_eq!(held.insert(timestamp, 0, &payload, 3, 160), Ok(()));
        }
        let mut out = [0; 8];
        let reading = held.read(9, 4, |piece| piece.copy(&mut out, 4), |_| {});
        assert_eq!((out, reading), ([0, 0, 1, 2, 3, 4, 5, 6], Reading { covered: 3, end: 13 }));
        assert_eq!((held.units(), held.first()), (3, Some((12, 0))));
    }

    #[test]
    fn what_overlaps_is_played_once() {
        let mut held = HeldPackets::default();
        for (timestamp, payload) in [(0, [1, 2, 3, 4]), (2, [9, 9, 5, 6]), (3, [8, 8, 8, 7])] {
            assert_eq!(insert(&mut held, timestamp, 0, &payload), Ok(()));
        }
        assert_eq!(read(&mut held, 0, 8).0, [1, 2, 3, 4, 5, 6, 7, 0]);
        assert!(held.is_empty());
    }

    #[test]
    fn there_is_a_limit_to_packets_and_to_their_length() {
        let mut small = HeldPackets::default();
        let stored = (0..100).filter(|n| insert(&mut small, *n, 0, &[0]).is_ok()).count();
        assert_eq!(stored, PACKETS_MAX);
        let mut large = HeldPackets::default();
        let stored = (0..60).filter(|n| insert(&mut large, *n, 0, &[0; 960]).is_ok()).count();
        assert_eq!(stored, 5);
    }

    #[test]
    fn dropping_says_what_it_dropped() {
        let mut held = HeldPackets::default();
        (0..3).for_each(|n| assert_eq!(insert(&mut held, u32::from(n) * 2, n, &[0, 1]), Ok(())));
        assert_eq!(held.drop_before(3), (1, Some(0)));
        assert_eq!(held.first(), Some((3, 1)));
        assert_eq!(held.drop_before(100), (2, Some(2)));
        assert!(held.is_empty() && held.payloads.is_empty());
    }
}
