//! Dialogs in virtual time: RFC 3261 sections 12 to 15, RFC 3264; both roles.

mod common;

use common::callee::{answer_to, command, place, sdp};
use common::{Bench, Caller, established, header, status, tag};
use ringworld::components::edge::Operation;

#[test]
fn an_old_cseq_is_500_and_a_foreign_tag_481() {
    let mut bench = Bench::new();
    let mut caller = established(&mut bench, 1, "echo");
    caller.next();
    caller.next();
    assert_eq!(status(&bench.exchange(&caller.request("INFO", ""))[0]), 200);
    caller.cseq -= 1;
    caller.branch += 1;
    assert_eq!(status(&bench.exchange(&caller.request("INFO", ""))[0]), 500);
    caller.to_tag = "another-tag".into();
    caller.branch += 1;
    assert_eq!(status(&bench.exchange(&caller.request("BYE", ""))[0]), 481);
    assert_eq!(bench.engine.census().sessions, 1);
}

#[test]
fn the_peer_holds_and_resumes() {
    for hold in ["sendonly", "inactive"] {
        let mut bench = Bench::new();
        let mut caller = established(&mut bench, 1, "tone");
        bench.run_ms(100);
        assert!(!bench.rtp.is_empty(), "the tone is playing");
        caller.next();
        let answer = bench.exchange(&caller.request("INVITE", &caller.sdp(hold))).remove(0);
        assert_eq!(status(&answer), 200);
        let expected = if hold == "sendonly" { "a=recvonly" } else { "a=inactive" };
        assert!(answer.contains(expected), "{answer}");
        bench.exchange(&caller.ack());
        bench.rtp.clear();
        bench.run_ms(500);
        assert!(bench.rtp.is_empty(), "hold is silent");
        caller.next();
        let answer = bench.exchange(&caller.request("INVITE", &caller.sdp("sendrecv"))).remove(0);
        assert!(answer.contains("a=sendrecv") || !answer.contains("a=recvonly"), "{answer}");
        bench.exchange(&caller.ack());
        bench.run_ms(500);
        assert!(bench.rtp.len() >= 24, "the tone is back: {}", bench.rtp.len());
        bench.exchange(&caller.bye());
        bench.run_ms(33_000);
        bench.assert_baseline();
    }
}

#[test]
fn a_hold_of_old_style_is_a_hold() {
    let mut bench = Bench::new();
    let mut caller = established(&mut bench, 1, "tone");
    caller.next();
    let sdp = caller.sdp("sendrecv").replace("c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0");
    assert_eq!(status(&bench.exchange(&caller.request("INVITE", &sdp))[0]), 200);
    bench.exchange(&caller.ack());
    bench.rtp.clear();
    bench.run_ms(500);
    assert!(bench.rtp.is_empty());
}

#[test]
fn a_late_offer_is_ours_and_its_answer_is_in_the_ack() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "tone");
    let answer = bench.exchange(&caller.request("INVITE", "")).remove(0);
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("m=audio 10000"), "{answer}");
    caller.learn(&answer);
    let acking = Caller { branch: 99, ..caller.clone() };
    bench.exchange(&acking.request("ACK", &caller.sdp("sendrecv")));
    bench.run_ms(200);
    assert!(!bench.rtp.is_empty());
    assert_eq!(bench.rtp[0].peer.port(), caller.rtp_port);
    bench.exchange(&caller.bye());
    bench.run_ms(33_000);
    bench.assert_baseline();
}

#[test]
fn an_ack_without_the_answer_that_was_due_ends_the_call() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "tone");
    let answer = bench.exchange(&caller.request("INVITE", "")).remove(0);
    caller.learn(&answer);
    let sent = bench.exchange(&caller.ack());
    assert!(sent.iter().any(|text| text.starts_with("BYE ")), "{sent:?}");
}

