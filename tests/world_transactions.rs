//! Transactions in virtual time: RFC 3261 section 17, RFC 6026, and the requests that never become a call.

mod common;

use common::{Bench, Caller, header, status, statuses};
use ringworld::components::wire::sip::SESSION_BODIES;

#[test]
fn a_refusal_is_sent_again_until_its_ack_and_then_absorbed() {
    let mut bench = Bench::new();
    let caller = Caller::new(1, "busy");
    assert_eq!(statuses(&bench.exchange(&caller.invite())), [486]);
    bench.run_ms(1600);
    // Timer G: T1, then 2*T1.
    assert_eq!(bench.take_sent().len(), 3);
    bench.deliver(&caller.ack_of_refusal());
    bench.run_ms(10_000);
    assert!(bench.take_sent().is_empty(), "timer G ends with the ACK");
    bench.assert_baseline();
}

#[test]
fn a_refusal_that_is_never_acknowledged_ends_with_timer_h() {
    let mut bench = Bench::new();
    bench.exchange(&Caller::new(1, "reject-603").invite());
    bench.run_ms(32_100);
    // T1, 2, 4, 8 times T1, then T2 until 64*T1.
    assert_eq!(bench.take_sent().len(), 11);
    bench.assert_baseline();
}

#[test]
fn a_retransmitted_bye_is_answered_again_for_64_t1() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let answer = bench.exchange(&caller.invite()).remove(0);
    caller.learn(&answer);
    bench.exchange(&caller.ack());
    let bye = caller.bye();
    let first = bench.exchange(&bye);
    assert_eq!(statuses(&first), [200]);
    bench.run_ms(20_000);
    assert_eq!(bench.exchange(&bye), first, "timer J has not fired");
    bench.run_ms(13_000);
    assert_eq!(statuses(&bench.exchange(&bye)), [481], "timer J has fired");
    bench.run_ms(33_000);
    bench.assert_baseline();
}

/// Some senders give one branch to every request.
#[test]
fn requests_with_one_branch_and_different_calls_or_numbers_are_different_transactions() {
    let mut bench = Bench::new();
    let branch = "z9hG4bK-1-1";
    let of_call = |call| Caller::new(call, "echo").request("OPTIONS", "");
    for call in 1..=3 {
        let request = of_call(call).replace(&format!("z9hG4bK-{call}-1"), branch);
        let answer = bench.exchange(&request).remove(0);
        assert_eq!(header(&answer, "Call-ID"), Some(format!("call-{call}").as_str()));
        assert_eq!(bench.exchange(&request), [answer], "the same request again");
    }
    let mut caller = Caller::new(1, "echo");
    caller.cseq = 2;
    assert_eq!(header(&bench.exchange(&caller.request("OPTIONS", ""))[0], "CSeq"), Some("2 OPTIONS"));
    // Two calls: each INVITE gets its own response, and each ACK and CANCEL finds its own INVITE.
    let same_branch = |call: u32, text: &str| text.replace(&format!("z9hG4bK-{call}-1"), "z9hG4bK-all");
    for (call, user, expected) in [(11, "busy", 486), (12, "reject-603", 603), (13, "ring-20", 180)] {
        let caller = Caller::new(call, user);
        assert_eq!(status(&bench.exchange(&same_branch(call, &caller.invite()))[0]), expected);
    }
    for (call, user) in [(11, "busy"), (12, "reject-603")] {
        bench.exchange(&same_branch(call, &Caller::new(call, user).ack_of_refusal()));
    }
    bench.take_sent();
    let ringing = Caller::new(13, "ring-20");
    let cancelled = statuses(&bench.exchange(&same_branch(13, &ringing.request("CANCEL", ""))));
    assert_eq!(cancelled, [200, 487]);
    bench.exchange(&same_branch(13, &ringing.ack_of_refusal()));
    bench.run_ms(3_000);
    assert_eq!(bench.take_sent().len(), 2, "no refusal is sent again: all are acknowledged");
    bench.run_ms(40_000);
    bench.assert_baseline();
}

