//! The buffer against networks that lose, double, delay and reorder.

use super::*;
use crate::record::{from_bytes, to_bytes};
use proptest::prelude::*;

const FILL: u8 = 0xff;

/// The byte of the sample at a timestamp; never the filling byte.
fn sample(timestamp: u32) -> u8 {
    (timestamp.wrapping_mul(0x9e37_79b1) >> 24) as u8 % 251
}

#[derive(Clone, Debug)]
struct Sent {
    arrival_ms: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    samples: u32,
}

/// A sender: packets of the given lengths in milliseconds, one after the other, each arriving when it is complete.
fn talk(sequence: u16, timestamp: u32, ptimes_ms: impl IntoIterator<Item = u32>) -> Vec<Sent> {
    let mut at_ms = 0;
    let one = |(index, ptime_ms): (usize, u32)| {
        let sent = Sent {
            arrival_ms: at_ms + ptime_ms,
            sequence: sequence.wrapping_add(index as u16),
            timestamp: timestamp.wrapping_add(at_ms * 8),
            marker: index == 0,
            samples: ptime_ms * 8,
        };
        at_ms += ptime_ms;
        sent
    };
    ptimes_ms.into_iter().enumerate().map(one).collect()
}

/// What a listener hears from a buffer that is popped every 20 ms.
struct Listener {
    buffer: JitterBuffer,
    pushes: Vec<PushOutcome>,
    pops: Vec<PopOutcome>,
    /// Samples of audio heard.
    heard: usize,
    /// The timestamp after the last sample heard.
    end: Option<u32>,
}

impl Listener {
    fn new(limits: JitterLimits) -> Self {
        Self { buffer: JitterBuffer::new(limits), pushes: Vec::new(), pops: Vec::new(), heard: 0, end: None }
    }

    fn push(&mut self, sent: &Sent) -> PushOutcome {
        let payload: Vec<u8> = (0..sent.samples).map(|n| sample(sent.timestamp.wrapping_add(n))).collect();
        let outcome = self.buffer.push(sent.sequence, sent.timestamp, sent.marker, &payload);
        self.pushes.push(outcome);
        outcome
    }

    /// Pops, and checks that each sample is the right one for its time and that time never goes back.
    fn pop(&mut self) -> PopOutcome {
        let (mut out, mut restored) = ([0; 160], from_bytes::<JitterBuffer>(&to_bytes(&self.buffer)).unwrap());
        let outcome = self.buffer.pop(&mut out, FILL);
        let mut again = [1; 160];
        assert_eq!(restored.pop(&mut again, FILL), outcome, "a restored buffer goes on as the first");
        assert_eq!((&again, &restored), (&out, &self.buffer));

        let count = out.iter().filter(|byte| **byte != FILL).count();
        let expected = match outcome {
            PopOutcome::Frame => 160..=160,
            PopOutcome::Partial => 1..=159,
            _ => 0..=0,
        };
        assert!(expected.contains(&count), "{outcome:?} with {count} samples");
        if let Some(after) = self.buffer.playhead {
            for (index, byte) in out.iter().enumerate().filter(|(_, byte)| **byte != FILL) {
                let timestamp = after.wrapping_sub(160).wrapping_add(index as u32);
                assert_eq!(*byte, sample(timestamp));
                assert!(self.end.is_none_or(|end| timestamp.wrapping_sub(end) as i32 >= 0), "time went back");
                self.end = Some(timestamp.wrapping_add(1));
            }
        }
        self.heard += count;
        self.pops.push(outcome);
        outcome
    }

    /// Plays all that was sent, and a second more. The pops are at 20 n + `phase_ms`.
    fn listen(&mut self, sent: &[Sent], phase_ms: u32) {
        let mut arrivals: Vec<&Sent> = sent.iter().collect();
        arrivals.sort_by_key(|sent| sent.arrival_ms);
        let last_ms = arrivals.last().map_or(0, |sent| sent.arrival_ms);
        let mut arrivals = arrivals.into_iter().peekable();
        let mut now_ms = phase_ms;
        while now_ms < last_ms + 1000 {
            while let Some(arrived) = arrivals.next_if(|sent| sent.arrival_ms <= now_ms) {
                self.push(arrived);
            }
            self.pop();
            now_ms += 20;
        }
    }

