//! Offer and answer through SIP, in virtual time and in both roles: the rows of RFC 6337 section 2 that INVITE, its responses
//! and ACK can carry, what a re-INVITE may change, and what is left when one fails.

mod common;

use common::callee::{answer_to, place};
use common::party::Party;
use common::{Bench, Caller, audio_port, established, header, status};
use ringworld::components::edge::Operation;

/// The lines of a description from the first `m=` line on.
fn media_of(text: &str) -> &str {
    text.find("\r\nm=").and_then(|at| text.get(at + 2..)).unwrap_or_default()
}

/// The version in the `o=` line.
fn version_of(text: &str) -> u64 {
    let origin = text.lines().find_map(|line| line.strip_prefix("o=")).expect("an o= line");
    origin.split(' ').nth(2).and_then(|version| version.parse().ok()).expect("a version")
}

/// A description of the peer.
fn described(version: u32, media: &str) -> String {
    format!("v=0\r\no=- 7 {version} IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n{media}")
}

fn find<'a>(sent: &'a [String], start: &str) -> &'a str {
    sent.iter().find(|text| text.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {sent:?}"))
}

/// Ends the call from the peer's side, and waits until all of it is gone.
fn hang_up(bench: &mut Bench, mut caller: Caller) {
    let bye = caller.bye();
    assert_eq!(status(&bench.exchange(&bye)[0]), 200);
    bench.run_quiet_s(40);
    bench.assert_baseline();
}

/// The call ends by a BYE of the switch, which the peer answers.
fn assert_ends_with_bye(bench: &mut Bench, sent: &[String]) {
    let bye = find(sent, "BYE ").to_owned();
    bench.exchange(&answer_to(&bye, "200 OK", "t", ""));
    bench.run_quiet_s(40);
    bench.assert_baseline();
}

/// A re-INVITE of the peer; the response, acknowledged.
fn reinvite(bench: &mut Bench, caller: &mut Caller, sdp: &str) -> String {
    caller.next();
    let answer = bench.exchange(&caller.request("INVITE", sdp)).remove(0);
    if status(&answer) == 200 {
        assert!(bench.exchange(&caller.ack()).is_empty());
    } else {
        bench.exchange(&caller.ack_of_refusal());
    }
    answer
}

/// Whether a packet of the party is echoed to where it came from.
fn is_echoed(bench: &mut Bench, party: &mut Party) -> bool {
    bench.rtp.clear();
    party.send(bench, &[0x20; 160]);
    bench.run_ms(20);
    bench.rtp.iter().any(|packet| packet.port == party.port && packet.peer.to_string() == party.address())
}

#[test]
fn an_invite_without_an_offer_is_given_one_and_answered_in_the_ack() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let offer = bench.exchange(&caller.request("INVITE", "")).remove(0);
    assert_eq!(media_of(&offer).lines().next().map(|line| line.ends_with("RTP/AVP 0 8 101")), Some(true), "{offer}");
    caller.learn(&offer);
    let answer = described(1, "m=audio 30002 RTP/AVP 8\r\n");
    assert!(bench.exchange(&Caller { branch: 1001, ..caller.clone() }.request("ACK", &answer)).is_empty());
    let mut party = Party { port: audio_port(&offer), caller, sequence: 1, timestamp: 1, payload_type: 8 };
    assert!(is_echoed(&mut bench, &mut party));
    // A re-INVITE without an offer, likewise: the switch goes on with the codec in use.
    party.caller.next();
    let offer = bench.exchange(&party.caller.request("INVITE", "")).remove(0);
    assert!(media_of(&offer).starts_with(&format!("m=audio {} RTP/AVP 8 0 ", party.port)), "{offer}");
    let hold = described(2, "m=audio 30002 RTP/AVP 8\r\na=sendonly\r\n");
    let ack = Caller { branch: party.caller.branch + 1000, ..party.caller.clone() }.request("ACK", &hold);
    assert!(bench.exchange(&ack).is_empty());
    assert!(!is_echoed(&mut bench, &mut party), "the peer holds");
    hang_up(&mut bench, party.caller);
}

