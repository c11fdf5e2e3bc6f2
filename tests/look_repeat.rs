//! What a captured host did without a request of the peer is repeated by the engine at the same moment, or is listed as
//! not repeated.

mod common;
mod town;
mod wire_tap;

use ringworld::components::call::ServiceSettings;
use ringworld::config::Config;
use ringworld::import::{Report, import};
use ringworld::replay::Player;
use ringworld::trace::{Call, ladder, trace};
use std::net::SocketAddr;
use std::time::Duration;
use town::scratch;
use wire_tap::{BEGAN, Passed, Wire, captured};

const HOST: &str = "10.0.0.1:5060";
const PEER: &str = "10.0.0.2:5070";

/// A capture that is written by hand: a host that is not this engine, and its peers.
#[derive(Default)]
struct Script(Vec<Passed>);

impl Script {
    fn passes(&mut self, at_ms: u64, from: &str, to: &str, bytes: Vec<u8>, is_sip: bool) {
        let (from, to) = (from.parse().expect("an address"), to.parse().expect("an address"));
        self.0.push(Passed { at: BEGAN + Duration::from_millis(at_ms), from, to, is_sip, bytes });
    }

    fn host(&mut self, at_ms: u64, text: String) {
        self.passes(at_ms, HOST, PEER, text.into_bytes(), true);
    }

    fn peer(&mut self, at_ms: u64, text: String) {
        self.passes(at_ms, PEER, HOST, text.into_bytes(), true);
    }

    fn imported(&self, name: &str, services: ServiceSettings) -> (Report, std::path::PathBuf) {
        let (file, out) = (scratch(name).with_extension("pcap"), scratch(&format!("{name}-out")));
        std::fs::write(&file, captured(&self.0, Wire::Ethernet)).expect("a capture");
        let config = Config { services, ..Config::default() };
        let report = import(&file, HOST.parse().expect("an address"), &config, &out).expect("an import");
        println!("{report}");
        std::fs::remove_file(file).expect("the capture");
        (report, out)
    }
}

fn sdp(ip: &str, direction: &str) -> String {
    common::text::sdp(SocketAddr::new(ip.parse().expect("an address"), 40_000), "0 101", direction)
}

/// A message of a call between the peer, whose tag is p, and the host, whose tag is h.
fn message(first: &str, host_sends: bool, cseq: &str, is_within: bool, body: &str) -> String {
    let (host, peer) =
        ("<sip:host@10.0.0.1>;tag=h", if is_within { "<sip:peer@10.0.0.2>;tag=p" } else { "<sip:peer@10.0.0.2>" });
    let is_response = first.starts_with("SIP/2.0");
    // A response has the From and To of its request.
    let (from, to) = if host_sends != is_response { (host, peer) } else { ("<sip:peer@10.0.0.2>;tag=p", host) };
    let to = if !is_within && !is_response && !host_sends { "<sip:host@10.0.0.1>" } else { to };
    let (at, branch) = if host_sends != is_response { (HOST, "h") } else { (PEER, "p") };
    let contact = if host_sends { HOST } else { PEER };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{first}\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{branch}{}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\n\
         Call-ID: one\r\nCSeq: {cseq}\r\nContact: <sip:{contact}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        cseq.replace(' ', ""),
        body.len()
    )
}

fn request(method: &str, host_sends: bool, cseq: u32, is_within: bool, body: &str) -> String {
    let to = if host_sends { PEER } else { HOST };
    message(&format!("{method} sip:{to} SIP/2.0"), host_sends, &format!("{cseq} {method}"), is_within, body)
}

fn response(status: &str, host_sends: bool, cseq: &str, body: &str) -> String {
    message(&format!("SIP/2.0 {status}"), host_sends, cseq, true, body)
}

fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing or out of order in\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

fn ladder_of(recording: &std::path::Path, call: &str) -> String {
    let (trace, played) = trace(&mut Player::open(recording).expect("a recording"), &Call::Id(call.to_owned()));
    played.expect("the replay agrees");
    let text = ladder(&trace);
    println!("{text}");
    text
}

