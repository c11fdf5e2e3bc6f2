//! Offer and answer through SIP, in virtual time and in both roles: the rows of RFC 6337 section 2 that INVITE, its responses
//! and ACK can carry, and what a re-INVITE may change.

mod common;

use common::callee::{answer_to, place};
use common::exchange::{assert_ends_with_bye, described, find, hang_up, is_echoed, media_of, reinvite, version_of};
use common::party::Party;
use common::{Bench, Caller, audio_port, header, status};
use ringworld::components::edge::Operation;

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
