//! What is sent where there is nothing to hear, in virtual time: a frame of silence now and then.

mod common;

use common::party::Party;
use common::{Bench, Caller, callee};
use ringworld::components::audio::G711;
use ringworld::components::edge::Operation;
use ringworld::components::wire::rtp::RtpHeader;
use ringworld::engine::{Engine, WorldConfig};

/// The default pause, in seconds.
const PAUSE_S: u64 = 5;

fn pausing(pause_s: u32) -> Bench {
    let mut config = WorldConfig::default();
    config.settings.timers.rtp_pause_s = pause_s;
    Bench::with(config)
}

/// Asserts that these are packets of silence in even numbers; says when each of them was of, in seconds of RTP time.
fn silence(packets: &[(RtpHeader, Vec<u8>)], payload_type: u8, samples: usize) -> Vec<f64> {
    let silent = if payload_type == 0 { G711::Pcmu } else { G711::Pcma }.silence();
    assert!(packets.iter().all(|(_, payload)| payload == &vec![silent; samples]), "{packets:?}");
    assert!(packets.iter().all(|(header, _)| header.payload_type == payload_type && header.marker));
    let follows = |pair: &[(RtpHeader, Vec<u8>)]| pair[1].0.sequence == pair[0].0.sequence.wrapping_add(1);
    assert!(packets.windows(2).all(follows), "{packets:?}");
    let first = packets.first().map_or(0, |(header, _)| header.timestamp);
    packets.iter().map(|(header, _)| f64::from(header.timestamp.wrapping_sub(first)) / 8000.0).collect()
}

#[test]
fn a_peer_that_hears_nothing_is_sent_silence_now_and_then() {
    // Alone in a room, in an echo without sending anything, and in a room where all are silent.
    for (user, payload_type, others) in [("conf-alone", 0, 0), ("echo", 8, 0), ("conf-quiet", 8, 2)] {
        let mut bench = Bench::new();
        let party = Party::join(&mut bench, 1, user, payload_type);
        for other in 0..others {
            Party::join(&mut bench, 2 + other, user, 0);
        }
        bench.run_quiet_s(60);
        let packets = party.packets(&bench);
        let times = silence(&packets, payload_type, 160);
        assert!((11..=12).contains(&times.len()), "{user}: {times:?}");
        let even = |pair: &[f64]| (pair[1] - pair[0] - PAUSE_S as f64).abs() < 0.15;
        assert!(times.windows(2).all(even), "{user}: {times:?}");
        assert_eq!(bench.engine.media_counters().pauses_filled, bench.rtp.len() as u64, "{user}");
    }
}

#[test]
fn silence_comes_in_packets_of_the_length_that_was_agreed_on() {
    for ptime_ms in [10, 30, 60] {
        let mut bench = Bench::new();
        let party = Party::offering(&mut bench, 1, "conf-alone", 0, "0 101", &format!("a=ptime:{ptime_ms}\r\n"));
        bench.run_quiet_s(12);
        let packets = party.packets(&bench);
        // Of 10 ms there are two for each frame.
        let each = if ptime_ms == 10 { 2 } else { 1 };
        assert_eq!(packets.len(), 2 * each, "{ptime_ms}");
        assert!(packets.iter().all(|(_, payload)| payload == &vec![0xff; ptime_ms * 8]), "{ptime_ms}");
    }
}

#[test]
fn where_something_is_sent_there_is_no_pause() {
    for user in ["tone", "silence"] {
        let mut bench = Bench::new();
        Party::join(&mut bench, 1, user, 0);
        bench.run_ms(12_000);
        assert_eq!(bench.engine.media_counters().pauses_filled, 0, "{user}");
    }
    let mut bench = Bench::new();
    let mut speaker = Party::join(&mut bench, 1, "echo", 0);
    for _ in 0..8 {
        bench.run_quiet_s(2);
        speaker.send(&mut bench, &[0x20; 160]);
    }
    bench.run_quiet_s(2);
    assert_eq!(speaker.packets(&bench).len(), 8, "a packet that is echoed is enough");
    bench.run_quiet_s(4);
    let packets = speaker.packets(&bench);
    assert_eq!(packets.len(), 9);
    assert_eq!(packets[8].1, [0xff; 160]);
    speaker.send(&mut bench, &[0x20; 160]);
    bench.run_ms(20);
    let numbers: Vec<u16> = speaker.packets(&bench).iter().map(|(header, _)| header.sequence).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
}