#[test]
fn an_ack_that_owes_an_answer_and_has_no_usable_one_ends_the_call() {
    for answer in
        ["", "v=0\r\n", &described(1, "m=audio 0 RTP/AVP 0\r\n"), &described(1, "m=audio 4000 RTP/AVP 18\r\n")]
    {
        for in_reinvite in [false, true] {
            let mut bench = Bench::new();
            let mut caller = if in_reinvite { established(&mut bench, 1, "echo") } else { Caller::new(1, "echo") };
            if in_reinvite {
                caller.next();
            }
            let offer = bench.exchange(&caller.request("INVITE", "")).remove(0);
            caller.learn(&offer);
            let sent = bench.exchange(&Caller { branch: 1001, ..caller }.request("ACK", answer));
            assert_ends_with_bye(&mut bench, &sent);
        }
    }
}

#[test]
fn an_offer_that_can_not_be_used_is_refused_and_leaves_nothing() {
    for (sdp, expected) in [
        (described(1, "m=video 4000 RTP/AVP 31\r\n"), 488),
        (described(1, "m=audio 0 RTP/AVP 0\r\n"), 488),
        (described(1, "m=audio 4000 RTP/AVP 18\r\n"), 488),
        (described(1, "m=audio 4000 RTP/SAVP 0\r\n"), 488),
        (described(1, "m=audio 4000 RTP/AVP 0\r\nc=AF IP4 10.0.0.2\r\n"), 488),
        (described(1, "m=audio 4000 RTP/AVP 0\r\nc=IN IP7 10.0.0.2\r\n"), 488),
        (described(1, "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 not!a!name\r\n"), 488),
        (described(1, "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::2\r\n"), 488),
        (described(1, "m=audio 4000 RTP/AVP 0\r\n").replace("c=IN IP4 10.0.0.2\r\n", ""), 488),
        ("v=0\r\nnonsense".to_owned(), 400),
    ] {
        let mut bench = Bench::new();
        let caller = Caller::new(1, "echo");
        assert_eq!(status(&bench.exchange(&caller.request("INVITE", &sdp))[0]), expected, "{sdp}");
        bench.exchange(&caller.ack_of_refusal());
        bench.run_quiet_s(40);
        bench.assert_baseline();
    }
}

#[test]
fn every_line_of_an_offer_is_answered_in_its_place_and_stays_there() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let lines = "m=video 5000 RTP/SAVP 31 34\r\nm=audio 30002 RTP/AVP 97 96\r\na=rtpmap:97 PCMA/8000\r\n\
        a=rtpmap:96 telephone-event/8000\r\nm=image 5008 udptl t38\r\n";
    let answer = bench.exchange(&caller.request("INVITE", &described(1, lines))).remove(0);
    caller.learn(&answer);
    bench.exchange(&caller.ack());
    let port = audio_port(&answer);
    let taken = format!(
        "m=audio {port} RTP/AVP 97 96\r\na=rtpmap:97 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\n\
         a=ptime:20\r\na=sendrecv\r\n"
    );
    assert_eq!(media_of(&answer), format!("m=video 0 RTP/SAVP 31 34\r\n{taken}m=image 0 udptl t38\r\n"));
    let mut party = Party { port, caller, sequence: 1, timestamp: 1, payload_type: 97 };
    assert!(is_echoed(&mut bench, &mut party));
    // The switch holds: the same lines, in the same order, with the payload types in use (RFC 3264 sections 8 and 8.3.2).
    let sent = bench.command(|session| Operation::Hold { session });
    let invite = find(&sent, "INVITE ");
    let held = format!(
        "m=video 0 RTP/SAVP 31\r\nm=audio {port} RTP/AVP 97 0 96\r\na=rtpmap:97 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\na=ptime:20\r\na=sendonly\r\nm=image 0 udptl t38\r\n"
    );
    assert_eq!((media_of(invite), version_of(invite)), (held.as_str(), 2));
    let agreed = described(
        2,
        "m=video 0 RTP/SAVP 31\r\nm=audio 30002 RTP/AVP 97\r\na=rtpmap:97 PCMA/8000\r\na=recvonly\r\nm=image 0 udptl t38\r\n",
    );
    assert!(bench.exchange(&answer_to(invite, "200 OK", "t", &agreed))[0].starts_with("ACK "));
    assert!(!is_echoed(&mut bench, &mut party));
    // The peer adds a line for the audio and sets the port of the old one to 0; the switch goes on with the new one.
    let moved = "m=video 0 RTP/SAVP 31\r\nm=audio 0 RTP/AVP 97\r\nm=image 0 udptl t38\r\nm=audio 30002 RTP/AVP 0\r\n";
    let answer = reinvite(&mut bench, &mut party.caller, &described(3, moved));
    let at = media_of(&answer);
    assert!(at.starts_with("m=video 0 RTP/SAVP 31\r\nm=audio 0 RTP/AVP 97\r\nm=image 0 udptl t38\r\nm=audio "), "{at}");
    assert_eq!(at.matches("\r\nm=audio 0 ").count(), 1, "{at}");
    hang_up(&mut bench, party.caller);
}

