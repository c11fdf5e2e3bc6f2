//! Session descriptions of peers that don't write them quite as RFC 8866 has it, in both roles: what is meant is taken.

mod common;

use common::callee::{answer_to, place};
use common::{Bench, Caller, header, status};

fn described(origin: &str, media: &str) -> String {
    format!("v=0\r\no={origin}\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n{media}")
}

/// What the switch says to it: the answer to an offer, and whether the call that it is the answer of goes on.
fn said(sdp: &str) -> (String, bool) {
    let mut bench = Bench::new();
    let answer = bench.exchange(&Caller::new(1, "echo").request("INVITE", sdp)).remove(0);
    let invite = place(&mut bench);
    let sent = bench.exchange(&answer_to(&invite, "200 OK", "t", sdp));
    (answer, sent.len() == 1 && sent[0].starts_with("ACK "))
}

#[test]
fn an_rtpmap_that_says_too_much_or_too_little_does_not_lose_a_static_type() {
    for attribute in ["a=rtpmap:8 PCMA/8000 101", "a=rtpmap:8 PCMA", "a=rtpmap:8\tPCMA/8000", "a=rtpmap:8", "a=rtpmap"]
    {
        let (answer, goes_on) =
            said(&described("- 7 1 IN IP4 10.0.0.2", &format!("m=audio 4000 RTP/AVP 8\r\n{attribute}\r\n")));
        assert!(status(&answer) == 200 && answer.contains(" RTP/AVP 8\r\n"), "{attribute}: {answer}");
        assert!(goes_on, "{attribute}");
    }
}

#[test]
fn the_numbers_of_an_origin_may_have_any_length() {
    const LONG: &str = "123456789012345678901234567890";
    for origin in [
        format!("- {LONG} {LONG} IN IP4 10.0.0.2"),
        "- 0 0 IN IP4 10.0.0.2".to_owned(),
        "phone abc x IN IP4 10.0.0.2".to_owned(),
        "phone  7  1.5 IN IP4 phone.example.com".to_owned(),
    ] {
        let (answer, goes_on) = said(&described(&origin, "m=audio 4000 RTP/AVP 8\r\n"));
        assert_eq!((status(&answer), header(&answer, "Content-Type")), (200, Some("application/sdp")), "{origin}");
        assert!(goes_on, "{origin}");
    }
}

#[test]
fn an_origin_that_can_not_be_counted_is_counted_as_wrong_and_its_content_taken() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let of = |id: &str, version: &str, port: u16| {
        described(&format!("- {id} {version} IN IP4 10.0.0.2"), &format!("m=audio {port} RTP/AVP 0\r\n"))
    };
    for (sdp, wrong) in
        [(of("7", "x", 4000), 0), (of("7", "y", 4002), 1), (of("a", "y", 4004), 2), (of("a", "y", 4004), 2)]
    {
        let answer = bench.exchange(&caller.request("INVITE", &sdp)).remove(0);
        assert_eq!(status(&answer), 200);
        caller.learn(&answer);
        bench.exchange(&caller.ack());
        assert_eq!(bench.engine.counters().sdp_versions_wrong, wrong, "{sdp}");
        caller.next();
    }
}
