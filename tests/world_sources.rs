//! Which packets are taken for the peer's and where ours go, as descriptions, NATs and other hosts change (RFC 3264
//! section 8.3.1).

mod common;

use common::callee::{answer_to, place_call};
use common::party::Party;
use common::{Bench, Caller, audio_port, callee, status};
use ringworld::components::edge::Operation;
use ringworld::prelude::*;

/// Where a phone behind a NAT is seen, and a host of no call.
const OUTSIDE: &str = "10.0.0.2:61000";
const STRANGER: &str = "203.0.113.7:7000";

/// A step of a call whose peer speaks: every 20 ms it sends a packet from an address.
fn speak(bench: &mut Bench, party: &mut Party, from: &str, ms: u64) {
    for _ in 0..ms / 20 {
        party.send_from(bench, &[0x20; 160], from, 0, false, party.timestamp);
        party.timestamp = party.timestamp.wrapping_add(160);
        bench.run_ms(20);
    }
}

/// Where packets went meanwhile, each address once.
fn went_to(bench: &mut Bench) -> Vec<String> {
    let mut peers: Vec<String> = bench.rtp.drain(..).map(|packet| packet.peer.to_string()).collect();
    peers.sort();
    peers.dedup();
    peers
}

/// A call that came in, or that the switch placed, whose description names the caller's own port.
fn talking(bench: &mut Bench, is_placed: bool, user: &str) -> Party {
    if !is_placed {
        return Party::join(bench, 1, user, 0);
    }
    let invite = place_call(bench, callee::call_to_peer(user, false));
    let caller = Caller::new(1, user);
    bench.exchange(&answer_to(&invite, "200 OK", "t", &caller.sdp("sendrecv")));
    Party { caller, port: audio_port(&invite), sequence: 1, timestamp: 0, payload_type: 0 }
}

#[test]
fn a_phone_that_moves_to_another_port_is_heard_and_hears_at_once() {
    for (old, new, user) in [
        // At the address that it names, and behind a NAT that gives the new port another mapping.
        ("10.0.0.2:30002", "10.0.0.2:40004", "echo"),
        ("10.0.0.2:30002", "10.0.0.2:40004", "tone"),
        (OUTSIDE, "10.0.0.2:61002", "echo"),
        (OUTSIDE, "10.0.0.2:61002", "tone"),
    ] {
        let is_behind_nat = old == OUTSIDE;
        let mut bench = Bench::new();
        let mut party = Party::join(&mut bench, 1, user, 0);
        speak(&mut bench, &mut party, old, 1_000);
        assert_eq!(went_to(&mut bench).last().map(String::as_str), Some(old), "{user}");
        party.caller.rtp_port = 40_004;
        let described = party.caller.sdp("sendrecv");
        party.reinvite(&mut bench, &described);
        went_to(&mut bench);
        // Its last packets from the old port arrive after the 200.
        speak(&mut bench, &mut party, old, 260);
        assert!(!went_to(&mut bench).contains(&old.to_owned()), "{user}: packets go to the new address");
        let before = bench.engine.media_counters().clone();
        speak(&mut bench, &mut party, new, 1_000);
        let after = bench.engine.media_counters().clone();
        assert_eq!(after.packets_in - before.packets_in, 50, "{user} from {new}");
        assert!(went_to(&mut bench).contains(&new.to_owned()), "{user} to {new}");
        // A late packet of the old port changes nothing, however late.
        speak(&mut bench, &mut party, old, 20);
        speak(&mut bench, &mut party, new, 200);
        assert_eq!(went_to(&mut bench), [new], "{user}, behind a NAT: {is_behind_nat}");
        assert_eq!((after.sources_described, after.sources_learned), (1, 2), "{user}");
    }
}

#[test]
fn another_host_that_sends_first_does_not_take_the_place_of_the_phone() {
    for is_placed in [false, true] {
        // A payload type that was not agreed on, and the one that was.
        for payload_type in [127, 0] {
            let mut bench = Bench::new();
            let mut party = talking(&mut bench, is_placed, "tone");
            bench.run_ms(20);
            let mut stranger = Party { caller: Caller::new(66, "-"), port: party.port, ..talking_numbers() };
            for _ in 0..3 {
                stranger.send_from(&mut bench, &[0x33; 160], STRANGER, payload_type, false, 0);
                bench.run_ms(20);
            }
            went_to(&mut bench);
            let own = party.address();
            speak(&mut bench, &mut party, &own, 20);
            went_to(&mut bench);
            speak(&mut bench, &mut party, &own, 1_000);
            assert_eq!(went_to(&mut bench), [own.as_str()], "placed: {is_placed}, type {payload_type}");
            // Nor does it later, while the phone says nothing.
            bench.run_ms(3_000);
            stranger.send_from(&mut bench, &[0x33; 160], STRANGER, 0, false, 0);
            bench.run_ms(200);
            assert_eq!(went_to(&mut bench), [own.as_str()], "placed: {is_placed}, type {payload_type}");
        }
    }
}

fn talking_numbers() -> Party {
    Party { caller: Caller::new(0, "-"), port: 0, sequence: 900, timestamp: 0, payload_type: 0 }
}

