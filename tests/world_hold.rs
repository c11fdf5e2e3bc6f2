//! Hold and resume by re-INVITE in virtual time: media stop and return, in both directions.

mod common;

use common::callee::answer_to;
use common::party::Party;
use common::{Bench, Caller};
use ringworld::components::edge::Operation;

/// What the party hears and whether the switch hears it, while it speaks for a second.
struct Second {
    heard: usize,
    taken: u64,
    held: u64,
}

fn speak(bench: &mut Bench, party: &mut Party, other: Option<&mut Party>) -> Second {
    let mut other = other;
    // By then all earlier audio, with what was concealed of it, has been heard.
    bench.run_ms(300);
    bench.rtp.clear();
    let before = bench.engine.media_counters().clone();
    let mut from_other = 0;
    for _ in 0..50 {
        party.send(bench, &[0x20; 160]);
        if let Some(other) = &mut other {
            other.send(bench, &[0x30; 160]);
            from_other += 1;
        }
        bench.run_ms(20);
    }
    let after = bench.engine.media_counters();
    Second {
        heard: party.heard(bench).len(),
        taken: after.packets_in - before.packets_in - from_other,
        held: after.dropped_on_hold - before.dropped_on_hold,
    }
}

/// The three ways to hold, and whether the holder may still be heard.
fn holds(caller: &Caller) -> [(&'static str, String, &'static str, bool); 3] {
    let old_style = caller.sdp("sendrecv").replace("c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0");
    [
        ("sendonly", caller.sdp("sendonly"), "a=recvonly", true),
        ("inactive", caller.sdp("inactive"), "a=inactive", false),
        ("0.0.0.0", old_style, "a=recvonly", true),
    ]
}

#[test]
fn the_peer_holds_every_service_in_every_way_and_takes_it_back() {
    for user in ["echo", "tone", "silence", "conf-held"] {
        let mut bench = Bench::new();
        let mut other = user.starts_with("conf").then(|| Party::join(&mut bench, 2, user, 8));
        let mut party = Party::join(&mut bench, 1, user, 0);
        for round in 0..3 {
            let before = speak(&mut bench, &mut party, other.as_mut());
            assert!(before.heard >= 45 && before.taken == 50, "{user} {round}: {} {}", before.heard, before.taken);
            let (style, sdp, expected, may_speak) = holds(&party.caller)[round].clone();
            let answer = party.reinvite(&mut bench, &sdp);
            assert!(answer.contains(expected), "{style}: {answer}");
            assert!(!answer.contains("0.0.0.0"), "{style}: {answer}");
            let held = speak(&mut bench, &mut party, other.as_mut());
            assert_eq!(held.heard, 0, "{user} {style}: hold is silent");
            let (taken, refused) = if may_speak { (50, 0) } else { (0, 50) };
            assert_eq!((held.taken, held.held), (taken, refused), "{user} {style}");
            if let Some(other) = &other {
                let heard = other.heard(&bench).len();
                assert_eq!(heard > 40, may_speak, "{style}: the others hear it only if it may speak: {heard}");
            }
            let resume = party.caller.sdp("sendrecv");
            assert!(party.reinvite(&mut bench, &resume).contains("a=sendrecv"), "{style}");
        }
        let after = speak(&mut bench, &mut party, other.as_mut());
        assert!(after.heard >= 45 && after.taken == 50 && after.held == 0, "{user}: {}", after.heard);
        for party in [Some(party), other].into_iter().flatten() {
            party.hang_up(&mut bench);
        }
        bench.run_ms(33_000);
        bench.assert_baseline();
    }
}

/// The peer agrees to the re-INVITE that the switch has sent.
fn agree(bench: &mut Bench, party: &Party, sent: &[String], direction: &str) {
    let invite = sent.iter().find(|text| text.starts_with("INVITE ")).expect("a re-INVITE");
    let sent = bench.exchange(&answer_to(invite, "200 OK", "t", &party.caller.sdp(direction)));
    assert!(sent[0].starts_with("ACK "), "{sent:?}");
}

#[test]
fn the_switch_holds_every_service_and_takes_it_back() {
    for (user, answer) in [
        ("echo", "recvonly"),
        ("tone", "recvonly"),
        ("conf-ours", "recvonly"),
        ("echo", "inactive"),
        ("tone", "inactive"),
    ] {
        let mut bench = Bench::new();
        let mut other = user.starts_with("conf").then(|| Party::join(&mut bench, 2, user, 8));
        let mut party = Party::join(&mut bench, 1, user, 0);
        let before = speak(&mut bench, &mut party, other.as_mut());
        assert!(before.heard >= 45 && before.taken == 50, "{user}: {}", before.heard);
        let sent = bench.command(|session| Operation::Hold { session });
        assert!(sent[0].contains("a=sendonly"), "{sent:?}");
        agree(&mut bench, &party, &sent, answer);
        let held = speak(&mut bench, &mut party, other.as_mut());
        assert_eq!((held.taken, held.held), (0, 50), "{user}: a party on hold is not heard");
        // A party that is held with `sendonly` may be played audio, but not its own.
        let expected = if answer == "inactive" || user == "echo" { 0..=0 } else { 45..=51 };
        assert!(expected.contains(&held.heard), "{user} {answer}: {}", held.heard);
        if let Some(other) = &other {
            assert_eq!(other.heard(&bench).len(), 0, "nor is it heard in the room");
        }
        let sent = bench.command(|session| Operation::Resume { session });
        assert!(sent[0].contains("a=sendrecv"), "{sent:?}");
        agree(&mut bench, &party, &sent, "sendrecv");
        let after = speak(&mut bench, &mut party, other.as_mut());
        assert!(after.heard >= 45 && after.taken == 50 && after.held == 0, "{user}: {}", after.heard);
    }
}