    fn count(&self, outcome: PopOutcome) -> usize {
        self.pops.iter().filter(|pop| **pop == outcome).count()
    }
}

fn heard_over(sent: &[Sent]) -> Listener {
    let mut listener = Listener::new(JitterLimits::default());
    listener.listen(sent, 3);
    listener
}

fn total(sent: &[Sent]) -> usize {
    sent.iter().map(|sent| sent.samples as usize).sum()
}

#[test]
fn nothing_is_allocated_before_the_first_packet() {
    let mut listener = Listener::new(JitterLimits::default());
    assert_eq!(listener.pop(), PopOutcome::Silent);
    assert!(listener.buffer.is_idle());
    assert_eq!(to_bytes(&listener.buffer), to_bytes(&JitterBuffer::default()));
    assert!(size_of::<JitterBuffer>() <= 192, "{}", size_of::<JitterBuffer>());
}

#[test]
fn an_even_stream_of_any_ptime_is_heard_whole() {
    for ptime_ms in [10, 20, 30, 40, 50, 60] {
        for phase_ms in [0, 3, 9, 19] {
            let sent = talk(65_500, u32::MAX - 4000, std::iter::repeat_n(ptime_ms, 400));
            let mut listener = Listener::new(JitterLimits::default());
            listener.listen(&sent, phase_ms);
            assert_eq!(listener.heard, total(&sent), "{ptime_ms} ms, phase {phase_ms}");
            let counters = listener.buffer.counters();
            assert_eq!(JitterCounters { concealed: 0, ..counters }, JitterCounters::default());
            assert!(counters.concealed <= 2, "{ptime_ms}, {phase_ms}: {counters:?}");
            assert!(listener.buffer.is_idle());
        }
    }
}

#[test]
fn a_lost_packet_is_missing_and_a_doubled_one_is_not_played_twice() {
    let mut sent = talk(1, 0, [20; 50]);
    sent.remove(20);
    sent.push(sent[30].clone());
    sent.push(Sent { arrival_ms: sent[5].arrival_ms + 500, ..sent[5].clone() });
    let listener = heard_over(&sent);
    let counters = listener.buffer.counters();
    assert_eq!((counters.lost, counters.duplicate, counters.concealed, counters.late), (1, 2, 1, 0));
    assert_eq!(listener.count(PopOutcome::Frame), 49);
    assert_eq!(listener.count(PopOutcome::Missing) + listener.count(PopOutcome::Underrun), 1 + 9);
}

#[test]
fn a_stall_delays_and_loses_nothing_and_the_delay_comes_back() {
    let mut sent = talk(1, 0, [20; 4000]);
    for packet in &mut sent[100..105] {
        packet.arrival_ms = sent_at(104);
    }
    let mut listener = Listener::new(JitterLimits::default());
    listener.listen(&sent[..120], 3);
    assert_eq!(listener.heard, 120 * 160);
    assert_eq!((listener.buffer.counters().late, listener.buffer.counters().lost), (0, 0));

    let listener = heard_over(&sent);
    let counters = listener.buffer.counters();
    assert!(counters.cut >= 3, "{counters:?}");
    assert_eq!(listener.heard, (4000 - counters.cut as usize) * 160);
}

/// When packet n of an even stream of 20 ms arrives.
fn sent_at(n: u32) -> u32 {
    20 * (n + 1)
}

#[test]
fn a_route_that_becomes_longer_is_followed() {
    for longer_ms in [50, 150, 300, 1000] {
        let mut sent = talk(1, 0, [20; 300]);
        sent[100..].iter_mut().for_each(|packet| packet.arrival_ms += longer_ms);
        let listener = heard_over(&sent);
        let frames = listener.count(PopOutcome::Frame);
        let allowed = if longer_ms <= 150 { 0 } else { 10 };
        assert!(frames >= 300 - allowed, "{longer_ms} ms: {frames} {:?}", listener.buffer.counters());
    }
}

