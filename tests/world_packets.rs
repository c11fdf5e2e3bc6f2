//! Packet times, payload types and jitter in virtual time: every length, every number, every order.

mod common;

use common::audio_port;
use common::callee::answer_to;
use common::party::{Chance, Party};
use common::{Bench, Caller, digits_heard};
use ringworld::components::audio::G711;
use ringworld::components::edge::{Command, Input, Operation, PlaceCall};
use ringworld::engine::{Engine, WorldConfig};

const PTIMES: [u8; 6] = [10, 20, 30, 40, 50, 60];

/// One sample of a party's audio. The samples do not repeat, and differ from party to party.
fn voice(party: usize, sample: usize) -> i16 {
    let mixed = (sample as u32 + 1).wrapping_mul(2_654_435_761).rotate_left(party as u32 * 5) ^ (party as u32 * 7_919);
    (mixed as i16) / 4
}

fn encoded(law: G711, party: usize, from: usize, samples: usize) -> Vec<u8> {
    let pcm: Vec<i16> = (from..from + samples).map(|sample| voice(party, sample)).collect();
    let mut payload = vec![0; samples];
    law.encode(&pcm, &mut payload);
    payload
}

fn decoded(law: G711, payload: &[u8]) -> Vec<i32> {
    let mut pcm = vec![0; payload.len()];
    law.decode(payload, &mut pcm);
    pcm.into_iter().map(i32::from).collect()
}

#[test]
fn what_is_played_is_sent_in_packets_of_the_length_that_was_asked_for() {
    for ptime in PTIMES {
        let mut bench = Bench::new();
        let party = Party::offering(&mut bench, 1, "tone", 8, "8", &format!("a=ptime:{ptime}\r\n"));
        let mut ticks = Vec::new();
        for tick in 0..600u64 {
            let before = bench.rtp.len();
            bench.tick();
            ticks.extend((before..bench.rtp.len()).map(|_| tick));
        }
        let packets = party.packets(&bench);
        let (samples, distance) = (u32::from(ptime) * 8, u64::from(ptime) / 5);
        assert!(packets.len() as u64 >= 600 / distance - 3, "{ptime} ms: {}", packets.len());
        assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == distance), "{ptime} ms: {ticks:?}");
        for pair in packets.windows(2) {
            assert_eq!(pair[1].0.sequence, pair[0].0.sequence.wrapping_add(1), "{ptime} ms");
            assert_eq!(pair[1].0.timestamp, pair[0].0.timestamp.wrapping_add(samples), "{ptime} ms");
        }
        let marked: Vec<bool> = packets.iter().map(|(header, _)| header.marker).collect();
        assert!(marked[0] && !marked[1..].contains(&true), "{ptime} ms");
        assert!(packets.iter().all(|(_, payload)| payload.len() as u32 == samples), "{ptime} ms");
        let pcm = packets.iter().flat_map(|(_, payload)| decoded(G711::Pcma, payload)).collect::<Vec<i32>>();
        let crossings = pcm.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((crossings as f64 * 8000.0 / pcm.len() as f64 - 440.0).abs() < 3.0, "{ptime} ms: a tone without gaps");
    }
}

#[test]
fn a_room_mixes_every_packet_time_and_both_laws_sample_by_sample() {
    let mut bench = Bench::new();
    let laws = [G711::Pcmu, G711::Pcma, G711::Pcma, G711::Pcmu, G711::Pcmu, G711::Pcma];
    let mut parties: Vec<Party> = Vec::new();
    for (index, (law, ptime)) in laws.iter().zip(PTIMES).enumerate() {
        // Half of them name their codec by a number of their own.
        let (number, map) = match (index % 2, law) {
            (0, G711::Pcmu) => (0, String::new()),
            (0, G711::Pcma) => (8, String::new()),
            (_, G711::Pcmu) => (111 + index as u8, format!("a=rtpmap:{} PCMU/8000\r\n", 111 + index)),
            (_, G711::Pcma) => (111 + index as u8, format!("a=rtpmap:{} PCMA/8000\r\n", 111 + index)),
        };
        let attributes = format!("{map}a=ptime:{ptime}\r\n");
        parties.push(Party::offering(
            &mut bench,
            index as u32 + 1,
            "conf-all",
            number,
            &number.to_string(),
            &attributes,
        ));
    }
    let listener = Party::offering(&mut bench, 9, "conf-all", 8, "8", "a=ptime:30\r\n");
    for tick in 0..720usize {
        for (index, party) in parties.iter_mut().enumerate() {
            let every = usize::from(PTIMES[index]) / 5;
            if tick % every == 0 {
                let payload = encoded(laws[index], index, tick * 40, every * 40);
                party.send(&mut bench, &payload);
            }
        }
        bench.tick();
    }
    let said: Vec<Vec<i32>> =
        (0..6).map(|index| decoded(laws[index], &encoded(laws[index], index, 0, 720 * 40))).collect();
    let all = parties.iter().enumerate().map(|(index, party)| (Some(index), party, laws[index], PTIMES[index]));
    for (own, party, law, ptime) in all.chain([(None, &listener, G711::Pcma, 30)]) {
        let packets = party.packets(&bench);
        assert!(packets.iter().all(|(header, _)| header.payload_type == party.payload_type));
        assert!(packets.iter().all(|(_, payload)| payload.len() == usize::from(ptime) * 8), "{own:?}");
        assert!(
            packets
                .windows(2)
                .all(|pair| pair[1].0.timestamp.wrapping_sub(pair[0].0.timestamp) == u32::from(ptime) * 8)
        );
        let heard: Vec<u8> = packets.into_iter().flat_map(|(_, payload)| payload).collect();
        assert!(heard.len() > 3_300 * 8, "{own:?} heard {} ms", heard.len() / 8);
        let expected: Vec<i16> = (0..heard.len())
            .map(|at| {
                let others = said.iter().enumerate().filter(|(index, _)| Some(*index) != own);
                others.map(|(_, pcm)| pcm[at]).sum::<i32>().clamp(-32_768, 32_767) as i16
            })
            .collect();
        let mut right = vec![0; expected.len()];
        law.encode(&expected, &mut right);
        let wrong = heard.iter().zip(&right).filter(|(heard, right)| heard != right).count();
        assert_eq!(wrong, 0, "{own:?} heard {wrong} of {} samples that no other party said", heard.len());
    }
    assert_eq!(bench.engine.media_counters().dropped_jitter, 0);
    for party in parties.into_iter().chain([listener]) {
        party.hang_up(&mut bench);
    }
    bench.run_ms(33_000);
    bench.assert_baseline();
}

