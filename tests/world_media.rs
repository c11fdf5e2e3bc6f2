//! Media in virtual time: echo, rooms, digits, hijack; every packet counted.

mod common;

use common::party::{Party, constant, level};
use common::{Bench, Caller, status};
use ringworld::components::audio::G711;
use ringworld::components::edge::{Event, Output};
use ringworld::components::wire::rtp::{self, RtpHeader};

#[test]
fn echo_returns_every_packet_in_its_own_numbers_and_to_its_source_alone() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "echo", 0);
    for index in 0..50u8 {
        party.send(&mut bench, &[index; 160]);
        for _ in 0..4 {
            bench.tick();
        }
    }
    let heard = party.heard(&bench);
    assert_eq!(heard.len(), 50);
    assert!(heard.iter().enumerate().all(|(index, payload)| payload == &[index as u8; 160]));
    let headers: Vec<RtpHeader> =
        bench.rtp.iter().filter_map(|packet| rtp::parse(packet.bytes()).ok()).map(|it| it.0).collect();
    assert!(headers.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    assert!(headers.windows(2).all(|pair| pair[1].timestamp == pair[0].timestamp.wrapping_add(160)));
    assert!(headers.iter().all(|header| header.ssrc == headers[0].ssrc && header.ssrc != 1));
    // A stranger is not heard, and nothing is sent to it.
    bench.rtp.clear();
    party.send_from(&mut bench, &[9; 160], "10.6.6.6:666", 0, false, 0);
    bench.tick();
    assert!(bench.rtp.is_empty());
    assert_eq!(bench.engine.media_counters().dropped_foreign, 1);
}

#[test]
fn in_a_room_each_party_hears_the_exact_sum_of_the_others_in_its_own_law() {
    let mut bench = Bench::new();
    let laws = [G711::Pcmu, G711::Pcma, G711::Pcmu, G711::Pcma];
    let levels = [1000i16, 2000, -4000, 500];
    let mut parties: Vec<Party> = laws
        .iter()
        .enumerate()
        .map(|(index, law)| {
            Party::join(&mut bench, index as u32 + 1, "conf-lobby", if *law == G711::Pcmu { 0 } else { 8 })
        })
        .collect();
    let listener = Party::join(&mut bench, 9, "conf-lobby", 0);
    let other_room = Party::join(&mut bench, 10, "conf-other", 0);
    assert_eq!(bench.engine.census().rooms, 2);
    for _ in 0..50 {
        for (party, (law, level)) in parties.iter_mut().zip(laws.iter().zip(levels)) {
            party.send(&mut bench, &constant(*law, level));
        }
        for _ in 0..4 {
            bench.tick();
        }
    }
    let linear: Vec<i32> = laws.iter().zip(levels).map(|(law, value)| level(*law, &constant(*law, value))).collect();
    let total: i32 = linear.iter().sum();
    for (index, party) in parties.iter().enumerate() {
        let heard = party.heard(&bench);
        assert!(heard.len() >= 40, "party {index} heard {} frames", heard.len());
        let expected = constant(laws[index], (total - linear[index]) as i16);
        assert_eq!(heard[30], expected, "party {index}");
    }
    assert_eq!(listener.heard(&bench)[30], constant(G711::Pcmu, total as i16), "a listener hears all");
    assert!(other_room.heard(&bench).is_empty(), "nothing crosses into another room");
    // Silence: the room becomes idle and sends nothing any more.
    bench.run_ms(1000);
    bench.rtp.clear();
    bench.run_ms(500);
    assert!(bench.rtp.is_empty());
    for party in &mut parties {
        let bye = party.caller.bye();
        bench.exchange(&bye);
    }
    for mut party in [listener, other_room] {
        let bye = party.caller.bye();
        bench.exchange(&bye);
    }
    assert_eq!(bench.engine.census().rooms, 0, "the last participant closes the room");
    bench.run_ms(33_000);
    bench.assert_baseline();
}

#[test]
fn what_lay_in_a_jitter_buffer_when_the_world_stopped_is_not_heard_in_its_next_life() {
    let mut bench = Bench::new();
    let mut speaker = Party::join(&mut bench, 1, "conf-lobby", 0);
    let listener = Party::join(&mut bench, 2, "conf-lobby", 0);
    for old in [1000, 1100, 1200, 1300, 1400] {
        speaker.send(&mut bench, &constant(G711::Pcmu, old));
    }
    bench.tick();
    bench.rtp.clear();
    bench.engine.begin_epoch(2, Default::default());
    bench.run_ms(200);
    assert!(listener.heard(&bench).is_empty(), "it is of the past");
    let new = constant(G711::Pcmu, 3000);
    for _ in 0..5 {
        speaker.send(&mut bench, &new);
        bench.run_ms(20);
    }
    assert_eq!(listener.heard(&bench).first(), Some(&new.to_vec()));
}

