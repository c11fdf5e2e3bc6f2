//! Where requests within a dialog go (RFC 3261 sections 12.1, 12.2 and 13.2.2.4): route sets, loose and strict proxies,
//! target refresh.

mod common;

use common::callee::{answer_to, command, place, sdp};
use common::{Bench, Caller, header, status};
use ringworld::components::edge::{Operation, Target};

/// The values of all header fields of that name.
fn all<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

fn request_uri(text: &str) -> &str {
    text.split(' ').nth(1).unwrap_or_default()
}

fn goes_to(sent: &(Target, String), address: &str) -> bool {
    sent.0.remote.to_string() == address
}

/// A call that came through these proxies, the nearest one first, and what we send when it is held and hung up.
fn called_through(record_route: &str) -> (Bench, Vec<(Target, String)>) {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let invite = caller.invite().replace("Max-Forwards", &format!("Record-Route: {record_route}\r\nMax-Forwards"));
    let answer = bench.exchange(&invite).remove(0);
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(all(&answer, "Record-Route").join(", "), record_route, "a 2xx repeats it (section 12.1.1)");
    caller.learn(&answer);
    bench.exchange(&caller.ack());
    command(&mut bench, |session| Operation::HangUp { session });
    let sent = bench.take_requests("BYE");
    assert_eq!(sent.len(), 1);
    (bench, sent)
}

#[test]
fn a_callee_sends_along_the_recorded_route_in_its_order() {
    let (_, sent) = called_through("<sip:10.0.0.7:5067;lr>, <sip:10.0.0.8;lr>");
    assert_eq!(all(&sent[0].1, "Route"), ["<sip:10.0.0.7:5067;lr>", "<sip:10.0.0.8;lr>"]);
    assert_eq!(request_uri(&sent[0].1), "sip:caller1@10.0.0.2:5070", "the remote target");
    assert!(goes_to(&sent[0], "10.0.0.7:5067"), "{:?}", sent[0].0);
}

#[test]
fn a_strict_proxy_is_in_the_request_uri_and_the_target_ends_the_route() {
    let (_, sent) = called_through("<sip:10.0.0.7:5067>, <sip:10.0.0.8;lr>");
    assert_eq!(request_uri(&sent[0].1), "sip:10.0.0.7:5067");
    assert_eq!(all(&sent[0].1, "Route"), ["<sip:10.0.0.8;lr>", "<sip:caller1@10.0.0.2:5070>"]);
    assert!(goes_to(&sent[0], "10.0.0.7:5067"), "{:?}", sent[0].0);
}

/// A response of the callee with this Record-Route, in which the proxy nearest to the switch is the last one.
fn through(response: String, record_route: &str) -> String {
    response.replace("Contact:", &format!("Record-Route: {record_route}\r\nContact:"))
}

#[test]
fn a_caller_sends_along_the_route_in_reverse_and_the_2xx_decides_about_it() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    let ringing = answer_to(&invite, "180 Ringing", "t1", "");
    bench.exchange(&through(ringing, "<sip:10.0.0.9;lr>"));
    let answer = answer_to(&invite, "200 OK", "t1", &sdp());
    bench.exchange(&through(answer, "<sip:10.0.0.8;lr>, <sip:10.0.0.7:5067;lr>"));
    command(&mut bench, |session| Operation::HangUp { session });
    let routes = ["<sip:10.0.0.7:5067;lr>", "<sip:10.0.0.8;lr>"];
    let outputs = bench.outputs.clone();
    for method in ["ACK", "BYE"] {
        bench.outputs = outputs.clone();
        let sent = bench.take_requests(method);
        assert_eq!(sent.len(), 1, "{method}");
        assert_eq!(all(&sent[0].1, "Route"), routes, "{method}");
        assert_eq!(request_uri(&sent[0].1), "sip:callee@10.0.0.2:5070");
        assert!(goes_to(&sent[0], "10.0.0.7:5067"), "{:?}", sent[0].0);
    }
}

#[test]
fn a_re_invite_refreshes_the_target_and_leaves_the_route() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let invite = caller.invite().replace("Max-Forwards", "Record-Route: <sip:10.0.0.7;lr>\r\nMax-Forwards");
    let answer = bench.exchange(&invite).remove(0);
    caller.learn(&answer);
    bench.exchange(&caller.ack());
    caller.next();
    let moved = caller.invite().replace("Contact: <sip:caller1@10.0.0.2:5070>", "Contact: <sip:moved@10.0.0.3:5090>");
    let moved = moved.replace("Max-Forwards", "Record-Route: <sip:10.0.0.99;lr>\r\nMax-Forwards");
    assert_eq!(status(&bench.exchange(&moved)[0]), 200);
    bench.exchange(&caller.ack());
    command(&mut bench, |session| Operation::HangUp { session });
    let sent = bench.take_requests("BYE");
    assert_eq!(request_uri(&sent[0].1), "sip:moved@10.0.0.3:5090");
    assert_eq!(all(&sent[0].1, "Route"), ["<sip:10.0.0.7;lr>"], "a route set never changes (section 12.2)");
}

#[test]
fn the_answer_to_our_re_invite_refreshes_the_target_and_our_cseq_counts_up() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    command(&mut bench, |session| Operation::Hold { session });
    let reinvite = bench.take_requests("INVITE").pop().expect("a re-INVITE").1;
    assert_eq!((header(&invite, "CSeq"), header(&reinvite, "CSeq")), (Some("1 INVITE"), Some("2 INVITE")));
    let held = answer_to(&reinvite, "200 OK", "t1", &sdp().replace("sendrecv", "recvonly"));
    bench.exchange(&held.replace("<sip:callee@10.0.0.2:5070>", "<sip:moved@10.0.0.4:5070>"));
    let ack = bench.take_requests("ACK").pop().expect("an ACK");
    assert_eq!((request_uri(&ack.1), header(&ack.1, "CSeq")), ("sip:moved@10.0.0.4:5070", Some("2 ACK")));
    command(&mut bench, |session| Operation::HangUp { session });
    let bye = bench.take_requests("BYE").pop().expect("a BYE");
    assert_eq!((request_uri(&bye.1), header(&bye.1, "CSeq")), ("sip:moved@10.0.0.4:5070", Some("3 BYE")));
    assert!(goes_to(&bye, "10.0.0.4:5070"), "{:?}", bye.0);
}
