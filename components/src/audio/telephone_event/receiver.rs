//! From packets to digits, each exactly once.

use crate::audio::RtpClock;
use crate::record::Record;

/// A segment of an event that reached this length may be continued by another with a later timestamp (RFC 4733, section
/// 2.5.1.3, splits at 0xFFFF; packets near the end of the first segment may be lost).
const LONG_SEGMENT: u32 = 0x8000;

/// The longest duration that a packet can carry.
const SEGMENT_MAX: u32 = 0xffff;

/// A packet that is older than this is not a late one: the sender has started another time line. In milliseconds.
const STALE_MS: u32 = 30_000;

/// A whole event.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Heard {
    /// The event's number; 0-15 are the DTMF keys.
    pub event: u8,
    /// How long it lasted, in timestamp units.
    pub duration: u32,
}

/// An event whose packets are arriving.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Current {
    event: u8,
    ended: bool,
    /// Where the event began.
    timestamp: u32,
    /// Where its present segment began.
    segment: u32,
    /// How long that segment was in its latest packet.
    duration: u32,
}

impl Current {
    fn heard(&self) -> Heard {
        Heard { event: self.event, duration: self.segment.wrapping_sub(self.timestamp).saturating_add(self.duration) }
    }

    /// Whether a packet of that timestamp carries on this event as a further segment.
    fn is_continued_by(&self, timestamp: u32, event: u8, marker: bool) -> bool {
        let later = timestamp.wrapping_sub(self.segment);
        let adjoins = later == self.duration || (self.duration >= LONG_SEGMENT && later > self.duration);
        event == self.event && !marker && !self.ended && later > 0 && later <= SEGMENT_MAX && adjoins
    }
}

/// Reads digits from telephone-event packets: each exactly once and in order, whichever of its packets are lost,
/// doubled or out of order, as long as one arrives.
///
/// ```
/// use ringworld_components::audio::telephone_event::EventReceiver;
///
/// let mut receiver = EventReceiver::default();
/// assert_eq!(receiver.push(8000, 5, false, 160, true), None);
/// let heard = receiver.push(8000, 5, true, 800, false).unwrap();
/// assert_eq!((heard.event, heard.duration), (5, 800));
/// assert_eq!(receiver.push(8000, 5, true, 800, false), None);
/// ```
#[derive(Record, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventReceiver {
    clock: RtpClock,
    current: Option<Current>,
    /// The latest timestamp among events that were reported, so no packet of them or before them counts again.
    reported: Option<u32>,
}

impl EventReceiver {
    /// Takes one packet: RTP timestamp and marker; event, end bit and duration from the payload (RFC 4733, section
    /// 2.3).
    ///
    /// An event is reported by its first end packet, or by the start of the next event if no end packet arrived.
    pub fn push(&mut self, timestamp: u32, event: u8, end: bool, duration: u16, marker: bool) -> Option<Heard> {
        let duration = u32::from(duration);
        if let Some(reported) = self.reported {
            let older = reported.wrapping_sub(timestamp);
            if older < self.clock.units(STALE_MS) {
                return self.take_ended();
            }
        }
        let Some(current) = &mut self.current else {
            self.current = Some(Current { event, ended: end, timestamp, segment: timestamp, duration });
            return self.take_ended();
        };
        if current.segment == timestamp {
            if event == current.event {
                current.duration = current.duration.max(duration);
                current.ended |= end;
            }
            return self.take_ended();
        }
        if current.is_continued_by(timestamp, event, marker) {
            current.segment = timestamp;
            current.duration = duration;
            current.ended = end;
            return self.take_ended();
        }
        if current.segment.wrapping_sub(timestamp) < self.clock.units(STALE_MS) {
            if current.segment != current.timestamp && timestamp.wrapping_sub(current.timestamp) <= SEGMENT_MAX {
                // A late packet of an earlier segment of the present event.
                return self.take_ended();
            }
            // All packets of this event but this one were lost or are later still; the present one is not reported yet,
            // so the order holds.
            self.reported = Some(timestamp);
            return Some(Heard { event, duration });
        }
        let heard = current.heard();
        self.reported = Some(current.segment);
        self.current = Some(Current { event, ended: end, timestamp, segment: timestamp, duration });
        Some(heard)
    }

    /// Reports an event that has no end packet. Call it when no packet came for a while (100 ms is plenty).
    pub fn flush(&mut self) -> Option<Heard> {
        let current = self.current.take()?;
        self.reported = Some(current.segment);
        Some(current.heard())
    }

    /// Whether an event is under way, so that [`EventReceiver::flush`] would report it.
    pub fn is_pending(&self) -> bool {
        self.current.is_some()
    }

    /// Starts anew, as when the sender's SSRC changes. Flush first.
    pub fn reset(&mut self) {
        *self = Self { clock: self.clock, ..Self::default() };
    }

    /// Packets come by this clock from now on.
    pub fn set_clock(&mut self, clock: RtpClock) {
        self.clock = clock;
    }

    /// How long an event lasted, in milliseconds.
    pub fn duration_ms(&self, heard: &Heard) -> u32 {
        self.clock.ms(heard.duration)
    }

