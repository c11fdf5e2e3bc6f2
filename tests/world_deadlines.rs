//! Deadlines of a call, each a setting, and 0 for never: ringing, decision, duration, silence.

mod common;

use common::callee::{answer_to, place};
use common::{Bench, Caller, established, status};
use ringworld::components::call::TimerSettings;
use ringworld::components::edge::{Command, Input, Operation, Packet};
use ringworld::components::kernel::StableId;
use ringworld::components::wire::rtp::RtpHeader;
use ringworld::engine::WorldConfig;

/// Longer than any default but that of the duration.
const LONG_S: u64 = 1_000;

fn bench(change: impl FnOnce(&mut TimerSettings)) -> Bench {
    let mut config = WorldConfig::default();
    change(&mut config.settings.timers);
    Bench::with(config)
}

/// A world whose calls wait for a decision from outside.
fn asking(change: impl FnOnce(&mut TimerSettings)) -> Bench {
    let mut config = WorldConfig::default();
    config.settings.services.ask_handler = true;
    change(&mut config.settings.timers);
    Bench::with(config)
}

fn outcome(bench: &Bench) -> Vec<(&str, u64)> {
    bench.engine.counters().outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect()
}

fn sent_at(bench: &Bench, what: impl Fn(&str) -> bool) -> Option<u64> {
    bench.sent.iter().find(|(_, text)| what(text)).map(|(tick, _)| *tick)
}

#[test]
fn a_call_that_rings_for_too_long_gets_480() {
    let mut bench = bench(|timers| timers.ringing_s = 2);
    bench.exchange(&Caller::new(1, "ring-60").invite());
    bench.run_quiet_s(3);
    assert_eq!(sent_at(&bench, |text| status(text) == 480), Some(1 + 400));
    assert_eq!(outcome(&bench), [("not answered in time", 1)]);
}

#[test]
fn a_call_may_ring_for_ever() {
    let mut bench = bench(|timers| timers.ringing_s = 0);
    bench.exchange(&Caller::new(1, &format!("ring-{LONG_S}")).invite());
    bench.run_quiet_s(LONG_S + 1);
    assert_eq!(sent_at(&bench, |text| status(text) == 200), Some(1 + LONG_S * 200));
}

#[test]
fn a_call_of_ours_that_rings_for_too_long_is_cancelled() {
    let mut bench = bench(|timers| timers.ringing_s = 3);
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
    bench.run_quiet_s(4);
    assert_eq!(sent_at(&bench, |text| text.starts_with("CANCEL ")), Some(1 + 600));
    let cancel = bench.sent.last().expect("a CANCEL").1.clone();
    bench.exchange(&answer_to(&cancel, "200 OK", "t1", ""));
    bench.exchange(&answer_to(&invite, "487 Request Terminated", "t1", ""));
    assert_eq!(outcome(&bench), [("not answered in time", 1)]);
    bench.run_quiet_s(40);
    bench.assert_baseline();
}

#[test]
fn a_call_of_ours_may_ring_for_ever() {
    let mut bench = bench(|timers| timers.ringing_s = 0);
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
    bench.run_quiet_s(LONG_S);
    assert_eq!((sent_at(&bench, |_| true), bench.engine.census().sessions), (None, 1));
}

#[test]
fn a_call_without_a_decision_gets_480() {
    let mut bench = asking(|timers| timers.deferral_s = 4);
    bench.exchange(&Caller::new(1, "callee").invite());
    bench.run_quiet_s(5);
    assert_eq!(sent_at(&bench, |text| status(text) == 480), Some(1 + 800));
    assert_eq!(outcome(&bench), [("not decided in time", 1)]);
}

#[test]
fn a_decision_may_take_for_ever() {
    let mut bench = asking(|timers| timers.deferral_s = 0);
    bench.exchange(&Caller::new(1, "callee").invite());
    bench.run_quiet_s(LONG_S);
    assert_eq!((outcome(&bench).len(), bench.engine.census().sessions), (0, 1));
}

#[test]
fn once_it_rings_the_time_to_decide_no_longer_counts() {
    let mut bench = asking(|timers| (timers.deferral_s, timers.ringing_s) = (4, 0));
    bench.exchange(&Caller::new(1, "callee").invite());
    let ring = Operation::Ring { session: StableId(2) };
    bench.pending.push(Input::Command(Command { number: 1, operation: ring }));
    bench.run_quiet_s(LONG_S);
    assert!(sent_at(&bench, |text| status(text) == 180).is_some(), "{:?}", bench.outputs);
    assert_eq!((outcome(&bench).len(), bench.engine.census().sessions), (0, 1));
}

#[test]
fn a_call_that_a_world_without_rules_is_offered_is_not_kept_for_ever() {
    let mut config = WorldConfig::default();
    // Every call waits for a handler, and there is none: no decision is made.
    config.settings.services.ask_handler = true;
    let mut bench = Bench::with(config);
    bench.exchange(&Caller::new(1, "callee").invite());
    bench.run_quiet_s(31);
    assert_eq!(outcome(&bench), [("not decided in time", 1)]);
}

#[test]
fn a_call_that_lasts_too_long_is_ended_with_bye() {
    let mut bench = bench(|timers| timers.call_s = 7);
    established(&mut bench, 1, "echo");
    bench.run_quiet_s(8);
    assert_eq!(sent_at(&bench, |text| text.starts_with("BYE ")), Some(1 + 1_400));
    bench.run_quiet_s(40);
    assert_eq!(outcome(&bench), [("maximum duration reached", 1)]);
    bench.assert_baseline();
}

