//! Digits as telephone-events in virtual time: what is agreed on, sent, and heard.

mod common;

use common::party::{Chance, Party};
use common::{Bench, Caller, digits_heard};
use ringworld::components::edge::{Operation, Output};
use ringworld::components::wire::rtp::RtpHeader;

/// The packets of events, apart from those of audio.
fn events(packets: &[(RtpHeader, Vec<u8>)]) -> Vec<(RtpHeader, Vec<u8>)> {
    packets.iter().filter(|(header, _)| header.payload_type == 101).cloned().collect()
}

#[test]
fn telephone_events_of_another_clock_are_not_agreed_on() {
    let mut bench = Bench::new();
    let caller = Caller::new(1, "echo");
    let sdp = caller.sdp("sendrecv").replace(
        "RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000",
        &[
            "RTP/AVP 99 120 121",
            "a=rtpmap:99 pcmu/8000/1",
            "a=rtpmap:120 telephone-event/48000",
            "a=rtpmap:121 Telephone-Event/8000",
        ]
        .join("\r\n"),
    );
    let answer = bench.exchange(&caller.request("INVITE", &sdp)).remove(0);
    assert!(
        answer.contains("RTP/AVP 99 121\r\n") && answer.contains("a=rtpmap:121 telephone-event/8000\r\n"),
        "{answer}"
    );

    let mut party = Party::offering(&mut bench, 2, "silence", 0, "0", "");
    bench.command(|session| Operation::SendDtmf { session, digits: "4".into() });
    let refused = bench.outputs.iter().any(|output| matches!(output, Output::Reply(reply) if reply.result.is_err()));
    assert!(refused, "digits that can't be sent are refused");
    let from = party.address();
    party.send_from(&mut bench, &[5, 0x8a, 3, 0x20], &from, 101, true, 100_000);
    bench.run_ms(500);
    assert_eq!(digits_heard(&bench.outputs), "");
    assert!(party.packets(&bench).iter().all(|(header, _)| header.payload_type == 0));
}

#[test]
fn digits_leave_one_after_the_other_with_three_end_packets_each() {
    for user in ["echo", "silence", "tone", "conf-digits"] {
        let mut bench = Bench::new();
        let mut other = (user == "conf-digits").then(|| Party::join(&mut bench, 2, user, 0));
        let mut party = Party::join(&mut bench, 1, user, 0);
        let mut talk = |bench: &mut Bench, party: &mut Party, frames: usize| {
            for _ in 0..frames {
                party.send(bench, &[0x55; 160]);
                if let Some(other) = &mut other {
                    other.send(bench, &[0xaa; 160]);
                }
                bench.run_ms(20);
            }
        };
        talk(&mut bench, &mut party, 10);
        bench.command(|session| Operation::SendDtmf { session, digits: "11#".into() });
        talk(&mut bench, &mut party, 40);
        let packets = party.packets(&bench);
        for pair in packets.windows(2) {
            assert_eq!(
                pair[1].0.sequence,
                pair[0].0.sequence.wrapping_add(1),
                "{user}: no number twice, none left out"
            );
        }
        let events = events(&packets);
        assert_eq!(events.len(), 21, "{user}");
        for (index, (header, body)) in events.iter().enumerate() {
            let (digit, step) = (index / 7, index % 7);
            let duration = 160 * (step as u16 + 1).min(5);
            let event = [1, 1, 11][digit];
            let expected = [event, if step >= 4 { 0x8a } else { 10 }, (duration >> 8) as u8, duration as u8];
            assert_eq!(body[..], expected, "{user}: packet {step} of digit {digit}");
            assert_eq!((header.marker, header.timestamp), (step == 0, events[digit * 7].0.timestamp), "{user}");
        }
        let starts: Vec<u32> = events.iter().step_by(7).map(|(header, _)| header.timestamp).collect();
        assert!(starts.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 160 * 8), "{user}: {starts:?}");
        if user != "echo" {
            // What is sent in place of a frame is the only thing that is sent for it.
            let first = events[0].0.sequence;
            let span = &packets[packets.iter().position(|(header, _)| header.sequence == first).unwrap()..][..7];
            assert!(span.iter().all(|(header, _)| header.payload_type == 101), "{user}");
        }
        assert!(packets.last().is_some_and(|(header, _)| header.payload_type == 0), "{user}: audio goes on");
    }
}

#[test]
fn what_one_world_sends_another_hears_once_each_and_in_order_over_a_bad_network() {
    let digits = "1123*#ABCD00998877";
    let mut bench = Bench::new();
    let party = Party::join(&mut bench, 1, "silence", 0);
    bench.command(|session| Operation::SendDtmf { session, digits: digits.into() });
    bench.run_ms(160 * 19);
    let sent = events(&party.packets(&bench));
    assert_eq!(sent.len(), 7 * digits.len());
    for seed in 0..40 {
        let mut chance = Chance(seed);
        let mut bench = Bench::new();
        let mut party = Party::join(&mut bench, 1, "silence", 0);
        // When each packet arrives: half are lost, but never all of a digit; some come twice, some late.
        let mut arrivals: Vec<(u64, usize)> = Vec::new();
        for digit in 0..digits.len() {
            let kept = chance.below(7) as usize;
            for step in 0..7 {
                if step != kept && chance.below(2) == 0 {
                    continue;
                }
                let due = (digit * 8 + step) as u64 * 20;
                for _ in 0..1 + chance.below(4) / 3 {
                    arrivals.push((due + chance.below(60), digit * 7 + step));
                }
            }
        }
        arrivals.sort_unstable();
        let from = party.address();
        let mut now = 0;
        for (due, index) in arrivals {
            while now < due / 5 {
                bench.tick();
                now += 1;
            }
            let (header, body) = &sent[index];
            party.sequence = header.sequence;
            party.send_from(&mut bench, body, &from, 101, header.marker, header.timestamp);
        }
        bench.run_ms(500);
        assert_eq!(digits_heard(&bench.outputs), digits, "seed {seed}");
    }
}

#[test]
fn neither_a_stall_nor_a_hold_in_the_middle_of_a_digit_makes_two_of_it() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "silence", 0);
    bench.command(|session| Operation::SendDtmf { session, digits: "12".into() });
    bench.run_ms(40);
    // The world did not run for half a second.
    bench.skip(100);
    bench.run_ms(1_000);
    let stalled = events(&party.packets(&bench));
    let mut begun: Vec<u32> = stalled.iter().map(|(header, _)| header.timestamp).collect();
    begun.dedup();
    assert_eq!((stalled.len(), begun.len()), (14, 2), "{stalled:?}");

    bench.rtp.clear();
    bench.command(|session| Operation::SendDtmf { session, digits: "34".into() });
    bench.run_ms(60);
    let (hold, resume) = (party.caller.sdp("sendonly"), party.caller.sdp("sendrecv"));
    party.reinvite(&mut bench, &hold);
    bench.run_ms(1_000);
    let before = events(&party.packets(&bench));
    assert!((1..=4).contains(&before.len()) && before.iter().all(|(_, body)| body[0] == 3), "{before:?}");
    party.reinvite(&mut bench, &resume);
    bench.run_ms(1_000);
    let after = events(&party.packets(&bench))[before.len()..].to_vec();
    assert!(after.len() == 7 && after.iter().all(|(_, body)| body[0] == 4), "{after:?}");
}
