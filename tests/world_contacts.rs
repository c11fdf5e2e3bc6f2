//! Contact, which says where requests within a dialog are sent: what is no remote target, in both roles, and when a new
//! one counts (RFC 3261 sections 8.1.1.8 and 12.2).

mod common;

use common::callee::{answer_to, call_to_peer, place, sdp};
use common::{Bench, Caller, established, header, status};
use ringworld::components::edge::{Operation, PlaceCall};

const CONTACTS: [&str; 7] = [
    "",
    "Contact: *\r\n",
    "Contact: <tel:+4930123456>\r\n",
    "Contact: <mailto:anna@example.com>\r\n",
    "Contact: <http://10.0.0.2/>\r\n",
    "Contact: <sip:a@10.0.0.2:5070>, <sip:b@10.0.0.2:5070>\r\n",
    "Contact: *\r\nContact: <sip:a@10.0.0.2:5070>\r\n",
];

/// The message with other Contact lines.
fn with_contact(message: &str, contact: &str) -> String {
    let own = message.lines().find(|line| line.starts_with("Contact:")).expect("a Contact").to_owned() + "\r\n";
    message.replace(&own, contact)
}

/// The switch hangs up; its BYE, which the peer answers.
fn bye_of(bench: &mut Bench) -> String {
    let sent = bench.command(|session| Operation::HangUp { session });
    let bye = sent.iter().find(|text| text.starts_with("BYE ")).expect("a BYE").clone();
    assert!(bench.exchange(&answer_to(&bye, "200 OK", "t", "")).is_empty());
    bench.run_quiet_s(40);
    bench.assert_baseline();
    bye
}

#[test]
fn an_invite_without_one_sip_uri_in_contact_is_refused_and_says_why() {
    for contact in CONTACTS {
        let mut bench = Bench::new();
        let caller = Caller::new(1, "echo");
        let refused = bench.exchange(&with_contact(&caller.invite(), contact)).remove(0);
        assert_eq!(status(&refused), 400, "{contact}");
        let says_why = header(&refused, "Warning").is_some_and(|why| why.contains("Contact"));
        assert!(says_why || refused.starts_with("SIP/2.0 400 Bad Contact"), "{refused}");
        bench.exchange(&caller.ack_of_refusal());
        bench.run_quiet_s(40);
        bench.assert_baseline();
    }
}

#[test]
fn a_re_invite_may_be_without_contact_but_not_with_another_one_than_a_sip_uri() {
    for contact in CONTACTS {
        let mut bench = Bench::new();
        let mut caller = established(&mut bench, 1, "echo");
        caller.next();
        let answer = bench.exchange(&with_contact(&caller.invite(), contact)).remove(0);
        assert_eq!(status(&answer), if contact.is_empty() { 200 } else { 400 }, "{contact}");
        bench.exchange(&if contact.is_empty() { caller.ack() } else { caller.ack_of_refusal() });
        assert!(bye_of(&mut bench).starts_with("BYE sip:caller1@10.0.0.2:5070 SIP/2.0"), "{contact}");
    }
}

#[test]
fn a_re_invite_moves_the_remote_target_if_it_is_answered_and_not_if_it_is_refused() {
    let moved = "Contact: <sip:moved@10.0.0.3:5080>\r\n";
    for (is_taken, uri) in [(true, "sip:moved@10.0.0.3:5080"), (false, "sip:caller1@10.0.0.2:5070")] {
        let mut bench = Bench::new();
        let mut caller = established(&mut bench, 1, "echo");
        caller.next();
        let offer = caller.sdp("sendrecv");
        let offer = if is_taken { offer } else { offer.replace("RTP/AVP 0 8 101", "RTP/AVP 18") };
        let answer = bench.exchange(&with_contact(&caller.request("INVITE", &offer), moved)).remove(0);
        assert_eq!(status(&answer), if is_taken { 200 } else { 488 });
        bench.exchange(&if is_taken { caller.ack() } else { caller.ack_of_refusal() });
        bench.outputs.retain(|output| matches!(output, ringworld::components::edge::Output::Event(_)));
        bench.command(|session| Operation::HangUp { session });
        let (target, bye) = bench.take_requests("BYE").remove(0);
        assert!(bye.starts_with(&format!("BYE {uri} SIP/2.0")), "{bye}");
        assert!(uri.ends_with(&target.remote.to_string()), "{target:?}");
    }
}

/// A 2xx can't be refused. The call goes on, and what the switch sends in it goes where the INVITE went.
#[test]
fn an_answer_without_a_sip_uri_in_contact_makes_a_call_that_can_be_hung_up() {
    for contact in CONTACTS.iter().filter(|contact| !contact.contains("<sip:a")) {
        let mut bench = Bench::new();
        let invite = place(&mut bench);
        let answer = with_contact(&answer_to(&invite, "200 OK", "t", &sdp()), contact);
        let sent = bench.exchange(&answer);
        assert!(sent[0].starts_with("ACK sip:callee@10.0.0.2:5070 SIP/2.0"), "{contact}: {sent:?}");
        assert!(bye_of(&mut bench).starts_with("BYE sip:callee@10.0.0.2:5070 SIP/2.0"), "{contact}");
    }
}