#[test]
fn a_sender_that_pauses_is_silent_and_not_lost() {
    // 100 ms and 3 s of pause; in the second case the timestamp goes on as if there were none.
    for (pause_ms, in_timestamp_ms) in [(100, 100), (3000, 3000), (3000, 0), (100, 0), (60, 5000)] {
        let mut sent = talk(1, 0, [20; 100]);
        for packet in &mut sent[50..] {
            packet.arrival_ms += pause_ms;
            packet.timestamp += in_timestamp_ms * 8;
        }
        sent[50].marker = true;
        let listener = heard_over(&sent);
        assert_eq!(listener.count(PopOutcome::Frame), 100, "{pause_ms} {in_timestamp_ms}");
        let counters = listener.buffer.counters();
        assert_eq!((counters.lost, counters.late, counters.cut, counters.stray), (0, 0, 0, 0));
    }
}

#[test]
fn a_telephone_event_between_is_not_a_loss() {
    let sent = talk(1, 0, [20; 30]);
    let mut listener = Listener::new(JitterLimits::default());
    for packet in &sent {
        if (10..18).contains(&packet.sequence) {
            listener.buffer.pass_by(packet.sequence);
        } else {
            listener.push(packet);
        }
        listener.pop();
    }
    assert_eq!(listener.buffer.counters().lost, 0);
}

#[test]
fn the_same_ssrc_on_another_time_line_is_a_reset() {
    let mut listener = Listener::new(JitterLimits::default());
    for packet in talk(1, 0, [20; 5]) {
        assert_eq!(listener.push(&packet), PushOutcome::Stored);
        listener.pop();
    }
    listener.end = None;
    let other = talk(30_000, 1_000_000, [20; 5]);
    let outcomes: Vec<PushOutcome> = other.iter().map(|packet| listener.push(packet)).collect();
    assert_eq!(outcomes[..3], [PushOutcome::Stray, PushOutcome::Reset, PushOutcome::Stored]);
    assert_eq!(listener.pop(), PopOutcome::Filling);
    assert_eq!(listener.pop(), PopOutcome::Frame);

    listener.buffer.reset();
    assert!(listener.buffer.is_idle());
    listener.end = None;
    assert_eq!(listener.push(&talk(7, 5, [20])[0]), PushOutcome::Stored);
}

#[test]
fn a_burst_keeps_the_delay_within_its_limit() {
    let mut listener = Listener::new(JitterLimits::default());
    for packet in talk(1, 0, [20; 100]) {
        listener.push(&packet);
        assert!(listener.buffer.held_ms() <= 220, "{}", listener.buffer.held_ms());
    }
    assert!(listener.pushes.contains(&PushOutcome::Overflow));
    assert!(listener.buffer.counters().overflow > 50);
}

#[test]
fn unusable_packets_are_counted() {
    let mut buffer = JitterBuffer::default();
    assert_eq!(buffer.push(1, 0, true, &[]), PushOutcome::Stray);
    assert_eq!(buffer.push(1, 0, true, &[0; 1_601]), PushOutcome::Stray);
    assert_eq!(buffer.counters().stray, 2);
    assert!(buffer.is_idle());
}

/// Samples by which a sender's clock is ahead after `ms` at `ppm`.
fn drifted(ms: u32, ppm: i32) -> u32 {
    (i64::from(ms) * (1_000_000 - i64::from(ppm)) / 1_000_000) as u32
}

#[test]
fn a_clock_that_drifts_neither_raises_the_delay_nor_starves_it() {
    for ppm in [-1000, -200, 200, 1000] {
        let mut sent = talk(9, 77, [20; 30_000]);
        sent.iter_mut().for_each(|packet| packet.arrival_ms = drifted(packet.arrival_ms, ppm));
        let mut listener = Listener::new(JitterLimits::default());
        let mut highest_ms = 0;
        let mut arrivals = sent.iter().peekable();
        for now_ms in (7..600_000).step_by(20) {
            while let Some(arrived) = arrivals.next_if(|sent| sent.arrival_ms <= now_ms) {
                listener.push(arrived);
            }
            listener.pop();
            highest_ms = highest_ms.max(listener.buffer.held_ms());
        }
        let counters = listener.buffer.counters();
        assert!(highest_ms <= 100, "{ppm} ppm: {highest_ms} ms");
        assert_eq!((counters.late, counters.lost, counters.overflow), (0, 0, 0), "{ppm} ppm");
        assert!(counters.cut + counters.concealed <= 60, "{ppm} ppm: {counters:?}");
    }
}