#[test]
fn a_placed_call_rings_is_answered_holds_meets_glare_and_ends() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
    let acked = bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    assert!(acked[0].starts_with("ACK sip:callee@10.0.0.2:5070"), "{acked:?}");
    // The 200 comes again: so does the ACK.
    assert_eq!(bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp())), acked);
    bench.run_ms(200);
    assert!(!bench.rtp.is_empty(), "the tone is playing");
    command(&mut bench, |session| Operation::Hold { session });
    let reinvite = bench.take_sent().pop().unwrap_or_default();
    assert!(reinvite.starts_with("INVITE ") && reinvite.contains("a=sendonly"), "{reinvite}");
    assert_eq!(header(&reinvite, "CSeq"), Some("2 INVITE"));
    // The peer's own re-INVITE in the middle of ours is refused, and so is ours by the peer.
    let from = header(&invite, "From").expect("a From");
    let mut peer = Caller::new(9, "switch");
    peer.to_tag = tag(from).expect("a tag").into();
    let crossing = peer
        .invite()
        .replace("Call-ID: call-9", &format!("Call-ID: {}", header(&invite, "Call-ID").expect("a Call-ID")))
        .replace(";tag=c9", ";tag=t1");
    assert_eq!(status(&bench.exchange(&crossing)[0]), 491);
    bench.exchange(&answer_to(&reinvite, "491 Request Pending", "t1", ""));
    assert_eq!(bench.engine.counters().outcomes.len(), 0, "a glare ends nothing");
    // The owner of the Call-ID waits 2.1 to 4 s and asks again with another CSeq.
    bench.take_sent();
    bench.run_ms(2000);
    assert!(!bench.take_sent().iter().any(|text| text.starts_with("INVITE ")));
    bench.run_ms(2100);
    let again = bench.take_sent().into_iter().find(|text| text.starts_with("INVITE ")).expect("another try");
    assert_eq!(header(&again, "CSeq"), Some("3 INVITE"));
    let held = sdp().replace("sendrecv", "recvonly");
    bench.exchange(&answer_to(&again, "200 OK", "t1", &held));
    command(&mut bench, |session| Operation::HangUp { session });
    let bye = bench.take_sent().into_iter().find(|text| text.starts_with("BYE ")).expect("a BYE");
    bench.exchange(&answer_to(&bye, "200 OK", "t1", ""));
    bench.run_ms(40_000);
    bench.assert_baseline();
    assert_eq!(bench.engine.counters().outcomes.get("hung up"), Some(&1));
}

#[test]
fn of_two_forks_that_answer_the_second_is_acknowledged_and_ended() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
    bench.exchange(&answer_to(&invite, "180 Ringing", "t2", ""));
    bench.exchange(&answer_to(&invite, "200 OK", "t2", &sdp()));
    let sent = bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    assert!(sent[0].starts_with("ACK ") && sent[0].contains("tag=t1"), "{sent:?}");
    assert!(sent[1].starts_with("BYE ") && sent[1].contains("tag=t1"), "{sent:?}");
    assert_eq!(bench.engine.census().sessions, 1, "the first fork goes on");
    bench.exchange(&answer_to(&sent[1], "200 OK", "t1", ""));
    assert_eq!(bench.engine.census().sessions, 1, "the first fork goes on");
    bench.take_sent();
    command(&mut bench, |session| Operation::HangUp { session });
    let bye = bench.take_sent().into_iter().find(|text| text.starts_with("BYE ")).expect("a BYE");
    assert!(bye.contains("tag=t2"), "{bye}");
    bench.exchange(&answer_to(&bye, "200 OK", "t2", ""));
    bench.run_ms(40_000);
    bench.assert_baseline();
}

#[test]
fn forks_that_only_rang_are_forgotten_64_t1_after_the_answer() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    for tag in ["t1", "t2", "t3"] {
        bench.exchange(&answer_to(&invite, "180 Ringing", tag, ""));
    }
    bench.exchange(&answer_to(&invite, "200 OK", "t2", &sdp()));
    bench.run_ms(31_900);
    assert_eq!((bench.engine.census().sessions, bench.engine.census().dialogs), (1, 3));
    bench.run_ms(200);
    assert_eq!((bench.engine.census().sessions, bench.engine.census().dialogs), (1, 1));
    command(&mut bench, |session| Operation::HangUp { session });
    assert!(bench.take_sent().iter().any(|text| text.starts_with("BYE ") && text.contains("tag=t2")));
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    command(&mut bench, |session| Operation::HangUp { session });
    assert!(!bench.take_sent().iter().any(|text| text.starts_with("CANCEL ")));
    let sent = bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
    let cancel = sent.iter().find(|text| text.starts_with("CANCEL ")).expect("a CANCEL");
    assert_eq!(header(cancel, "Via"), header(&invite, "Via"), "the branch of the INVITE (section 9.1)");
    assert_eq!(header(cancel, "CSeq"), Some("1 CANCEL"));
    bench.exchange(&answer_to(cancel, "200 OK", "t1", ""));
    let sent = bench.exchange(&answer_to(&invite, "487 Request Terminated", "t1", ""));
    assert!(sent[0].starts_with("ACK "), "{sent:?}");
    bench.run_ms(40_000);
    bench.assert_baseline();
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
    command(&mut bench, |session| Operation::HangUp { session });
    let sent = bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    assert!(sent.iter().any(|text| text.starts_with("ACK ")), "{sent:?}");
    let bye = sent.iter().find(|text| text.starts_with("BYE ")).expect("a BYE");
    bench.exchange(&answer_to(bye, "200 OK", "t1", ""));
    bench.run_ms(40_000);
    bench.assert_baseline();
}