#[test]
fn echo_returns_packets_of_every_length_as_they_came() {
    for ptime in PTIMES {
        let mut bench = Bench::new();
        let mut party = Party::offering(&mut bench, 1, "echo", 0, "0", &format!("a=ptime:{ptime}\r\n"));
        let said: Vec<Vec<u8>> =
            (0..20).map(|at| encoded(G711::Pcmu, 0, at * usize::from(ptime) * 8, usize::from(ptime) * 8)).collect();
        for payload in &said {
            party.send(&mut bench, payload);
            bench.run_ms(u64::from(ptime));
        }
        assert_eq!(party.heard(&bench), said, "{ptime} ms");
    }
}

#[test]
fn each_direction_has_its_own_payload_types() {
    let mut bench = Bench::new();
    let call = PlaceCall {
        from: "sip:switch@10.0.0.1".into(),
        to: "sip:callee@10.0.0.2:5070".into(),
        remote: common::PEER.parse().unwrap(),
        over_tcp: false,
        local: common::SWITCH.parse().unwrap(),
        service: "echo".into(),
        sdp: None,
    };
    bench.pending.push(Input::Command(Command { number: 1, operation: Operation::Place(call) }));
    bench.tick();
    let invite = bench.take_sent().remove(0);
    assert!(invite.contains("RTP/AVP 0 8 101\r\n"), "{invite}");
    let caller = Caller::new(3, "callee");
    let answer = caller.sdp("sendrecv").replace(
        "RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000",
        &[
            "RTP/AVP 97 98 110",
            "a=rtpmap:97 PCMA/8000",
            "a=rtpmap:98 telephone-event/16000",
            "a=rtpmap:110 telephone-event/8000",
        ]
        .join("\r\n"),
    );
    let ack = bench.exchange(&answer_to(&invite, "200 OK", "t", &answer));
    assert!(ack[0].starts_with("ACK "), "{ack:?}");
    let mut callee = Party { caller, port: audio_port(&invite), sequence: 1, timestamp: 5, payload_type: 8 };
    // The callee sends with the payload types of our offer, and the switch with those of the callee's answer.
    callee.send(&mut bench, &[7; 160]);
    let from = callee.address();
    callee.send_from(&mut bench, &[5, 0x8a, 3, 0x20], &from, 101, true, 100_000);
    bench.tick();
    let numbers: Vec<u8> = callee.packets(&bench).iter().map(|(header, _)| header.payload_type).collect();
    assert_eq!(numbers, [97, 110]);
    bench.rtp.clear();
    bench.command(|session| Operation::SendDtmf { session, digits: "4".into() });
    bench.run_ms(500);
    assert!(callee.packets(&bench).iter().all(|(header, _)| header.payload_type == 110));
    assert_eq!(callee.packets(&bench).len(), 7);
    assert_eq!(digits_heard(&bench.outputs), "5");
    // Packets with payload types that were not negotiated are not heard.
    for number in [0, 97, 98, 110] {
        callee.payload_type = number;
        callee.send(&mut bench, &[7; 160]);
    }
    bench.tick();
    assert_eq!(bench.engine.media_counters().dropped_payload_type, 4);
}