/// What a network does to each packet: lost, doubled, how late.
fn network() -> impl Strategy<Value = Vec<(bool, bool, u32)>> {
    let late_ms = prop_oneof![6 => 0u32..15, 2 => 0u32..60, 1 => 0u32..400];
    prop::collection::vec((prop::bool::weighted(0.05), prop::bool::weighted(0.05), late_ms), 1..300)
}

fn through(sent: &[Sent], network: &[(bool, bool, u32)]) -> Vec<Sent> {
    let mut arrived = Vec::new();
    for (packet, (lost, doubled, late_ms)) in sent.iter().zip(network) {
        let moved = Sent { arrival_ms: packet.arrival_ms + late_ms, ..packet.clone() };
        if *doubled {
            arrived.push(Sent { arrival_ms: moved.arrival_ms + 13, ..moved.clone() });
        }
        if !lost {
            arrived.push(moved);
        }
    }
    arrived
}

proptest! {
    #[test]
    fn whatever_the_network_does_time_goes_forward_and_every_packet_is_accounted_for(
        network in network(),
        ptimes in prop::collection::vec(prop::sample::select(vec![10u32, 20, 30, 40, 60]), 300),
        start: (u16, u32),
        phase_ms in 0u32..20,
    ) {
        let sent = talk(start.0, start.1, ptimes);
        let arrived = through(&sent, &network);
        let mut listener = Listener::new(JitterLimits::default());
        listener.listen(&arrived, phase_ms);
        let counters = listener.buffer.counters();
        prop_assert_eq!(listener.pushes.len(), arrived.len());
        for (outcome, counted) in [(PushOutcome::Late, counters.late), (PushOutcome::Duplicate, counters.duplicate)] {
            prop_assert_eq!(listener.pushes.iter().filter(|push| **push == outcome).count(), counted as usize);
        }
        prop_assert!(listener.buffer.is_idle());
        prop_assert!(listener.buffer.held.is_empty());
        if counters.overflow == 0 && counters.cut == 0 {
            // All that was stored was heard.
            let stored: usize = listener.pushes.iter().filter(|push| **push == PushOutcome::Stored).count();
            prop_assert!(listener.heard >= stored * 80 && listener.heard <= total(&arrived));
        }
    }

    #[test]
    fn jitter_within_the_delay_loses_nothing(
        late_ms in prop::collection::vec(0u32..20, 1..300),
        ptimes in prop::collection::vec(prop::sample::select(vec![10u32, 20, 30, 40, 60]), 300),
        phase_ms in 0u32..20,
    ) {
        let network: Vec<(bool, bool, u32)> = late_ms.into_iter().map(|late_ms| (false, false, late_ms)).collect();
        let arrived = through(&talk(1, 0, ptimes), &network);
        let mut listener = Listener::new(JitterLimits { start_ms: 80, min_ms: 80, max_ms: 200 });
        listener.listen(&arrived, phase_ms);
        prop_assert_eq!(listener.heard, total(&arrived));
        prop_assert_eq!(listener.buffer.counters(), JitterCounters::default());
    }

    #[test]
    fn any_packets_are_taken_within_the_limits(
        packets in prop::collection::vec((any::<u16>(), any::<u32>(), any::<bool>(), 0usize..1000, any::<bool>(), any::<bool>()), 1..400),
    ) {
        let mut buffer = JitterBuffer::default();
        let (mut sequence, mut timestamp) = (0u16, 0u32);
        for (any_sequence, any_timestamp, marker, length, wild, pop) in packets {
            sequence = if wild { any_sequence } else { sequence.wrapping_add(any_sequence % 4) };
            timestamp = if wild { any_timestamp } else { timestamp.wrapping_add(any_timestamp % 1000) };
            buffer.push(sequence, timestamp, marker, &vec![1; length]);
            prop_assert!(buffer.held_ms() <= 600);
            if pop {
                buffer.pop(&mut [0; 160], FILL);
            }
            if let (Some(playhead), Some(last)) = (buffer.playhead, buffer.held.last()) {
                let lead = last.wrapping_sub(playhead) as i32;
                prop_assert!(lead <= buffer.delay.max(), "{lead}");
            }
        }
    }
}