#[test]
fn a_response_over_tcp_names_the_port_of_sent_by_for_a_new_connection() {
    let mut bench = Bench::new();
    for (via, port) in [("10.0.0.2:5070", 5070), ("10.0.0.2:5099", 5099), ("phone.example.com", 5060)] {
        let request = Caller::new(port, "echo").request("OPTIONS", "");
        bench.deliver_tcp(&request.replace("SIP/2.0/UDP 10.0.0.2:5070", &format!("SIP/2.0/TCP {via}")));
        bench.tick();
        let sent = bench.outputs.drain(..).find_map(|output| match output {
            ringworld::components::edge::Output::Sip { target, .. } => Some(target),
            _ => None,
        });
        let target = sent.expect("a response");
        assert_eq!((target.remote.to_string(), target.conn.0), (format!("10.0.0.2:{port}"), 1), "{via}");
    }
}

#[test]
fn a_request_by_another_path_is_merged() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "ring-20");
    bench.exchange(&caller.invite());
    caller.branch = 77;
    assert_eq!(statuses(&bench.exchange(&caller.invite())), [482]);
    assert_eq!(bench.engine.counters().calls_in, 1);
}

#[test]
fn old_style_requests_without_the_magic_cookie_are_matched() {
    let mut bench = Bench::new();
    let caller = Caller::new(1, "busy");
    let old = |text: String| text.replace(";branch=z9hG4bK-1-1", "").replace(";rport", "");
    let first = bench.exchange(&old(caller.invite()));
    assert_eq!(statuses(&first), [486]);
    assert_eq!(bench.exchange(&old(caller.invite())), first, "a retransmission is recognised");
    let mut acking = caller.clone();
    acking.learn(&first[0]);
    bench.exchange(&old(acking.ack_of_refusal()));
    bench.run_ms(6_000);
    bench.assert_baseline();
}

#[test]
fn cancel_before_the_answer_is_487_and_after_it_changes_nothing() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "ring-2");
    assert_eq!(statuses(&bench.exchange(&caller.invite())), [180]);
    let answers = bench.exchange(&caller.request("CANCEL", ""));
    assert_eq!(statuses(&answers), [200, 487]);
    assert_eq!(header(&answers[0], "To"), header(&answers[1], "To"), "one tag for both");
    bench.exchange(&caller.ack_of_refusal());
    caller = Caller::new(2, "echo");
    assert_eq!(statuses(&bench.exchange(&caller.invite())), [200]);
    assert_eq!(statuses(&bench.exchange(&caller.request("CANCEL", ""))), [200]);
    assert_eq!(bench.engine.census().sessions, 1, "the answered call goes on");
    let stray = Caller::new(3, "echo").request("CANCEL", "");
    assert_eq!(statuses(&bench.exchange(&stray)), [481]);
}