#[test]
fn a_world_restored_in_the_middle_of_packets_goes_on_as_if_nothing_had_been() {
    let mut bench = Bench::new();
    let mut parties: Vec<Party> = (1..=3)
        .map(|call| Party::offering(&mut bench, call, "conf-on", 0, "0", &format!("a=ptime:{}\r\n", 20 * call - 10)))
        .collect();
    let mut twin: Option<Bench> = None;
    for tick in 0..400usize {
        for (index, party) in parties.iter_mut().enumerate() {
            if tick % 4 == 0 && (tick / 100) % 2 == 0 {
                let payload = encoded(G711::Pcmu, index, tick * 40, 160);
                party.send(&mut bench, &payload);
            }
        }
        if let Some(twin) = &mut twin {
            twin.pending = bench
                .pending
                .iter()
                .map(|input| match input {
                    Input::Rtp(packet) => Input::Rtp(packet.clone()),
                    other => panic!("{other:?}"),
                })
                .collect();
            twin.tick();
        }
        bench.tick();
        if let Some(twin) = &twin {
            assert_eq!(twin.engine.digest(), bench.engine.digest(), "tick {tick}");
        }
        if tick % 7 == 5 {
            let mut engine = Engine::new(&WorldConfig::default());
            let reverse = |count: usize| (0..count).rev().collect::<Vec<usize>>();
            engine.restore(&bench.engine.snapshot(), Some(&reverse)).expect("it restores");
            twin = Some(Bench::of(engine, 0));
        }
    }
    let sent =
        |bench: &Bench| bench.rtp.iter().map(|packet| (packet.port, packet.bytes().to_vec())).collect::<Vec<_>>();
    let all = sent(&bench);
    let last = sent(twin.as_ref().expect("a twin"));
    assert!(all.ends_with(&last));
}

#[test]
fn a_room_learns_how_much_its_members_jitter_and_then_misses_nothing() {
    for jitter_ticks in [0, 4, 12] {
        let mut bench = Bench::new();
        let mut speaker = Party::join(&mut bench, 1, "conf-jitter", 0);
        let listener = Party::join(&mut bench, 2, "conf-jitter", 0);
        let mut chance = Chance(3);
        // Each packet is held up by a time of its own; some overtake others.
        let mut arrivals: Vec<(u64, usize)> =
            (0..1_500usize).map(|at| (at as u64 * 4 + chance.below(jitter_ticks + 1), at)).collect();
        arrivals.sort_unstable();
        let (first_sequence, first_timestamp) = (speaker.sequence, speaker.timestamp);
        let (mut arrivals, from) = (arrivals.into_iter().peekable(), speaker.address());
        for tick in 0..6_000u64 {
            while let Some((_, at)) = arrivals.next_if(|(due, _)| *due <= tick) {
                speaker.sequence = first_sequence.wrapping_add(at as u16);
                let timestamp = first_timestamp.wrapping_add(at as u32 * 160);
                let payload = encoded(G711::Pcmu, 0, at * 160, 160);
                speaker.send_from(&mut bench, &payload, &from, 0, false, timestamp);
            }
            bench.tick();
        }
        // In the second half every frame that is heard is one that was said, whole, and none is made up for a missing one.
        let linear = |payload: &[u8]| decoded(G711::Pcmu, payload);
        let said: Vec<Vec<i32>> = (0..1_500).map(|at| linear(&encoded(G711::Pcmu, 0, at * 160, 160))).collect();
        let heard: Vec<Vec<i32>> = listener.heard(&bench).iter().map(|payload| linear(payload)).collect();
        assert!(heard.len() > 1_480, "{jitter_ticks} ticks: {}", heard.len());
        let made_up = heard[750..1_450].iter().filter(|frame| !said.contains(frame)).count();
        assert_eq!(made_up, 0, "{jitter_ticks} ticks");
    }
}

#[test]
fn a_source_that_sends_after_its_call_is_not_taken_for_the_next_caller() {
    let mut bench = Bench::of(Engine::new(&WorldConfig::default()), 1);
    bench.tick();
    let mut gone = Party::join(&mut bench, 1, "echo", 0);
    gone.send(&mut bench, &[0x55; 160]);
    bench.tick();
    assert_eq!(gone.heard(&bench).len(), 1);
    let bye = gone.caller.bye();
    bench.exchange(&bye);
    bench.run_ms(20);
    let mut next = Party::join(&mut bench, 2, "echo", 0);
    assert_eq!(next.port, gone.port, "there is but one port");
    bench.rtp.clear();
    // The first caller still sends after the end of its call.
    for _ in 0..5 {
        gone.send(&mut bench, &[0x55; 160]);
        bench.run_ms(20);
    }
    assert!(bench.rtp.is_empty(), "what it sends goes nowhere");
    assert_eq!(bench.engine.media_counters().dropped_foreign, 5);
    next.send(&mut bench, &[0x33; 160]);
    bench.tick();
    assert_eq!(next.heard(&bench).len(), 1);
    // A new call from the same address is another stream, and is heard.
    next.hang_up(&mut bench);
    bench.run_ms(20);
    let mut again = Party::join(&mut bench, 3, "echo", 0);
    let from = gone.address();
    again.send_from(&mut bench, &[0x44; 160], &from, 0, true, 0);
    bench.tick();
    assert_eq!(bench.engine.media_counters().dropped_foreign, 5);
}
