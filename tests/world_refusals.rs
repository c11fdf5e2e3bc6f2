//! What a request is refused for before it becomes a call, and what the refusal says: bodies, Accept, users that there are
//! not, and what OPTIONS tells beforehand.

mod common;

use common::callee::command;
use common::{Bench, Caller, established, header, status};
use ringworld::components::edge::{Operation, Output};
use ringworld::components::wire::sip::SESSION_BODIES;

/// The request with these header lines in place of its Content-Type.
fn with_lines(request: &str, lines: &str) -> String {
    request.replace("Content-Type: application/sdp\r\n", "").replacen(
        "Max-Forwards",
        &format!("{lines}Max-Forwards"),
        1,
    )
}

/// Sends an INVITE to a fresh switch, as a new call and as a re-INVITE; the two final responses.
fn invited(lines: &str, body: &str) -> [String; 2] {
    [false, true].map(|in_dialog| {
        let mut bench = Bench::new();
        let mut caller = if in_dialog { established(&mut bench, 1, "echo") } else { Caller::new(1, "echo") };
        if in_dialog {
            caller.next();
        }
        let answer = bench.exchange(&with_lines(&caller.request("INVITE", body), lines)).remove(0);
        if status(&answer) == 200 {
            caller.learn(&answer);
            bench.exchange(&caller.ack());
        } else {
            bench.exchange(&caller.ack_of_refusal());
        }
        if in_dialog || status(&answer) == 200 {
            assert_eq!(status(&bench.exchange(&caller.bye())[0]), 200, "the call is as it was");
        }
        bench.run_quiet_s(40);
        bench.assert_baseline();
        answer
    })
}

fn sdp() -> String {
    Caller::new(1, "echo").sdp("sendrecv")
}

#[test]
fn a_body_that_is_encoded_or_of_an_unknown_type_is_415_unless_it_is_optional() {
    const SDP: &str = "Content-Type: application/sdp\r\n";
    for (lines, expected) in [
        (SDP.to_owned(), 200),
        (format!("{SDP}Content-Encoding: identity\r\n"), 200),
        (format!("{SDP}Content-Encoding: gzip\r\n"), 415),
        (format!("{SDP}e: gzip\r\n"), 415),
        ("Content-Type: application/x-unknown\r\n".to_owned(), 415),
        ("Content-Type: application/x-unknown\r\nContent-Disposition: render;handling=required\r\n".to_owned(), 415),
        ("Content-Type: application/x-unknown\r\nContent-Disposition: render;handling=optional\r\n".to_owned(), 200),
        (format!("{SDP}Content-Encoding: gzip\r\nContent-Disposition: session;handling=optional\r\n"), 200),
    ] {
        for answer in invited(&lines, &sdp()) {
            assert_eq!(status(&answer), expected, "{lines}");
            if expected == 415 {
                assert_eq!(header(&answer, "Accept"), Some(SESSION_BODIES.join(", ").as_str()));
                assert_eq!(header(&answer, "Accept-Encoding"), Some("identity"));
                assert!(header(&answer, "Warning").is_some(), "{answer}");
            } else if lines.contains("optional") {
                assert!(answer.contains("RTP/AVP 0 8 101"), "the body is ignored, so the offer is ours: {answer}");
            }
        }
    }
}

#[test]
fn a_caller_that_accepts_no_session_description_gets_406() {
    for (accept, expected) in [
        ("", 200),
        ("Accept: application/sdp\r\n", 200),
        ("Accept: text/plain, Application/SDP;level=1\r\n", 200),
        ("Accept: text/plain\r\nAccept: application/*\r\n", 200),
        ("Accept: */*;q=0.1\r\n", 200),
        ("Accept: text/plain\r\n", 406),
        ("Accept: application/sdp;q=0, text/html\r\n", 406),
        ("Accept:\r\n", 406),
    ] {
        for answer in invited(&format!("{accept}Content-Type: application/sdp\r\n"), &sdp()) {
            assert_eq!(status(&answer), expected, "{accept}");
            assert_eq!(header(&answer, "Warning").is_some(), expected == 406, "{answer}");
        }
    }
}