    fn take_ended(&mut self) -> Option<Heard> {
        if self.current.is_some_and(|current| current.ended) { self.flush() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    struct Packet {
        timestamp: u32,
        event: u8,
        end: bool,
        duration: u16,
        marker: bool,
    }

    /// The eight packets of each digit: 100 ms long, 60 ms apart.
    fn pressed(start: u32, digits: &[u8]) -> Vec<Vec<Packet>> {
        let one = |(index, event): (usize, &u8)| {
            let timestamp = start.wrapping_add(index as u32 * 1280);
            (1..=7u16)
                .map(|n| Packet { timestamp, event: *event, end: n >= 5, duration: n.min(5) * 160, marker: n == 1 })
                .collect()
        };
        digits.iter().enumerate().map(one).collect()
    }

    fn hear(packets: &[Packet]) -> Vec<u8> {
        let mut receiver = EventReceiver::default();
        let mut heard: Vec<u8> = packets
            .iter()
            .filter_map(|p| receiver.push(p.timestamp, p.event, p.end, p.duration, p.marker))
            .map(|heard| heard.event)
            .collect();
        while let Some(last) = receiver.flush() {
            heard.push(last.event);
        }
        heard
    }

    #[test]
    fn equal_digits_in_a_row_are_two() {
        assert_eq!(hear(&pressed(0, &[5, 5, 5]).concat()), [5, 5, 5]);
    }

    #[test]
    fn without_an_end_packet_the_next_digit_or_the_flush_ends_it() {
        let starts: Vec<Packet> = pressed(0, &[1, 1, 2]).into_iter().flat_map(|digit| digit[..3].to_vec()).collect();
        let mut receiver = EventReceiver::default();
        let heard: Vec<Heard> =
            starts.iter().filter_map(|p| receiver.push(p.timestamp, p.event, p.end, p.duration, p.marker)).collect();
        assert_eq!(heard, [Heard { event: 1, duration: 480 }; 2]);
        assert!(receiver.is_pending());
        assert_eq!(receiver.flush(), Some(Heard { event: 2, duration: 480 }));
        assert!(!receiver.is_pending());
        // What comes after the flush is still the same digit.
        assert_eq!(receiver.push(2560, 2, true, 800, false), None);
        assert_eq!(receiver.flush(), None);
    }

    #[test]
    fn a_long_press_in_segments_is_one_digit() {
        for lost in 0..4 {
            let mut receiver = EventReceiver::default();
            let mut heard = Vec::new();
            for (segment, last) in [(0u32, 0xffffu32), (0xffff, 0xffff), (0x1fffe, 8000)] {
                let durations: Vec<u32> = (160..=last).step_by(160).chain([last]).collect();
                for duration in &durations[..durations.len() - lost] {
                    let end = segment == 0x1fffe && *duration > 7000;
                    heard.extend(receiver.push(segment, 9, end, *duration as u16, segment == 0 && *duration == 160));
                }
            }
            assert_eq!(heard.len(), 1, "{lost} lost");
            assert!(heard[0].duration > 0x1fffe + 7000);
        }
    }

    #[test]
    fn another_time_line_is_heard() {
        let mut packets = pressed(0xf000_0000, &[1, 2]).concat();
        packets.extend(pressed(0xf000_0000 - 40 * 8000, &[3]).concat());
        assert_eq!(hear(&packets), [1, 2, 3]);
    }

    #[test]
    fn a_digit_that_comes_after_the_next_began_is_still_heard_before_it() {
        let digits = pressed(0, &[1, 2]);
        assert_eq!(hear(&[digits[1][0], digits[0][2], digits[0][6], digits[1][4], digits[0][5]]), [1, 2]);
    }

    proptest! {
        #[test]
        fn each_digit_is_heard_once_whatever_befalls_its_packets(
            start: u32,
            digits in prop::collection::vec((0u8..16, 0usize..7, prop::collection::vec((any::<bool>(), 1usize..3, 0u8..4), 7)), 1..12),
        ) {
            let events: Vec<u8> = digits.iter().map(|digit| digit.0).collect();
            let mut arrived = Vec::new();
            for (packets, (_, kept, fates)) in pressed(start, &events).iter().zip(&digits) {
                // One packet of each digit always arrives; the others are lost, doubled or moved within the digit.
                let mut copies: Vec<(u8, Packet)> = Vec::new();
                for (index, (packet, (lost, count, moved))) in packets.iter().zip(fates).enumerate() {
                    if index == *kept || !lost {
                        copies.extend(std::iter::repeat_n((index as u8 + moved, *packet), *count));
                    }
                }
                copies.sort_by_key(|(place, _)| *place);
                arrived.extend(copies.into_iter().map(|(_, packet)| packet));
            }
            prop_assert_eq!(hear(&arrived), events);
        }

        #[test]
        fn any_packets_are_taken_without_a_panic(packets: Vec<(u32, u8, bool, u16, bool)>) {
            let mut receiver = EventReceiver::default();
            for (timestamp, event, end, duration, marker) in packets {
                receiver.push(timestamp, event, end, duration, marker);
            }
            receiver.flush();
            prop_assert_eq!(receiver.flush(), None);
        }
    }
}
