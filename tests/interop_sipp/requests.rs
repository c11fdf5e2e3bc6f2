//! Requests that are not INVITE, or that set up no call: what RFC 3261 section 8.2 asks for.

use super::bench::Bench;
use super::peer::{Scenario, is_here};
use std::net::UdpSocket;
use std::time::Duration;

/// A request outside any call, the status it gets, and a header field that the response must have.
fn request(method: &str, status: &str, header: &str) -> Scenario {
    Scenario::file("uac_request")
        .with("@METHOD@", method)
        .with("@STATUS@", status)
        .with("@HEADER@", header)
        .with("X-Extra: @EXTRA@", "X-Extra: none")
}

const FEW: [&str; 4] = ["-m", "3", "-r", "30"];

#[test]
fn options_tell_what_the_switch_can_do() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    for transport in ["u1", "t1"] {
        for header in ["Allow", "Accept"] {
            let scenario = request("OPTIONS", "200", header).with("@TO_TAG@", "");
            bench.run(&scenario, "callee", &[&FEW[..], &["-t", transport]].concat());
        }
    }
    bench.finish_with(&[]);
}

#[test]
fn an_unknown_method_is_501_and_one_that_is_not_done_405() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    for method in ["BREW", "invite", "X-1.2"] {
        bench.run(&request(method, "501", "Allow").with("@TO_TAG@", ""), "echo", &FEW);
    }
    for method in ["SUBSCRIBE", "MESSAGE", "PUBLISH", "REFER", "UPDATE", "PRACK", "NOTIFY"] {
        bench.run(&request(method, "405", "Allow").with("@TO_TAG@", ""), "echo", &FEW);
    }
    let summary = bench.finish_with(&[]);
    let sent = &summary.signalling.responses_sent;
    assert_eq!((sent.get(&501), sent.get(&405)), (Some(&9), Some(&21)), "{sent:?}");
}

#[test]
fn a_request_of_a_call_that_is_not_is_481() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    for method in ["BYE", "INFO", "OPTIONS"] {
        bench.run(&request(method, "481", "To").with("@TO_TAG@", ";tag=unknown"), "echo", &FEW);
    }
    for tag in ["", ";tag=unknown"] {
        bench.run(&request("CANCEL", "481", "To").with("@TO_TAG@", tag), "echo", &FEW);
    }
    bench.run(&request("BYE", "481", "To").with("@TO_TAG@", ""), "echo", &FEW);
    bench.finish_with(&[]);
}

#[test]
fn a_request_without_a_from_is_400() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    for method in ["OPTIONS", "BYE"] {
        let scenario = request(method, "400", "Via").with("@TO_TAG@", "").without_line("From:");
        bench.run(&scenario, "echo", &FEW);
    }
    let summary = bench.finish_with(&[]);
    assert_eq!(summary.signalling.responses_sent.get(&400), Some(&6));
    assert_eq!(summary.network.malformed.values().sum::<u64>(), 6, "{:?}", summary.network.malformed);
}

/// Written by hand: the response can't copy these header fields, and SIPp accepts none without them.
#[test]
fn a_request_without_a_header_field_it_needs_is_400() {
    let bench = Bench::new();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let own = socket.local_addr().expect("an address");
    let fields = ["To: <sip:echo@there>", "From: <sip:hand@here>;tag=1", "Call-ID: by-hand", "CSeq: 1 OPTIONS"];
    for missing in fields {
        let rest: String =
            fields.iter().filter(|field| **field != missing).map(|field| format!("{field}\r\n")).collect();
        let request = format!(
            "OPTIONS sip:echo@there SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-{}\r\nMax-Forwards: 70\r\n{rest}\r\n",
            missing.len()
        );
        socket.send_to(request.as_bytes(), bench.udp_address()).expect("it is sent");
        let mut buffer = [0; 2_000];
        let length = socket.recv(&mut buffer).expect("a response");
        let response = String::from_utf8_lossy(&buffer[..length]);
        let (name, _) = missing.split_once(':').expect("a field");
        assert!(response.starts_with(&format!("SIP/2.0 400 Missing {name}\r\n")), "without {missing}: {response}");
    }
    bench.finish_with(&[]);
}

#[test]
fn an_invite_that_can_not_be_taken_is_refused_with_the_reason() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let refused = |status: &str| Scenario::file("uac_refused").with("@STATUS@", status);
    let plain = |scenario: Scenario| scenario.with("Subject: @EXTRA@", "Subject: x");
    let scenarios = [
        refused("420").with("Subject: @EXTRA@", "Require: teleportation"),
        plain(refused("415")).with("application/sdp", "text/plain"),
        plain(refused("488")).with("RTP/AVP 0 8 101", "RTP/AVP 3"),
        plain(refused("481"))
            .with("To: <sip:[service]@[remote_ip]:[remote_port]>\n", "To: <sip:echo@there>;tag=gone\n"),
    ];
    for scenario in scenarios {
        bench.run(&scenario, "echo", &FEW);
    }
    let summary = bench.finish();
    for status in [420, 415, 488, 481] {
        assert_eq!(summary.signalling.responses_sent.get(&status), Some(&3), "{status}: {:?}", summary.signalling);
    }
    assert_eq!(summary.signalling.calls_answered, 0);
}

#[test]
fn the_same_invite_by_two_paths_is_merged() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    bench.run(&Scenario::file("uac_merged"), "ring-30", &["-m", "10", "-r", "40"]);
    let summary = bench.finish_with(&[("cancelled", 10)]);
    assert_eq!(summary.signalling.calls_in, 10);
    assert_eq!(summary.signalling.responses_sent.get(&482), Some(&10));
}