#[test]
fn a_source_that_sent_before_or_beside_a_call_is_no_source_of_the_next_one() {
    // A world with one port, so that the next call gets it.
    let engine = ringworld::engine::Engine::new(&Default::default());
    let mut bench = Bench::of(engine, 1);
    let called = common::callee::place(&mut bench);
    let mut early = Party { caller: Caller::new(66, "-"), port: 10_000, sequence: 1, timestamp: 0, payload_type: 0 };
    early.send_from(&mut bench, &[1; 160], "192.0.2.66:666", 0, false, 0);
    bench.tick();
    bench.deliver(&common::callee::answer_to(&called, "486 Busy Here", "t", ""));
    bench.run_ms(500);
    assert_eq!(bench.engine.census().ports, 0, "the called one has refused, and speaks all the same");
    // Two callers behind a NAT, one after the other: neither is where its SDP says.
    let mut first = Party::join(&mut bench, 1, "echo", 0);
    let mut third = Party { caller: Caller::new(77, "-"), ..early };
    let say = |bench: &mut Bench, party: &mut Party, from: &str| {
        party.send_from(bench, &[1; 160], from, 0, false, 0);
        bench.tick();
        bench.rtp.drain(..).map(|packet| packet.peer.to_string()).collect::<Vec<_>>()
    };
    third.caller.call = 66;
    assert!(say(&mut bench, &mut third, "192.0.2.66:666").is_empty(), "the called one of before");
    assert_eq!(say(&mut bench, &mut first, "192.0.2.1:100"), ["192.0.2.1:100"]);
    third.caller.call = 77;
    assert!(say(&mut bench, &mut third, "192.0.2.77:777").is_empty(), "a stranger beside the call");
    first.hang_up(&mut bench);
    bench.run_ms(100);
    third.caller.call = 88;
    assert!(say(&mut bench, &mut third, "192.0.2.88:888").is_empty(), "no stream has the port");
    third.caller.call = 99;
    third.send_from(&mut bench, &[1; 160], "192.0.2.99:999", 0, false, 0);
    let mut second = Party::join(&mut bench, 2, "echo", 0);
    for (ssrc, from) in [(77, "192.0.2.77:777"), (88, "192.0.2.88:888"), (99, "192.0.2.99:999")] {
        third.caller.call = ssrc;
        assert!(say(&mut bench, &mut third, from).is_empty(), "{from} spoke before the call could be known");
    }
    third.caller.call = 77;
    assert_eq!(say(&mut bench, &mut second, "192.0.2.2:200"), ["192.0.2.2:200"]);
    second.hang_up(&mut bench);
    bench.run_ms(33_000);
    // A source that has been silent for so long may belong to a new call.
    let _third = Party::join(&mut bench, 3, "echo", 0);
    assert_eq!(say(&mut bench, &mut third, "192.0.2.77:777"), ["192.0.2.77:777"]);
}

#[test]
fn a_full_room_is_busy() {
    let mut config = ringworld::engine::WorldConfig::default();
    config.settings.limits.participants = 2;
    let mut bench = Bench::with(config);
    Party::join(&mut bench, 1, "conf-small", 0);
    Party::join(&mut bench, 2, "conf-small", 0);
    assert_eq!(status(&bench.exchange(&Caller::new(3, "conf-small").invite())[0]), 486);
    assert_eq!(bench.engine.census().ports, 2);
}

#[test]
fn digits_are_heard_once_each_and_in_order_whatever_is_lost_or_doubled() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "silence", 0);
    for (index, digit) in [1u8, 1, 10, 11].into_iter().enumerate() {
        let began = 100_000 + index as u32 * 2_000;
        let from = party.address();
        for step in 1..=5u8 {
            // The first packet of the second digit is lost, marker and all.
            if index != 1 || step > 1 {
                let [high, low] = (u16::from(step) * 160).to_be_bytes();
                party.send_from(&mut bench, &[digit, 10, high, low], &from, 101, step == 1, began);
            }
            bench.run_ms(20);
        }
        // Of the third digit all end packets are lost, of the others one comes twice.
        for _ in 0..if index == 2 { 0 } else { 2 } {
            party.send_from(&mut bench, &[digit, 0x8a, 0x03, 0x20], &from, 101, false, began);
            bench.run_ms(20);
        }
        bench.run_ms(100);
    }
    bench.run_ms(500);
    let digits: String = bench
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Event(Event::Digit { digit, .. }) => Some(*digit),
            _ => None,
        })
        .collect();
    assert_eq!(digits, "11*#");
}

#[test]
fn a_tone_is_sent_every_20_ms_in_even_numbers() {
    let mut bench = Bench::new();
    let party = Party::join(&mut bench, 1, "tone", 8);
    bench.run_ms(1000);
    let heard = party.heard(&bench);
    assert!((48..=51).contains(&heard.len()), "{}", heard.len());
    let mut pcm = Vec::new();
    for payload in &heard {
        let mut frame = [0i16; 160];
        G711::Pcma.decode(payload, &mut frame);
        pcm.extend(frame);
    }
    let crossings = pcm.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    let seconds = pcm.len() as f64 / 8000.0;
    let hz = crossings as f64 / seconds;
    assert!((hz - 440.0).abs() < 3.0, "{hz} Hz");
}

#[test]
fn the_time_in_which_the_world_did_not_run_is_no_silence_of_the_peer() {
    let mut config = ringworld::engine::WorldConfig::default();
    config.settings.timers.rtp_silence_s = 2;
    let mut bench = Bench::with(config);
    Party::join(&mut bench, 1, "echo", 0);
    bench.run_ms(1_500);
    bench.skip(5_000);
    bench.run_ms(1_900);
    assert_eq!(bench.engine.census().sessions, 1, "the peer has not had its two seconds since");
    bench.run_ms(300);
    assert!(bench.take_sent().iter().any(|text| text.starts_with("BYE ")), "now it has");
}