#[test]
fn a_callee_that_never_answers_is_given_up_by_timer_b() {
    let mut bench = Bench::new();
    place(&mut bench);
    bench.run_ms(40_000);
    let invites = bench.take_sent().into_iter().filter(|text| text.starts_with("INVITE ")).count();
    assert_eq!(invites, 6, "timer A: at T1, 3, 7, 15, 31 and 63 times T1");
    bench.assert_baseline();
    assert_eq!(bench.engine.counters().outcomes.get("signalling timed out"), Some(&1));
}

#[test]
fn deadlines_end_calls_that_ring_or_last_too_long_or_fall_silent() {
    let mut config = ringworld::engine::WorldConfig::default();
    config.settings.timers.ringing_s = 2;
    config.settings.timers.call_s = 3;
    let mut bench = Bench::with(config);
    let ringing = Caller::new(1, "ring-60");
    bench.exchange(&ringing.invite());
    bench.run_ms(2100);
    assert!(bench.take_sent().iter().any(|text| status(text) == 480));
    established(&mut bench, 2, "echo");
    bench.run_ms(3100);
    assert!(bench.take_sent().iter().any(|text| text.starts_with("BYE ")));

    let mut config = ringworld::engine::WorldConfig::default();
    config.settings.timers.rtp_silence_s = 2;
    let mut bench = Bench::with(config);
    established(&mut bench, 3, "echo");
    bench.run_ms(2100);
    assert!(bench.take_sent().iter().any(|text| text.starts_with("BYE ")));
    bench.run_ms(40_000);
    bench.assert_baseline();
    assert_eq!(bench.engine.counters().outcomes.get("no RTP for too long"), Some(&1));
}

#[test]
fn an_illegal_operation_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    place(&mut bench);
    let before = bench.engine.census();
    command(&mut bench, |session| Operation::Resume { session });
    assert_eq!(bench.engine.census(), before);
    let refused = bench.outputs.iter().any(|output| {
        matches!(output, ringworld::components::edge::Output::Reply(reply)
            if reply.result.as_ref().is_err_and(|error| error.to_string().contains("its state does not allow to resume")))
    });
    assert!(refused, "{:?}", bench.outputs);
}

#[test]
fn the_answered_bye_of_a_fork_that_lost_does_not_end_a_session_early() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "200 OK", "t2", &sdp()));
    let sent = bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    let lost = sent.iter().find(|text| text.starts_with("BYE ")).expect("a BYE for the second fork").clone();
    command(&mut bench, |session| Operation::HangUp { session });
    bench.tick();
    bench.exchange(&answer_to(&lost, "200 OK", "t1", ""));
    bench.run_ms(100);
    assert_eq!(bench.engine.census().sessions, 1, "the BYE of the first fork has no response yet");
    let kept = bench.take_sent().into_iter().find(|text| text.starts_with("BYE ") && text.contains("tag=t2"));
    bench.exchange(&answer_to(&kept.expect("a BYE"), "200 OK", "t2", ""));
    bench.run_ms(40_000);
    bench.assert_baseline();
}

#[test]
fn late_forks_go_64_t1_after_the_first_answer() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "200 OK", "t2", &sdp()));
    let sent = bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    let lost = sent.iter().find(|text| text.starts_with("BYE ")).expect("a BYE for the second fork").clone();
    bench.exchange(&answer_to(&lost, "200 OK", "t1", ""));
    // Its 2xx may come again, and is acknowledged again.
    let again = bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    assert!(again.len() == 1 && again[0].starts_with("ACK "), "{again:?}");
    assert_eq!(bench.engine.census().dialogs, 2);
    bench.run_ms(33_000);
    assert_eq!((bench.engine.census().sessions, bench.engine.census().dialogs), (1, 1));
}