#[test]
fn a_re_invite_may_change_payload_types_port_and_codec_and_media_follow() {
    let mut bench = Bench::new();
    let mut party = Party::offering(&mut bench, 1, "echo", 0, "0 101", "");
    let mut version = 1;
    for (formats, maps, payload_type, port) in [
        ("96 97", "a=rtpmap:96 PCMU/8000\r\na=rtpmap:97 telephone-event/8000\r\n", 96, 30_002),
        ("8", "", 8, 30_002),
        ("110", "a=rtpmap:110 PCMA/8000\r\n", 110, 31_000),
        ("0 101", "a=rtpmap:101 telephone-event/8000\r\n", 0, 31_002),
    ] {
        version += 1;
        let sdp = described(version, &format!("m=audio {port} RTP/AVP {formats}\r\n{maps}"));
        let answer = reinvite(&mut bench, &mut party.caller, &sdp);
        assert!(media_of(&answer).starts_with(&format!("m=audio {} RTP/AVP {formats}\r\n", party.port)), "{answer}");
        assert_eq!(version_of(&answer), u64::from(version), "each of our answers differs from the one before");
        // Packets with the former payload type are not accepted.
        bench.rtp.clear();
        party.caller.rtp_port = port;
        party.send(&mut bench, &[0x20; 160]);
        bench.run_ms(20);
        assert!(bench.rtp.is_empty(), "{formats}");
        party.payload_type = payload_type;
        assert!(is_echoed(&mut bench, &mut party), "{formats}");
    }
    hang_up(&mut bench, party.caller);
}

#[test]
fn a_peer_may_turn_all_streams_off_and_one_on_again() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "echo", 0);
    let off = reinvite(&mut bench, &mut party.caller, &described(2, "m=audio 0 RTP/AVP 0\r\n"));
    assert_eq!((status(&off), media_of(&off)), (200, "m=audio 0 RTP/AVP 0\r\n"));
    assert!(!is_echoed(&mut bench, &mut party));
    assert_eq!(bench.engine.census().streams, 1, "the port is kept for the call");
    let on = reinvite(&mut bench, &mut party.caller, &described(3, "m=audio 30002 RTP/AVP 0\r\n"));
    assert_eq!(audio_port(&on), party.port);
    assert!(is_echoed(&mut bench, &mut party));
    hang_up(&mut bench, party.caller);
}

#[test]
fn a_re_invite_that_is_refused_leaves_the_session_and_our_version_as_they_were() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "echo", 0);
    for (sdp, expected) in [
        (described(2, "m=audio 4000 RTP/AVP 18\r\n"), 488),
        (described(2, "m=image 4000 udptl t38\r\n"), 488),
        (described(2, "m=audio 4000 RTP/AVP 0\r\nc=IN IP7 10.0.0.9\r\n"), 488),
        ("v=0\r\nnonsense".to_owned(), 400),
    ] {
        assert_eq!(status(&reinvite(&mut bench, &mut party.caller, &sdp)), expected);
        assert!(is_echoed(&mut bench, &mut party), "{sdp}");
    }
    let sdp = party.caller.sdp("sendrecv").replace("RTP/AVP 0 8 101", "RTP/AVP 0 101");
    let same = reinvite(&mut bench, &mut party.caller, &sdp);
    assert_eq!(version_of(&same), 1, "we have said the same as before");
    let hold = sdp.replace("sendrecv", "sendonly");
    assert_eq!(version_of(&reinvite(&mut bench, &mut party.caller, &hold)), 2);
    hang_up(&mut bench, party.caller);
}