#[test]
fn when_both_hold_media_return_only_when_both_have_let_go() {
    for peer_first in [false, true] {
        let mut bench = Bench::new();
        let mut party = Party::join(&mut bench, 1, "echo", 0);
        let sent = bench.command(|session| Operation::Hold { session });
        agree(&mut bench, &party, &sent, "recvonly");
        let (hold, resume) = (party.caller.sdp("sendonly"), party.caller.sdp("sendrecv"));
        assert!(party.reinvite(&mut bench, &hold).contains("a=inactive"));
        let both = speak(&mut bench, &mut party, None);
        assert_eq!((both.heard, both.taken), (0, 0));
        if peer_first {
            assert!(party.reinvite(&mut bench, &resume).contains("a=sendonly"));
        } else {
            let sent = bench.command(|session| Operation::Resume { session });
            agree(&mut bench, &party, &sent, "sendonly");
        }
        assert_eq!(speak(&mut bench, &mut party, None).heard, 0, "one of them still holds");
        if peer_first {
            let sent = bench.command(|session| Operation::Resume { session });
            agree(&mut bench, &party, &sent, "sendrecv");
        } else {
            assert!(party.reinvite(&mut bench, &resume).contains("a=sendrecv"));
        }
        let after = speak(&mut bench, &mut party, None);
        assert!(after.heard == 50 && after.taken == 50, "{} {}", after.heard, after.taken);
    }
}

#[test]
fn a_session_description_that_changes_is_believed_and_one_that_does_not_keeps_the_source() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "echo", 0);
    let translated = "192.0.2.7:9000";
    let say = |bench: &mut Bench, party: &mut Party, from: &str| {
        bench.rtp.clear();
        let timestamp = party.timestamp;
        party.send_from(bench, &[1; 160], from, 0, false, timestamp);
        party.timestamp = timestamp.wrapping_add(160);
        bench.run_ms(20);
        bench.rtp.iter().map(|packet| packet.peer.to_string()).collect::<Vec<_>>()
    };
    // Behind a NAT: packets do not come from the address in the SDP, and the echo goes to where they come from.
    assert_eq!(say(&mut bench, &mut party, translated), [translated]);
    bench.run_ms(400);
    assert!(say(&mut bench, &mut party, "192.0.2.66:666").is_empty(), "a stranger is not heard");
    // The same description again: the source stays.
    let same = party.caller.sdp("sendrecv");
    party.reinvite(&mut bench, &same);
    assert!(say(&mut bench, &mut party, "192.0.2.66:666").is_empty());
    assert_eq!(say(&mut bench, &mut party, translated), [translated]);
    // Another address: the source of the first packet becomes the source of the stream.
    let moved = same.replace("c=IN IP4 10.0.0.2", "c=IN IP4 10.0.0.77");
    party.reinvite(&mut bench, &moved);
    assert_eq!(say(&mut bench, &mut party, "192.0.2.8:7000"), ["192.0.2.8:7000"]);
    bench.run_ms(400);
    assert!(say(&mut bench, &mut party, translated).is_empty());
}

#[test]
fn another_codec_in_the_middle_of_a_call_is_spoken_from_then_on() {
    let mut bench = Bench::new();
    let mut other = Party::join(&mut bench, 2, "conf-law", 0);
    let mut party = Party::offering(&mut bench, 1, "conf-law", 0, "0 101", "a=ptime:60\r\n");
    speak(&mut bench, &mut party, Some(&mut other));
    let sdp = party.caller.sdp("sendrecv").replace("RTP/AVP 0 8 101", "RTP/AVP 8 101");
    assert!(party.reinvite(&mut bench, &format!("{sdp}a=ptime:30\r\n")).contains("RTP/AVP 8 101"));
    party.payload_type = 8;
    let after = speak(&mut bench, &mut party, Some(&mut other));
    assert_eq!(after.taken, 50);
    let packets = party.packets(&bench);
    assert!(packets.len() >= 30, "{}", packets.len());
    assert!(packets[2..].iter().all(|(header, payload)| header.payload_type == 8 && payload.len() == 240));
    // The other party sends 0x30 in mu-law; the same level in A-law is what is heard.
    let level = common::party::level(ringworld::components::audio::G711::Pcmu, &[0x30; 160]);
    let heard = common::party::level(ringworld::components::audio::G711::Pcma, &[packets[9].1[100]; 160]);
    assert!((level - heard).abs() <= level.abs() / 16, "{level} {heard}");
}

#[test]
fn a_peer_that_holds_and_says_nothing_has_not_vanished() {
    let mut config = ringworld::engine::WorldConfig::default();
    config.settings.timers.rtp_silence_s = 5;
    let mut bench = Bench::with(config);
    let mut party = Party::join(&mut bench, 1, "tone", 0);
    let (hold, resume) = (party.caller.sdp("sendonly"), party.caller.sdp("sendrecv"));
    party.reinvite(&mut bench, &hold);
    bench.run_ms(60_000);
    assert_eq!(bench.engine.census().sessions, 1, "it holds");
    party.reinvite(&mut bench, &resume);
    bench.run_ms(4_500);
    assert_eq!(speak(&mut bench, &mut party, None).taken, 50, "it speaks again in time");
    bench.run_ms(6_000);
    assert!(bench.take_sent().iter().any(|text| text.starts_with("BYE ")), "now it has vanished");
}
