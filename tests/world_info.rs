//! INFO: a key that was pressed, a body that is not understood, and Info Packages (RFC 6086).

mod common;

use common::callee::{answer_to, place, sdp};
use common::{Bench, Caller, digits_heard, established, header, status};
use ringworld::components::edge::{Event, Operation, Output};

/// An INFO of the caller with these header lines and this body.
fn info(caller: &mut Caller, lines: &str, body: &str) -> String {
    caller.next();
    caller
        .request("INFO", body)
        .replace("Content-Type: application/sdp\r\n", "")
        .replace("\r\nContent-Length", &format!("\r\n{lines}Content-Length"))
}

fn durations(outputs: &[Output]) -> Vec<u32> {
    let duration = |output: &Output| match output {
        Output::Event(Event::Digit { duration_ms, .. }) => Some(*duration_ms),
        _ => None,
    };
    outputs.iter().filter_map(duration).collect()
}

#[test]
fn a_digit_in_an_info_is_heard_once() {
    let mut bench = Bench::new();
    let mut caller = established(&mut bench, 1, "echo");
    for (kind, body) in [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
        ("Application/DTMF-Relay;charset=utf-8", "Signal= *\r\nDuration= 90"),
        ("application/dtmf", "#"),
        ("application/dtmf-relay", "Signal=16\r\nDuration=100"),
    ] {
        let request = info(&mut caller, &format!("Content-Type: {kind}\r\n"), body);
        assert_eq!(status(&bench.exchange(&request)[0]), 200, "{body}");
        assert_eq!(status(&bench.exchange(&request)[0]), 200, "a retransmission is answered again");
    }
    bench.run_ms(1_000);
    assert_eq!((digits_heard(&bench.outputs), durations(&bench.outputs)), ("5*#".to_owned(), vec![160, 90, 0]));
    assert_eq!(bench.engine.media_counters().digits_in, 3);
    bench.exchange(&caller.bye());
    bench.run_quiet_s(40);
    bench.assert_baseline();
}

#[test]
fn the_callee_of_a_call_of_ours_presses_keys_too() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "200 OK", "t", &sdp()));
    let swap = |name: &str| header(&invite, name).expect("a header field").to_owned();
    let body = "Signal=9\r\nDuration=200\r\n";
    let request = format!(
        "INFO sip:10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bK-i;rport\r\nFrom: {};tag=t\r\n\
         To: {}\r\nCall-ID: {}\r\nCSeq: 9 INFO\r\nContent-Type: application/dtmf-relay\r\nContent-Length: {}\r\n\r\n{body}",
        swap("To"),
        swap("From"),
        swap("Call-ID"),
        body.len()
    );
    assert_eq!(status(&bench.exchange(&request)[0]), 200);
    assert_eq!(digits_heard(&bench.outputs), "9");
}

#[test]
fn what_an_info_holds_and_we_do_not_understand_is_refused_and_heard_by_no_one() {
    let mut bench = Bench::new();
    let mut caller = established(&mut bench, 1, "echo");
    for (lines, body, expected) in [
        ("", "", 200),
        ("Content-Type: application/x-tone\r\n", "5", 415),
        ("Content-Type: text/plain\r\n", "Signal=5", 415),
        ("Content-Type: application/x-tone\r\nContent-Disposition: render;handling=optional\r\n", "5", 200),
        ("Content-Type: application/dtmf-relay\r\nContent-Encoding: gzip\r\n", "Signal=5", 415),
        ("Content-Type: application/dtmf-relay\r\n", "Signal=x", 400),
        ("Content-Type: application/dtmf\r\n", "12345", 400),
        ("Info-Package: foo\r\n", "", 469),
        ("Info-Package: foo\r\nContent-Type: application/foo\r\n", "x", 469),
        ("Info-Package: dtmf\r\nContent-Type: application/dtmf-relay\r\n", "Signal=5", 469),
    ] {
        let request = info(&mut caller, lines, body);
        let answer = bench.exchange(&request).remove(0);
        assert_eq!(status(&answer), expected, "{lines}{body}");
        match expected {
            415 => {
                assert_eq!(header(&answer, "Accept"), Some("application/dtmf-relay, application/dtmf"));
                assert_eq!(header(&answer, "Accept-Encoding"), Some("identity"));
            }
            469 => assert_eq!(header(&answer, "Recv-Info"), Some("")),
            400 => assert!(header(&answer, "Warning").is_some_and(|why| why.contains("Signal=5")), "{answer}"),
            _ => {}
        }
    }
    bench.run_ms(1_000);
    assert_eq!(digits_heard(&bench.outputs), "");
}

#[test]
fn a_digit_that_crosses_the_end_of_the_call_is_not_heard() {
    let mut bench = Bench::new();
    let mut caller = established(&mut bench, 1, "echo");
    let sent = bench.command(|session| Operation::HangUp { session });
    assert!(sent[0].starts_with("BYE "), "{sent:?}");
    let request = info(&mut caller, "Content-Type: application/dtmf\r\n", "5");
    assert_eq!(status(&bench.exchange(&request)[0]), 200);
    bench.run_ms(100);
    assert_eq!(digits_heard(&bench.outputs), "");
}