#[test]
fn a_refused_re_invite_of_ours_rolls_back_or_ends_the_call_by_its_status() {
    for (answer, ends) in [
        ("488 Not Acceptable Here", false),
        ("500 Server Internal Error", false),
        ("603 Decline", false),
        ("481 Call/Transaction Does Not Exist", true),
        ("408 Request Timeout", true),
        ("404 Not Found", true),
    ] {
        let mut bench = Bench::new();
        let mut party = Party::join(&mut bench, 1, "echo", 0);
        let sent = bench.command(|session| Operation::Hold { session });
        let sent = bench.exchange(&answer_to(find(&sent, "INVITE "), answer, "t", ""));
        assert!(sent[0].starts_with("ACK "), "{sent:?}");
        if ends {
            assert_ends_with_bye(&mut bench, &sent);
            continue;
        }
        assert!(is_echoed(&mut bench, &mut party), "{answer}: as before");
        let again = bench.command(|session| Operation::Hold { session });
        let again = find(&again, "INVITE ");
        assert!(again.contains("a=sendonly"));
        assert_eq!(version_of(again), 2, "the same description as the refused one has its version");
        let agreed = party.caller.sdp("recvonly");
        assert!(bench.exchange(&answer_to(again, "200 OK", "t", &agreed))[0].starts_with("ACK "));
        assert!(!is_echoed(&mut bench, &mut party));
        hang_up(&mut bench, party.caller);
    }
}

#[test]
fn an_answer_to_our_re_invite_that_turns_the_stream_down_ends_the_call() {
    let mut bench = Bench::new();
    Party::join(&mut bench, 1, "echo", 0);
    let sent = bench.command(|session| Operation::Hold { session });
    let answer = answer_to(find(&sent, "INVITE "), "200 OK", "t", &described(2, "m=audio 0 RTP/AVP 0\r\n"));
    let sent = bench.exchange(&answer);
    assert!(sent[0].starts_with("ACK "), "{sent:?}");
    assert_ends_with_bye(&mut bench, &sent);
}

#[test]
fn requests_that_cross_are_refused_with_491_or_500() {
    let mut bench = Bench::new();
    let mut caller = established(&mut bench, 1, "echo");
    let sent = bench.command(|session| Operation::Hold { session });
    let invite = find(&sent, "INVITE ").to_owned();
    for sdp in [described(2, "m=audio 30002 RTP/AVP 0\r\n"), String::new()] {
        assert_eq!(status(&reinvite(&mut bench, &mut caller, &sdp)), 491);
    }
    bench.exchange(&answer_to(&invite, "200 OK", "t", &caller.sdp("recvonly")));
    // Two of the peer's own: the second comes before the first one's ACK.
    caller.next();
    let first = caller.clone();
    assert_eq!(
        status(&bench.exchange(&caller.request("INVITE", &described(3, "m=audio 30002 RTP/AVP 0\r\n")))[0]),
        200
    );
    caller.next();
    let refused = bench.exchange(&caller.request("INVITE", "")).remove(0);
    assert_eq!(status(&refused), 500);
    assert!(header(&refused, "Retry-After").and_then(|seconds| seconds.parse().ok()).is_some_and(|s: u8| s <= 10));
    bench.exchange(&caller.ack_of_refusal());
    bench.exchange(&first.ack());
    hang_up(&mut bench, caller);
}

#[test]
fn a_call_of_ours_is_set_up_by_the_answer_and_not_by_a_preview() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    assert_eq!((version_of(&invite), media_of(&invite).matches("m=").count()), (1, 1));
    let early = described(1, "m=audio 40000 RTP/AVP 8\r\n");
    bench.exchange(&answer_to(&invite, "183 Session Progress", "t", &early));
    bench.rtp.clear();
    bench.run_ms(100);
    assert!(bench.rtp.is_empty(), "nothing is agreed yet");
    let sent = bench.exchange(&answer_to(&invite, "200 OK", "t", &described(2, "m=audio 40002 RTP/AVP 0\r\n")));
    assert!(sent[0].starts_with("ACK "), "{sent:?}");
    bench.run_ms(100);
    assert!(!bench.rtp.is_empty() && bench.rtp.iter().all(|packet| packet.peer.to_string() == "10.0.0.2:40002"));
    let sent = bench.command(|session| Operation::HangUp { session });
    assert_ends_with_bye(&mut bench, &sent);
}