#[test]
fn a_phone_behind_a_nat_takes_its_place_back_from_another_host_that_has_stopped() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "tone", 0);
    bench.run_ms(20);
    let mut stranger = Party { port: party.port, ..talking_numbers() };
    stranger.send_from(&mut bench, &[0x33; 160], STRANGER, 0, false, 0);
    speak(&mut bench, &mut party, OUTSIDE, 1_100);
    went_to(&mut bench);
    speak(&mut bench, &mut party, OUTSIDE, 500);
    assert_eq!(went_to(&mut bench), [OUTSIDE]);
}

#[test]
fn a_phone_behind_a_nat_keeps_its_audio_through_hold_resume_and_refresh() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "tone", 0);
    speak(&mut bench, &mut party, OUTSIDE, 500);
    let old_style = party.caller.sdp("sendrecv").replace("c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0");
    for hold in [old_style, party.caller.sdp("inactive"), party.caller.sdp("sendonly")] {
        went_to(&mut bench);
        party.reinvite(&mut bench, &hold);
        went_to(&mut bench);
        bench.run_ms(5_000);
        assert!(went_to(&mut bench).is_empty(), "{hold}");
        let resume = party.caller.sdp("sendrecv");
        party.reinvite(&mut bench, &resume);
        bench.run_ms(200);
        assert_eq!(went_to(&mut bench), [OUTSIDE], "resumed, and silent as yet, after {hold}");
    }
    let refresh = party.caller.sdp("sendrecv");
    party.reinvite(&mut bench, &refresh);
    bench.run_ms(200);
    assert_eq!(went_to(&mut bench), [OUTSIDE]);
    // The NAT forgot the phone meanwhile: it comes from another port, with a new stream.
    let mut again = Party { caller: Caller::new(99, "-"), port: party.port, ..talking_numbers() };
    speak(&mut bench, &mut again, "10.0.0.2:61999", 500);
    went_to(&mut bench);
    speak(&mut bench, &mut again, "10.0.0.2:61999", 100);
    assert_eq!(went_to(&mut bench), ["10.0.0.2:61999"]);
    let media = bench.engine.media_counters();
    assert_eq!((media.sources_described, media.sources_learned), (0, 2));
}

#[test]
fn a_description_that_names_the_old_address_again_heals_a_phone_that_never_moved() {
    // Behind a NAT a phone names another port, and its packets still come from where they came.
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "tone", 0);
    speak(&mut bench, &mut party, OUTSIDE, 500);
    party.caller.rtp_port = 40_004;
    let described = party.caller.sdp("sendrecv");
    party.reinvite(&mut bench, &described);
    went_to(&mut bench);
    speak(&mut bench, &mut party, OUTSIDE, 1_960);
    assert_eq!(went_to(&mut bench), ["10.0.0.2:40004"], "it may be late for two seconds");
    speak(&mut bench, &mut party, OUTSIDE, 100);
    went_to(&mut bench);
    speak(&mut bench, &mut party, OUTSIDE, 100);
    assert_eq!(went_to(&mut bench), [OUTSIDE]);
}

#[test]
fn a_reinvite_that_is_refused_moves_nothing() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "tone", 0);
    speak(&mut bench, &mut party, OUTSIDE, 200);
    party.caller.next();
    party.caller.rtp_port = 40_004;
    let refused = party.caller.sdp("sendrecv").replace("RTP/AVP 0 8 101", "RTP/AVP 18");
    assert_eq!(status(&bench.exchange(&party.caller.request("INVITE", &refused))[0]), 488);
    went_to(&mut bench);
    bench.run_ms(200);
    assert_eq!(went_to(&mut bench), [OUTSIDE]);
}

/// The sources that a plugin was told of.
#[derive(Resource, Record, Clone, Debug, Default)]
struct Told(Vec<(String, bool)>);

struct Watcher;

impl Plugin for Watcher {
    fn build(&self, app: &mut App) {
        app.record_resource(Told::default(), "watcher.told");
        app.add_systems(Tick, watch.in_set(Phase::Behaviour));
    }
}

fn watch(mut changes: MessageReader<SourceChanged>, mut told: ResMut<Told>) {
    told.0.extend(changes.read().map(|fact| (fact.source.to_string(), fact.is_learned)));
}

#[test]
fn each_change_of_a_source_is_a_fact() {
    let engine = Engine::with_plugins(&WorldConfig::default(), |plugins| {
        plugins.add(Watcher);
    });
    let mut bench = Bench::of(engine, 50);
    bench.tick();
    let mut party = Party::join(&mut bench, 1, "echo", 0);
    speak(&mut bench, &mut party, OUTSIDE, 100);
    let own = party.address();
    speak(&mut bench, &mut party, &own, 100);
    party.caller.rtp_port = 40_004;
    let described = party.caller.sdp("sendrecv");
    party.reinvite(&mut bench, &described);
    speak(&mut bench, &mut party, "10.0.0.2:40004", 100);
    bench.command(|session| Operation::HangUp { session });
    let expected = [(OUTSIDE, true), (own.as_str(), true), ("10.0.0.2:40004", false), ("10.0.0.2:40004", true)];
    let told = &bench.engine.world().resource::<Told>().0;
    assert_eq!(told.iter().map(|(source, learned)| (source.as_str(), *learned)).collect::<Vec<_>>(), expected);
}
