//! Packets of all lengths that a receiver should take (RFC 3551 section 4.2), and events that are shorter than one of
//! them (RFC 4733), in virtual time.

mod common;

use common::party::Party;
use common::{Bench, digits_heard};
use proptest::prelude::*;

/// Packet times in milliseconds, multiples of a tick.
const PACKET_TIMES_MS: [usize; 8] = [5, 10, 20, 60, 100, 120, 160, 200];

#[test]
fn packets_of_up_to_200_ms_are_echoed_whole() {
    for ptime_ms in PACKET_TIMES_MS {
        let mut bench = Bench::new();
        let mut party = Party::join(&mut bench, 1, "echo", 8);
        for _ in 0..20 {
            party.send(&mut bench, &vec![0x20; ptime_ms * 8]);
            bench.run_ms(ptime_ms as u64);
        }
        let heard = party.heard(&bench);
        assert_eq!(heard.len(), 20, "{ptime_ms} ms");
        assert!(heard.iter().all(|payload| *payload == vec![0x20; ptime_ms * 8]), "{ptime_ms} ms");
    }
}

#[test]
fn a_room_hears_all_of_packets_of_up_to_200_ms() {
    for ptime_ms in PACKET_TIMES_MS {
        let mut bench = Bench::new();
        let mut speaker = Party::join(&mut bench, 1, "conf-long", 0);
        let listener = Party::join(&mut bench, 2, "conf-long", 0);
        for _ in 0..4_000 / ptime_ms {
            speaker.send(&mut bench, &vec![0x20; ptime_ms * 8]);
            bench.run_ms(ptime_ms as u64);
        }
        bench.run_ms(1_000);
        let heard = listener.heard(&bench).into_iter().filter(|payload| payload == &[0x20; 160]).count();
        assert!((195..=200).contains(&heard), "{ptime_ms} ms: {heard} frames of 200");
        assert_eq!(bench.engine.media_counters().dropped_jitter, 0, "{ptime_ms} ms");
    }
}

/// A packet of an event: the key, whether it ends, and how long it has lasted in units of 1/8 ms.
type Event = (u8, bool, u16);

/// The digits that the switch hears of these events, each with its packets, which leave one a tick.
fn heard(events: &[Vec<Event>], apart: u32, has_marker: bool) -> String {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "silence", 0);
    let from = party.address();
    for (index, packets) in events.iter().enumerate() {
        let began = 5_000 + index as u32 * apart;
        for (step, (key, end, duration)) in packets.iter().enumerate() {
            let [high, low] = duration.to_be_bytes();
            let flags = if *end { 0x8a } else { 10 };
            party.send_from(&mut bench, &[*key, flags, high, low], &from, 101, has_marker && step == 0, began);
            bench.tick();
        }
    }
    bench.run_ms(500);
    digits_heard(&bench.outputs)
}

#[test]
fn events_shorter_than_a_packet_are_heard_once_each() {
    for has_marker in [true, false] {
        for duration in [0, 1, 40, 80, 159] {
            // Two equal keys and another one, as close to each other as they are long.
            for apart in [u32::from(duration).max(1), 160, 800] {
                let of = |packets: &[bool]| -> Vec<Vec<Event>> {
                    let packets_of = |key| packets.iter().map(|end| (key, *end, duration)).collect();
                    [5u8, 5, 9].into_iter().map(packets_of).collect()
                };
                let case = format!("{duration} units, {apart} apart, marker: {has_marker}");
                assert_eq!(heard(&of(&[true, true, true]), apart, has_marker), "559", "only end packets, {case}");
                assert_eq!(heard(&of(&[true]), apart, has_marker), "559", "a single one, {case}");
                if has_marker {
                    assert_eq!(heard(&of(&[false]), apart, true), "559", "a single one without its end, {case}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_key_is_heard_once_however_short_its_event(
        keys in prop::collection::vec((0u8..16, 1usize..4, 0u16..160), 1..6),
    ) {
        let events: Vec<Vec<Event>> =
            keys.iter().map(|(key, count, duration)| vec![(*key, true, *duration); *count]).collect();
        let expected: String =
            keys.iter().map(|(key, ..)| char::from(b"0123456789*#ABCD"[usize::from(*key)])).collect();
        prop_assert_eq!(heard(&events, 160, true), expected);
    }
}