#[test]
fn a_call_may_last_for_ever() {
    for (call_s, byes) in [(TimerSettings::default().call_s, 1), (0, 0)] {
        let mut bench = bench(|timers| (timers.call_s, timers.rtp_silence_s) = (call_s, 0));
        established(&mut bench, 1, "echo");
        bench.run_quiet_s(u64::from(TimerSettings::default().call_s));
        assert_eq!(bench.take_requests("BYE").len(), byes, "{call_s}");
    }
}

fn talk(bench: &mut Bench, caller: &Caller, sequence: u16) {
    let timestamp = u32::from(sequence) * 160;
    let header = RtpHeader { marker: false, payload_type: 0, sequence, timestamp, ssrc: 7 };
    let mut packet = Packet::default();
    (packet.port, packet.peer) = (10_000, format!("10.0.0.2:{}", caller.rtp_port).parse().expect("an address"));
    assert!(packet.write_rtp(&header, &[0x55; 160]));
    bench.pending.push(Input::Rtp(Box::new(packet)));
    bench.tick();
}

#[test]
fn a_peer_that_falls_silent_is_hung_up_on() {
    let mut bench = bench(|timers| timers.rtp_silence_s = 2);
    let caller = established(&mut bench, 1, "echo");
    for second in 0..10 {
        talk(&mut bench, &caller, second);
        bench.run_quiet_s(1);
    }
    assert_eq!(sent_at(&bench, |text| text.starts_with("BYE ")), None, "a packet a second is enough");
    bench.run_quiet_s(2);
    assert!(sent_at(&bench, |text| text.starts_with("BYE ")).is_some());
    bench.run_quiet_s(40);
    assert_eq!(outcome(&bench), [("no RTP for too long", 1)]);
    bench.assert_baseline();
}

/// RTCP: a receiver report without blocks (RFC 3550 section 6.4.2).
const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 7];

/// Delivers a datagram once a second for 10 s, and says whether the call is still up.
fn survives(bench: &mut Bench, from: &str, is_rtcp: bool, datagram: &[u8]) -> bool {
    for _ in 0..10 {
        let mut packet = Packet::default();
        (packet.port, packet.is_rtcp, packet.peer) = (10_000, is_rtcp, from.parse().expect("an address"));
        assert!(packet.fill(datagram));
        bench.pending.push(Input::Rtp(Box::new(packet)));
        bench.run_quiet_s(1);
    }
    sent_at(bench, |text| text.starts_with("BYE ")).is_none()
}

#[test]
fn rtcp_of_the_peer_is_a_sign_of_life() {
    let garbage = [0x40, 201, 0, 1, 0, 0, 0, 7];
    let cases: [(&str, &str, bool, &[u8], bool); 6] = [
        ("its RTCP port", "10.0.0.2:30003", true, &REPORT, true),
        ("another port, as a NAT has it", "10.0.0.2:777", true, &REPORT, true),
        ("the RTP port (RFC 5761)", "10.0.0.2:30002", false, &REPORT, true),
        ("another host", "10.6.6.6:30003", true, &REPORT, false),
        ("another host, at the RTP port", "10.6.6.6:30002", false, &REPORT, false),
        ("no RTCP", "10.0.0.2:30003", true, &garbage, false),
    ];
    for (what, from, is_rtcp, datagram, lives) in cases {
        let mut bench = bench(|timers| timers.rtp_silence_s = 2);
        established(&mut bench, 1, "tone");
        assert_eq!(survives(&mut bench, from, is_rtcp, datagram), lives, "{what}");
        let media = bench.engine.media_counters();
        assert_eq!(media.rtcp_in == 10, lives, "{what}: {media:?}");
        assert_eq!(media.rtcp_in + media.dropped_rtcp, 10, "{what}: {media:?}");
    }
}

#[test]
fn the_place_of_a_peer_that_has_crashed_is_free_within_minutes() {
    let mut bench = bench(|_| {});
    established(&mut bench, 1, "conf-alone");
    bench.run_quiet_s(10 * 60);
    assert_eq!(outcome(&bench), [("no RTP for too long", 1)]);
    bench.assert_baseline();
}

#[test]
fn a_peer_that_is_on_hold_or_may_be_silent_is_not_hung_up_on() {
    let mut held = bench(|timers| timers.rtp_silence_s = 2);
    let mut caller = established(&mut held, 1, "echo");
    caller.next();
    assert_eq!(status(&held.exchange(&caller.request("INVITE", &caller.sdp("inactive")))[0]), 200);
    held.exchange(&caller.ack());
    let mut free = bench(|timers| timers.rtp_silence_s = 0);
    established(&mut free, 1, "echo");
    for bench in [&mut held, &mut free] {
        bench.run_quiet_s(LONG_S);
        assert_eq!(sent_at(bench, |text| text.starts_with("BYE ")), None);
    }
}

#[test]
fn what_comes_to_its_end_while_ticks_are_skipped_is_not_sent_again() {
    let mut bench = bench(|_| {});
    established(&mut bench, 1, "echo");
    common::callee::command(&mut bench, |session| Operation::HangUp { session });
    let unacked = bench.exchange(&Caller::new(2, "echo").invite()).remove(0);
    assert_eq!(status(&unacked), 200);
    // In the same tick both are sent again for the last time, and 64*T1 are over.
    let sent_before = bench.sent.len();
    bench.skip(40 * 200);
    let sent: Vec<&str> = bench.sent[sent_before..].iter().map(|(_, text)| text.as_str()).collect();
    assert!(matches!(&sent[..], [bye] if bye.starts_with("BYE ") && bye.contains("call-2")), "{sent:#?}");
}