#[test]
fn a_refused_offer_says_why() {
    let described =
        |media: &str| format!("v=0\r\no=- 7 2 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n{media}");
    for (body, expected, code) in [
        (described("m=audio 4000 RTP/AVP 18\r\n"), 488, "305 "),
        (described("m=video 4000 RTP/AVP 31\r\n"), 488, "304 "),
        (described("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::2\r\n"), 488, "301 "),
        (described(&"m=audio 4000 RTP/AVP 0\r\n".repeat(40)), 488, "399 "),
        ("v=0\r\nnonsense".to_owned(), 400, "399 "),
    ] {
        for answer in invited("Content-Type: application/sdp\r\n", &body) {
            assert_eq!(status(&answer), expected, "{body}");
            let warning = header(&answer, "Warning").unwrap_or_default();
            assert!(warning.starts_with(&format!("{code}ringworld \"")) && warning.ends_with('"'), "{answer}");
        }
    }
}

#[test]
fn options_tells_what_is_accepted_in_a_call_and_outside_of_one() {
    let mut bench = Bench::new();
    let outside = bench.exchange(&Caller::new(9, "echo").request("OPTIONS", "")).remove(0);
    let mut caller = established(&mut bench, 1, "echo");
    caller.next();
    let inside = bench.exchange(&caller.request("OPTIONS", "")).remove(0);
    for answer in [outside, inside] {
        let named = |name: &str| header(&answer, name).unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned();
        assert_eq!(status(&answer), 200);
        for method in ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "REGISTER"] {
            assert!(named("Allow").split(", ").any(|allowed| allowed == method), "{method}: {answer}");
        }
        for kind in ["application/sdp", "multipart/mixed", "application/dtmf-relay"] {
            assert!(named("Accept").split(", ").any(|accepted| accepted == kind), "{kind}: {answer}");
        }
        assert_eq!((named("Accept-Encoding").as_str(), named("Supported").as_str()), ("identity", ""));
    }
}

#[test]
fn a_user_that_is_no_service_is_404_unless_the_settings_name_a_service_for_it() {
    for (default, expected) in [("", 404), ("echo", 200), ("busy", 486), ("ring-60", 180)] {
        let mut config = ringworld::engine::WorldConfig::default();
        assert_eq!(config.settings.services.default, "", "no service by default");
        config.settings.services.default = default.to_owned();
        let mut bench = Bench::with(config);
        assert_eq!(status(&bench.exchange(&Caller::new(1, "anna").invite())[0]), expected, "{default}");
    }
}

#[test]
fn what_has_the_form_of_a_service_and_names_none_is_404() {
    for user in
        ["reject-99", "reject-999", "reject-302", "reject-x", "ring-x", "ring-99999", "tone-9", "tone-", "conf-"]
    {
        let mut config = ringworld::engine::WorldConfig::default();
        config.settings.services.default = "echo".to_owned();
        let mut bench = Bench::with(config);
        let caller = Caller::new(1, user);
        assert_eq!(status(&bench.exchange(&caller.invite())[0]), 404, "{user}");
        bench.exchange(&caller.ack_of_refusal());
        bench.run_quiet_s(40);
        bench.assert_baseline();
    }
}

/// A redirection needs a Contact, which no operation names.
#[test]
fn a_call_is_not_refused_with_a_redirection() {
    let mut config = ringworld::engine::WorldConfig::default();
    config.settings.services.ask_handler = true;
    let mut bench = Bench::with(config);
    bench.exchange(&Caller::new(1, "anna").invite());
    for asked in [302, 399, 200, 700] {
        bench.outputs.clear();
        command(&mut bench, |session| Operation::reject(session, asked));
        let refusal = bench.outputs.iter().find_map(|output| match output {
            Output::Reply(reply) => reply.result.as_ref().err().map(ToString::to_string),
            _ => None,
        });
        assert!(refusal.is_some_and(|why| why.contains("take 400 to 699")), "{asked}");
    }
    command(&mut bench, |session| Operation::reject(session, 480));
    assert_eq!(bench.sent.iter().map(|(_, text)| status(text)).max(), Some(480), "nothing was sent before");
}