#[test]
fn silence_and_what_is_said_right_after_it_are_one_stream() {
    // The first words come in each of the ticks around the one in which the silence leaves.
    for ticks_later in 0..16 {
        let mut bench = pausing(1);
        let listener = Party::join(&mut bench, 1, "conf-quiet", 0);
        let mut speaker = Party::join(&mut bench, 2, "conf-quiet", 0);
        bench.run_ms(2_000 - 60 + ticks_later * 5);
        bench.rtp.clear();
        for _ in 0..10 {
            speaker.send(&mut bench, &[0x20; 160]);
            bench.run_ms(20);
        }
        let packets = listener.packets(&bench);
        assert!(packets.len() > 5, "{ticks_later}");
        for pair in packets.windows(2) {
            let step = pair[1].0.timestamp.wrapping_sub(pair[0].0.timestamp);
            assert_eq!(pair[1].0.sequence, pair[0].0.sequence.wrapping_add(1), "{ticks_later}");
            assert!((160..8_000).contains(&step), "{ticks_later}: {packets:?}");
        }
    }
}

#[test]
fn a_peer_that_we_hold_is_sent_silence_and_one_that_holds_us_is_not() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "tone", 0);
    bench.run_ms(1_000);
    let offer = bench.command(|session| Operation::Hold { session }).remove(0);
    let mut answer = Caller::new(1, "tone");
    answer.cseq = 2;
    bench.deliver(&callee::answer_to(&offer, "200 OK", "c1", &answer.sdp("recvonly")));
    bench.run_ms(1_000);
    bench.rtp.clear();
    bench.run_quiet_s(30);
    let held = party.packets(&bench);
    assert!(held.len() >= 5, "{held:?}");
    for direction in ["sendonly", "inactive"] {
        let holds = party.caller.sdp(direction);
        party.reinvite(&mut bench, &holds);
        bench.rtp.clear();
        bench.run_quiet_s(30);
        assert!(bench.rtp.is_empty(), "{direction}");
    }
}

#[test]
fn a_pause_of_0_lasts_for_ever_and_one_of_20_s_for_20_s() {
    for (pause_s, packets) in [(0, 0), (20, 4)] {
        let mut bench = pausing(pause_s);
        let party = Party::join(&mut bench, 1, "conf-alone", 0);
        bench.run_quiet_s(90);
        assert_eq!(party.packets(&bench).len(), packets, "{pause_s}");
    }
}

#[test]
fn a_thousand_quiet_rooms_cost_ten_ticks_a_second_and_their_packets() {
    let rooms = 1_000;
    let mut bench = Bench::of(Engine::new(&WorldConfig::default()), rooms);
    for room in 0..u32::from(rooms) {
        Party::join(&mut bench, room, &format!("conf-{room}"), 0);
    }
    // The INVITE transactions end.
    bench.run_quiet_s(60);
    bench.rtp.clear();
    let (mut ticks, end) = (0, bench.engine.now().0 + 20 * 200);
    while bench.engine.now().0 < end {
        let (now, due) = (bench.engine.now().0, bench.engine.next_due().0);
        bench.skip((due.clamp(now + 1, end) - now) as u32);
        ticks += 1;
    }
    assert!(ticks <= 20 * 12, "{ticks} ticks");
    let packets = bench.rtp.len() as u64;
    let expected = u64::from(rooms) * 20 / PAUSE_S;
    assert!(packets.abs_diff(expected) <= u64::from(rooms) / 10, "{packets} packets");
}
