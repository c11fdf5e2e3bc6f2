//! Offers and answers that are refused, missing or of no use, in virtual time and in both roles: what is left of the call.

mod common;

use common::callee::{answer_to, place};
use common::exchange::{assert_ends_with_bye, described, find, hang_up, is_echoed, reinvite, version_of};
use common::party::Party;
use common::{Bench, Caller, established, header, status};
use ringworld::components::edge::Operation;

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