#[test]
fn of_two_forks_each_has_its_own_preview_and_the_one_that_answers_its_own_answer() {
    for (answering, port) in [("a", 40_000), ("b", 41_000)] {
        let mut bench = Bench::new();
        let invite = place(&mut bench);
        for (fork, port, law) in [("a", 40_000, 0), ("b", 41_000, 8)] {
            let early = described(1, &format!("m=audio {port} RTP/AVP {law}\r\n"));
            bench.exchange(&answer_to(&invite, "183 Session Progress", fork, &early));
        }
        // No description in the 2xx: the first one of that dialog counts (RFC 3261 section 13.2.1).
        let sent = bench.exchange(&answer_to(&invite, "200 OK", answering, ""));
        assert!(sent.len() == 1 && sent[0].starts_with("ACK "), "{sent:?}");
        bench.rtp.clear();
        bench.run_ms(100);
        let expected = format!("10.0.0.2:{port}");
        assert!(!bench.rtp.is_empty() && bench.rtp.iter().all(|packet| packet.peer.to_string() == expected));
        let sent = bench.command(|session| Operation::HangUp { session });
        assert_ends_with_bye(&mut bench, &sent);
    }
}

#[test]
fn an_answer_to_our_invite_that_is_missing_or_of_no_use_ends_the_call() {
    for answer in [
        String::new(),
        "v=0\r\nnonsense".to_owned(),
        described(1, "m=audio 0 RTP/AVP 0\r\n"),
        described(1, "m=audio 4000 RTP/AVP 18\r\n"),
        described(1, "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::2\r\n"),
        described(1, "m=video 4000 RTP/AVP 31\r\n"),
    ] {
        let mut bench = Bench::new();
        let invite = place(&mut bench);
        let sent = bench.exchange(&answer_to(&invite, "200 OK", "t", &answer));
        assert!(sent[0].starts_with("ACK "), "{answer}: {sent:?}");
        assert_ends_with_bye(&mut bench, &sent);
    }
}

#[test]
fn the_description_is_found_in_a_multipart_body_in_both_roles() {
    let multipart = |message: &str, handling: &str| {
        let (head, sdp) = message.split_once("\r\n\r\n").expect("a body");
        let body = format!(
            "--b\r\nContent-Type: application/isup\r\nContent-Disposition: signal;handling={handling}\r\n\r\n\u{1}\r\n\
             --b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n"
        );
        let head: Vec<&str> = head.lines().filter(|line| !line.starts_with("Content-Length")).collect();
        let head = head.join("\r\n").replace("application/sdp", "multipart/mixed;boundary=b");
        format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let answer = bench.exchange(&multipart(&caller.invite(), "optional")).remove(0);
    assert_eq!((status(&answer), header(&answer, "Content-Type")), (200, Some("application/sdp")));
    caller.learn(&answer);
    bench.exchange(&caller.ack());
    caller.next();
    let refused = bench.exchange(&multipart(&caller.invite(), "required")).remove(0);
    assert_eq!(status(&refused), 415);
    assert!(header(&refused, "Accept").is_some_and(|types| types.contains("multipart/mixed")));
    bench.exchange(&caller.ack_of_refusal());
    hang_up(&mut bench, caller);
    let invite = place(&mut bench);
    let sent = bench.exchange(&multipart(
        &answer_to(&invite, "200 OK", "t", &described(1, "m=audio 40000 RTP/AVP 0\r\n")),
        "optional",
    ));
    assert!(sent.len() == 1 && sent[0].starts_with("ACK "), "{sent:?}");
    let sent = bench.command(|session| Operation::HangUp { session });
    assert_ends_with_bye(&mut bench, &sent);
}

#[test]
fn a_wrong_version_is_counted_and_the_content_taken() {
    let mut bench = Bench::new();
    let mut party = Party::join(&mut bench, 1, "echo", 0);
    let wrong = |bench: &Bench| bench.engine.counters().sdp_versions_wrong;
    assert_eq!(wrong(&bench), 0);
    for (version, port, expected) in [(9, 30_002, 1), (10, 31_000, 1), (10, 31_002, 2), (4, 31_004, 3)] {
        let sdp = described(version, &format!("m=audio {port} RTP/AVP 0\r\n"));
        assert_eq!(status(&reinvite(&mut bench, &mut party.caller, &sdp)), 200);
        assert_eq!(wrong(&bench), expected, "{version}");
        party.caller.rtp_port = port;
        assert!(is_echoed(&mut bench, &mut party), "{port}");
    }
    hang_up(&mut bench, party.caller);
}