#[test]
fn requests_outside_dialogs_get_the_status_that_the_rfc_names() {
    let mut bench = Bench::new();
    let mut at = 10;
    let mut ask = |bench: &mut Bench, method: &str| {
        at += 1;
        let answers = bench.exchange(&Caller::new(at, "echo").request(method, ""));
        assert_eq!(answers.len(), 1, "{method}");
        answers.into_iter().next().unwrap_or_default()
    };
    let options = ask(&mut bench, "OPTIONS");
    assert_eq!(status(&options), 200);
    assert!(header(&options, "Allow").is_some_and(|allow| allow.contains("INVITE") && allow.contains("INFO")));
    for (method, expected) in [("BYE", 481), ("INFO", 481), ("SUBSCRIBE", 405), ("MESSAGE", 405), ("FROBNICATE", 501)] {
        let answer = ask(&mut bench, method);
        assert_eq!(status(&answer), expected, "{method}");
        assert_eq!(header(&answer, "Allow").is_some(), expected != 481, "{method}");
    }
    bench.run_ms(33_000);
    bench.assert_baseline();
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let mut bench = Bench::new();
    let invite = Caller::new(1, "echo").invite();
    let answer = bench.exchange(&invite.replace("Max-Forwards", "Require: 100rel, nothing\r\nMax-Forwards")).remove(0);
    assert_eq!((status(&answer), header(&answer, "Unsupported")), (420, Some("100rel, nothing")));
    let invite = Caller::new(2, "echo").invite();
    let answer = bench.exchange(&invite.replace("application/sdp", "text/plain")).remove(0);
    assert_eq!((status(&answer), header(&answer, "Accept")), (415, Some(SESSION_BODIES.join(", ").as_str())));
    let answer = bench.exchange(&Caller::new(3, "echo").invite().replace("Call-ID: call-3\r\n", "")).remove(0);
    assert_eq!(status(&answer), 400);
    assert!(answer.lines().next().is_some_and(|line| line.contains("Call-ID")), "{answer}");
    assert!(bench.exchange("INVITE sip:x SIP/2.0\r\n\r\n").is_empty(), "nothing to answer to");
    assert!(bench.exchange("\0\0garbage").is_empty());
    assert_eq!(bench.engine.counters().dropped.values().sum::<u64>(), 3);
    bench.run_ms(33_000);
    bench.assert_baseline();
}

#[test]
fn limits_are_answered_with_503_and_nothing_is_left() {
    let mut config = ringworld::engine::WorldConfig::default();
    config.settings.limits.sessions = 2;
    let mut bench = Bench::with(config);
    for call in 1..=2 {
        assert_eq!(statuses(&bench.exchange(&Caller::new(call, "echo").invite())), [200]);
    }
    let answer = bench.exchange(&Caller::new(3, "echo").invite()).remove(0);
    assert_eq!((status(&answer), header(&answer, "Retry-After")), (503, Some("5")));
    assert_eq!(bench.engine.census().sessions, 2);
    assert_eq!(bench.engine.counters().limits_hit.get("sessions"), Some(&1));

    let mut config = ringworld::engine::WorldConfig::default();
    config.settings.limits.transactions = 1;
    let mut bench = Bench::with(config);
    bench.exchange(&Caller::new(1, "echo").invite());
    let answer = bench.exchange(&Caller::new(2, "echo").invite()).remove(0);
    assert_eq!(status(&answer), 503);
    assert_eq!(bench.engine.census().transactions, 1);
}

#[test]
fn without_ports_503_and_without_a_common_codec_488() {
    let mut bench = Bench::of(ringworld::engine::Engine::new(&Default::default()), 1);
    let mut first = Caller::new(1, "echo");
    let answer = bench.exchange(&first.invite()).remove(0);
    first.learn(&answer);
    bench.exchange(&first.ack());
    let second = Caller::new(2, "conf-x");
    let answer = bench.exchange(&second.invite()).remove(0);
    assert_eq!((status(&answer), header(&answer, "Retry-After")), (503, Some("5")));
    bench.exchange(&second.ack_of_refusal());
    let bye = first.bye();
    bench.exchange(&bye);
    let third = Caller::new(3, "conf-x");
    let offer = third.invite().replace("RTP/AVP 0 8 101", "RTP/AVP 18 3");
    let fixed = offer.replace(
        &format!("Content-Length: {}", third.sdp("sendrecv").len()),
        &format!("Content-Length: {}", third.sdp("sendrecv").len() - 3),
    );
    assert_eq!(statuses(&bench.exchange(&fixed)), [488]);
    bench.exchange(&third.ack_of_refusal());
    assert_eq!(bench.engine.census().ports, 0);
    assert_eq!(bench.engine.census().rooms, 0);
    bench.run_ms(33_000);
    bench.assert_baseline();
}
