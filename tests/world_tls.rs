//! What asks for TLS is refused, in both roles: to go on in the clear would be worse.

mod common;

use common::callee::call_to_peer;
use common::{Bench, Caller, header, status};
use ringworld::components::edge::{Operation, Output, PlaceCall};

/// The last request of a caller whose Request-URI, or Contact, is another one.
fn with(message: &str, from: &str, to: &str) -> String {
    assert!(message.contains(from), "{from} in {message}");
    message.replacen(from, to, 1)
}

#[test]
fn a_request_to_a_uri_that_asks_for_tls_is_refused_with_416() {
    for method in ["INVITE", "OPTIONS", "REGISTER"] {
        for uri in ["sips:echo@10.0.0.1", "sip:echo@10.0.0.1;transport=tls", "SIP:echo@10.0.0.1;Transport=TLS"] {
            let mut bench = Bench::new();
            let request = with(&Caller::new(1, "echo").request(method, ""), "sip:echo@10.0.0.1 ", &format!("{uri} "));
            let sent = bench.exchange(&request);
            assert_eq!(sent.iter().map(|text| status(text)).collect::<Vec<_>>(), [416], "{method} {uri}: {sent:?}");
            assert_eq!(bench.engine.counters().dropped.get("uri_needs_tls"), Some(&1));
            bench.assert_baseline();
        }
    }
}

#[test]
fn a_contact_that_asks_for_tls_is_refused_unless_a_proxy_stands_before_it() {
    let plain = Caller::new(1, "echo").invite();
    let contact = "Contact: <sip:caller1@10.0.0.2:5070>\r\n";
    for (other, expected) in [
        ("Contact: <sips:caller1@10.0.0.2:5071>\r\n", 400),
        ("Contact: <sip:caller1@10.0.0.2:5071;transport=tls>\r\n", 400),
        ("Record-Route: <sips:proxy.example;lr>\r\nContact: <sip:caller1@10.0.0.2:5070>\r\n", 400),
        ("Record-Route: <sip:10.0.0.2:5070;lr>\r\nContact: <sip:caller1@10.0.0.9:5071;transport=tls>\r\n", 200),
        ("Contact: <sip:caller1@10.0.0.2:5070;transport=udp>\r\n", 200),
    ] {
        let mut bench = Bench::new();
        let sent = bench.exchange(&with(&plain, contact, other));
        assert_eq!(status(&sent[0]), expected, "{other}: {sent:?}");
        if expected == 400 {
            assert!(sent[0].starts_with("SIP/2.0 400 TLS Contact Not Supported\r\n"), "{sent:?}");
            bench.assert_baseline();
        }
    }
    let mut bench = Bench::new();
    let register = with(
        &Caller::new(2, "echo").request("REGISTER", ""),
        "sip:caller2@10.0.0.2:5070>\r\nContent",
        "sips:caller2@10.0.0.2:5071>\r\nContent",
    );
    assert_eq!(status(&bench.exchange(&register)[0]), 400);
    assert_eq!(header(&bench.sent[0].1, "Contact"), None, "no binding was made");
}

#[test]
fn a_call_to_an_address_that_asks_for_tls_is_not_placed() {
    for to in ["sips:callee@10.0.0.2:5071", "sip:callee@10.0.0.2:5071;transport=tls"] {
        let mut bench = Bench::new();
        bench.ask(Operation::Place(PlaceCall { to: to.to_owned(), ..call_to_peer("tone", false) }));
        bench.tick();
        assert!(bench.take_sent().is_empty(), "nothing is sent");
        let refused = bench.outputs.iter().find_map(|output| match output {
            Output::Reply(reply) => reply.result.as_ref().err().map(ToString::to_string),
            _ => None,
        });
        assert!(refused.is_some_and(|why| why.contains("asks for TLS, which is not supported")), "{to}");
        bench.assert_baseline();
    }
}