/// A call that comes in: the host lets it ring, answers, asks, holds, resumes by UPDATE, presses a digit and hangs up.
fn busy_host() -> Script {
    let mut script = Script::default();
    let (host, peer) = (|direction| sdp("10.0.0.1", direction), |direction| sdp("10.0.0.2", direction));
    script.peer(100, request("INVITE", false, 1, false, &peer("sendrecv")));
    script.host(102, response("100 Trying", true, "1 INVITE", ""));
    script.host(300, response("180 Ringing", true, "1 INVITE", ""));
    script.host(1_300, response("200 OK", true, "1 INVITE", &host("sendrecv")));
    script.peer(1_303, request("ACK", false, 1, true, ""));
    script.host(1_500, request("OPTIONS", true, 20, true, ""));
    script.peer(1_502, response("200 OK", false, "20 OPTIONS", ""));
    script.host(2_000, request("INVITE", true, 21, true, &host("sendonly")));
    script.peer(2_003, response("200 OK", false, "21 INVITE", &peer("recvonly")));
    script.host(2_006, request("ACK", true, 21, true, ""));
    script.host(2_500, request("INVITE", true, 22, true, &host("sendonly")));
    script.peer(2_503, response("200 OK", false, "22 INVITE", &peer("recvonly")));
    script.host(2_506, request("ACK", true, 22, true, ""));
    script.host(3_000, request("UPDATE", true, 23, true, &host("sendrecv")));
    script.peer(3_003, response("200 OK", false, "23 UPDATE", &peer("sendrecv")));
    for (n, end) in [(0, 0x0a), (1, 0x0a), (2, 0x8a), (3, 0x8a)] {
        let mut packet = vec![0x80, 101, 0, 9 + n, 0, 0, 4, 0, 0, 0, 0, 1];
        packet.extend([5, end, 0, 160 + 8 * n]);
        script.passes(3_500 + u64::from(n) * 20, "10.0.0.1:40000", "10.0.0.2:40000", packet, false);
    }
    script.host(3_800, request("INFO", true, 24, true, ""));
    script.peer(3_802, response("200 OK", false, "24 INFO", ""));
    script.host(4_000, request("BYE", true, 25, true, ""));
    script.peer(4_003, response("200 OK", false, "25 BYE", ""));
    script
}

#[test]
fn everything_that_the_engine_can_be_asked_for_happens_when_the_host_did_it() {
    let services = ServiceSettings { default: "tone".into(), ask_handler: true };
    let (report, out) = busy_host().imported("busy", services);
    let text = ladder_of(&out, "one");
    std::fs::remove_file(out).expect("the recording");
    in_order(
        &text,
        &[
            "0.005 s  ├",
            " INVITE sip:",
            "0.205 s",
            "asked to let it ring",
            " 180 Ringing to INVITE ",
            "1.205 s",
            "asked to answer with tone",
            " 200 OK to INVITE ",
            "Ringing → Connected",
            " ACK ",
            "1.905 s",
            "asked to hold",
            "sendonly",
            "200 OK to INVITE",
            "Connected → OnHold",
            "2.905 s",
            "asked to resume",
            "200 OK to INVITE",
            "OnHold → Connected",
            "3.405 s",
            "asked to send digits 5",
            "3.910 s",
            "asked to hang up",
            " BYE ",
            "ended: hung up",
        ],
    );
    let account = report.account.to_string();
    for what in ["let a call ring", "answer a call", "hold", "resume", "send a digit", "hang up"]
        .map(|what| format!("1 times the engine was asked to {what}, as the host did"))
    {
        assert!(account.contains(&what), "{account}");
    }
    let listed: Vec<String> = report.not_repeated.iter().map(ToString::to_string).collect();
    assert_eq!(
        listed,
        [
            "    1.400 s  one  not repeated: OPTIONS, which the engine never sends of its own accord",
            "    2.400 s  one  not repeated: INVITE, which neither holds nor resumes",
            "    3.700 s  one  not repeated: INFO, which the engine never sends of its own accord",
        ]
    );
    assert!(report.to_string().contains(&listed[2]), "{report}");
    assert_eq!(report.account.responses_unused, 3, "{account}");
    // The remaining differences are what the host and the engine do in different ways.
    let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    let offers = "codecs: captured PCMU telephone-event, the engine PCMU PCMA telephone-event";
    assert_eq!(
        differences,
        [
            "    0.200 s  one  answer to INVITE 1\n             Allow: captured none, the engine there".to_owned(),
            "    1.200 s  one  answer to INVITE 1\n             Allow: captured none, the engine there".to_owned(),
            format!("    1.900 s  one  INVITE of the host\n             {offers}"),
            format!("    2.900 s  one  INVITE of the host\n             {offers}"),
            "    2.910 s  one  ACK of the host\n             message: captured none, the engine sent".to_owned(),
        ]
    );
}