#[test]
fn of_several_contacts_of_an_answer_the_first_counts() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    let answer = with_contact(&answer_to(&invite, "200 OK", "t", &sdp()), CONTACTS[5]);
    let sent = bench.exchange(&answer);
    assert!(sent[0].starts_with("ACK sip:a@10.0.0.2:5070 SIP/2.0"), "{sent:?}");
    assert!(bye_of(&mut bench).starts_with("BYE sip:a@10.0.0.2:5070 SIP/2.0"));
}

/// Where a proxy took the INVITE, the address in To is not where an answer without a Contact came from.
#[test]
fn requests_to_a_peer_without_a_contact_go_back_the_way_that_its_answer_came() {
    let mut bench = Bench::new();
    let call = PlaceCall { to: "sip:callee@10.0.9.9".into(), ..call_to_peer("tone", false) };
    bench.ask(Operation::Place(call));
    bench.tick();
    let invite = bench.take_requests("INVITE").remove(0).1;
    bench.deliver(&with_contact(&answer_to(&invite, "200 OK", "t", &sdp()), ""));
    bench.tick();
    let (target, ack) = bench.take_requests("ACK").remove(0);
    assert!(ack.starts_with("ACK sip:callee@10.0.9.9 SIP/2.0"), "{ack}");
    assert_eq!(target.remote.to_string(), common::PEER);
}

/// TLS is not spoken: what must not pass in the clear is refused, and no request of ours goes to it in the clear.
#[test]
fn what_asks_for_tls_is_refused_in_both_roles() {
    for (contact, route, expected) in [
        ("Contact: <sips:anna@10.0.0.2>\r\n", "", 480),
        ("Contact: <sip:anna@10.0.0.2;transport=tls>\r\n", "", 480),
        ("Contact: <sip:anna@10.0.0.2;transport=ws>\r\n", "", 480),
        ("Contact: <sip:anna@10.0.0.2;transport=TCP>\r\n", "", 200),
        ("Contact: <sip:anna@10.0.0.2;transport=tls>\r\n", "Record-Route: <sip:10.0.0.9;lr>\r\n", 200),
        ("Contact: <sip:anna@10.0.0.2>\r\n", "Record-Route: <sip:10.0.0.9;transport=tls;lr>\r\n", 480),
        ("Contact: <sips:anna@10.0.0.2>\r\n", "Record-Route: <sip:10.0.0.9;lr>\r\n", 480),
    ] {
        let mut bench = Bench::new();
        let caller = Caller::new(1, "echo");
        let invite = with_contact(&caller.invite(), &format!("{route}{contact}"));
        let answer = bench.exchange(&invite).remove(0);
        assert_eq!(status(&answer), expected, "{route}{contact}");
        assert_eq!(header(&answer, "Warning").is_some_and(|why| why.starts_with("380 ")), expected == 480);
    }
    let mut bench = Bench::new();
    let caller = Caller::new(1, "echo");
    let secure = caller.invite().replacen("INVITE sip:", "INVITE sips:", 1);
    assert_eq!(status(&bench.exchange(&secure)[0]), 416);
    let mut caller = established(&mut bench, 2, "echo");
    caller.next();
    let moved = with_contact(&caller.invite(), "Contact: <sips:caller2@10.0.0.2>\r\n");
    assert_eq!(status(&bench.exchange(&moved)[0]), 480);
    bench.exchange(&caller.ack_of_refusal());
    assert!(bye_of(&mut bench).starts_with("BYE sip:caller2@10.0.0.2:5070 SIP/2.0"));
    // An answer can't be refused: the Contact does not count.
    for contact in ["Contact: <sips:callee@10.0.0.3>\r\n", "Contact: <sip:callee@10.0.0.3;transport=tls>\r\n"] {
        let mut bench = Bench::new();
        let invite = place(&mut bench);
        let sent = bench.exchange(&with_contact(&answer_to(&invite, "200 OK", "t", &sdp()), contact));
        assert!(sent[0].starts_with("ACK sip:callee@10.0.0.2:5070 SIP/2.0"), "{sent:?}");
    }
}

#[test]
fn no_call_is_placed_to_what_asks_for_tls() {
    for to in ["sips:callee@10.0.0.2", "sip:callee@10.0.0.2;transport=tls", "sip:callee@10.0.0.2;transport=sctp"] {
        let mut bench = Bench::new();
        bench.ask(Operation::Place(PlaceCall { to: to.into(), ..call_to_peer("tone", false) }));
        bench.tick();
        assert!(bench.take_sent().is_empty(), "{to}");
        bench.assert_baseline();
    }
}