#[test]
fn the_engine_decides_by_itself_unless_it_is_to_ask() {
    let (report, out) = busy_host().imported("alone", ServiceSettings::default());
    let text = ladder_of(&out, "one");
    std::fs::remove_file(out).expect("the recording");
    in_order(&text, &[" INVITE sip:", " 200 OK to INVITE ", "Initializing → Connected"]);
    let told = report.to_string();
    for part in [
        "answer to INVITE 1\n             message: captured 180 Ringing, the engine none\n",
        "answer to INVITE 1\n             Allow: captured none, the engine there\n             time: captured at 1.200 s, the engine at 0.005 s\n",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    // No peer had sent the digit to the host, so it is not one that the echo returns by itself.
    assert!(told.contains("1 times the engine was asked to send a digit"), "{told}");
}

#[test]
fn a_call_that_is_challenged_is_placed_again_and_what_a_proxy_passes_on_is_not() {
    let mut script = Script::default();
    let (host, peer) = (sdp("10.0.0.1", "sendrecv"), sdp("10.0.0.2", "sendrecv"));
    script.host(100, request("REGISTER", true, 1, false, "").replace("Call-ID: one", "Call-ID: reg"));
    script.peer(103, response("200 OK", false, "1 REGISTER", "").replace("Call-ID: one", "Call-ID: reg"));
    script.host(200, request("INVITE", true, 5, false, &host));
    script.peer(203, response("401 Unauthorized", false, "5 INVITE", ""));
    script.host(204, request("ACK", true, 5, true, ""));
    script.host(210, request("INVITE", true, 6, false, &host));
    script.peer(300, response("180 Ringing", false, "6 INVITE", ""));
    script.peer(400, response("200 OK", false, "6 INVITE", &peer));
    script.host(402, request("ACK", true, 6, true, ""));
    script.peer(900, request("BYE", false, 7, true, ""));
    script.host(903, response("200 OK", true, "7 BYE", ""));
    let passed_on = request("INVITE", true, 1, false, &host)
        .replace("Call-ID: one", "Call-ID: proxied")
        .replace("Max-Forwards", "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKfirst\r\nMax-Forwards");
    script.host(1_000, passed_on);
    let (report, out) = script.imported("challenged", ServiceSettings::default());
    let text = report.to_string();
    std::fs::remove_file(out).expect("the recording");
    assert!(text.contains("2 times the engine was asked to place a call, as the host did"), "{text}");
    for part in [
        "reg  not repeated: REGISTER, which the engine never sends of its own accord",
        "proxied  not repeated: INVITE, which it passed on for another",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert_eq!((report.account.sip_used, report.account.responses_unused), (4, 1), "{text}");
    let messages: Vec<&String> = report.differences.iter().map(|difference| &difference.about).collect();
    assert!(!text.contains("message: "), "nothing is missing or too much: {messages:?}\n{text}");
}

/// The same message of a leg of the host's own, to another party.
fn second(text: String) -> String {
    text.replace("tag=h", "tag=h2").replace("tag=p", "tag=b").replace("10.0.0.2", "10.0.0.3")
}

#[test]
fn a_host_at_both_ends_of_one_call_id_has_two_calls() {
    let callee = PEER.replace("10.0.0.2", "10.0.0.3");
    let (host, peer) = (sdp("10.0.0.1", "sendrecv"), sdp("10.0.0.2", "sendrecv"));
    for comes_in_first in [true, false] {
        // The host may have begun its own leg before the capture has the INVITE that it had received.
        let began = if comes_in_first { 100 } else { 130 };
        let mut script = Script::default();
        script.peer(began, request("INVITE", false, 1, false, &peer));
        script.host(began + 2, response("100 Trying", true, "1 INVITE", ""));
        for (at_ms, host_sends, text) in [
            (110, true, request("INVITE", true, 7, false, &host)),
            (200, false, response("180 Ringing", false, "7 INVITE", "")),
            (900, false, response("200 OK", false, "7 INVITE", &peer)),
            (903, true, request("ACK", true, 7, true, "")),
            (3_010, true, request("BYE", true, 8, true, "")),
            (3_013, false, response("200 OK", false, "8 BYE", "")),
        ] {
            let (from, to) = if host_sends { (HOST, callee.as_str()) } else { (callee.as_str(), HOST) };
            script.passes(at_ms, from, to, second(text).into_bytes(), true);
        }
        script.host(910, response("200 OK", true, "1 INVITE", &host));
        script.peer(913, request("ACK", false, 1, true, ""));
        script.peer(3_000, request("BYE", false, 2, true, ""));
        script.host(3_002, response("200 OK", true, "2 BYE", ""));
        script.0.sort_by_key(|passed| passed.at);
        let (report, recording) = script.imported(&format!("both-ends-{comes_in_first}"), ServiceSettings::default());
        assert_eq!((report.calls, report.not_repeated.len(), report.account.responses_unused), (2, 0, 0));
        let about_bye: Vec<_> = report.differences.iter().filter(|it| it.about.contains("BYE")).collect();
        assert!(about_bye.is_empty(), "{about_bye:?}");
        let mut player = Player::open(&recording).expect("a recording");
        while player.step().expect("the replay agrees").is_some() {}
        let counters = player.engine().counters();
        assert_eq!((counters.calls_in, counters.calls_out), (1, 1));
        let outcomes: Vec<_> = counters.outcomes.iter().map(|(cause, count)| (cause.as_str(), *count)).collect();
        assert_eq!(outcomes, [("hung up", 1), ("peer hung up", 1)]);
        std::fs::remove_file(recording).expect("the recording");
    }
}
