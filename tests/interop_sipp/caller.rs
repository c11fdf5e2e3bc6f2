//! The switch calls SIPp.

use super::bench::{Bench, config};
use super::peer::{LOOPBACK, Scenario, Sipp, is_here};
use ringworld::components::call::SessionState;
use ringworld::components::edge::{Event, Operation};
use ringworld::components::kernel::StableId;

const ONE: [&str; 2] = ["-m", "1"];
const ONE_OVER_TCP: [&str; 4] = ["-m", "1", "-t", "t1"];

fn hang_up(session: StableId) -> Operation {
    Operation::HangUp { session }
}

/// Nothing is lost.
fn answering(ring_ms: &str) -> Scenario {
    lossy("0", "0").with("@RING_MS@", ring_ms).with("@WAIT_MS@", "1")
}

fn lossy(sent: &str, received: &str) -> Scenario {
    Scenario::file("uas_answer").with("@SENT@", sent).with("@RECEIVED@", received)
}

/// Hangs up each call as soon as it is answered, until all have ended.
fn hang_up_each(bench: &Bench, calls: usize) {
    let mut ended = 0;
    while ended < calls {
        let answered = bench.wait_for("calls are answered and end", |event| match *event {
            Event::StateChanged { session, to: SessionState::Connected, .. } => Some(Some(session)),
            Event::Ended { .. } => Some(None),
            _ => None,
        });
        match answered {
            Some(session) => bench.command(session, hang_up),
            None => ended += 1,
        }
    }
}

/// Plays `scenario` as the callee over UDP and TCP; the switch calls it, does what `then` says, and the call ends.
fn each_way(bench: &Bench, scenario: &Scenario, then: impl Fn(&Bench, &Sipp, StableId)) {
    for over_tcp in [false, true] {
        let callee = bench.start(scenario, if over_tcp { &ONE_OVER_TCP } else { &ONE });
        let session = bench.place(&callee, over_tcp);
        then(bench, &callee, session);
        bench.wait_until(session, SessionState::Terminated);
        callee.finish();
    }
}

#[test]
fn an_answered_call_is_hung_up() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    each_way(&bench, &answering("100"), |bench, _, session| {
        bench.wait_until(session, SessionState::Ringing);
        bench.wait_until(session, SessionState::Connected);
        bench.command(session, hang_up);
    });
    let summary = bench.finish_with(&[("hung up", 2)]);
    assert_eq!((summary.signalling.calls_out, summary.signalling.calls_answered), (2, 2));
    assert_eq!(summary.signalling.retransmissions_sent, 0);
}

#[test]
fn a_callee_that_refuses_ends_the_call() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    for status in ["486", "302", "404", "503", "603"] {
        each_way(&bench, &Scenario::file("uas_refuse").with("@STATUS@", status), |_, _, _| {});
    }
    let rejected = ["302", "404", "486", "503", "603"].map(|status| format!("rejected with {status}"));
    bench.finish_with(&rejected.each_ref().map(|outcome| (outcome.as_str(), 2)));
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    each_way(&bench, &Scenario::file("uas_cancelled").with("@SILENT_MS@", "200"), |bench, _, session| {
        bench.command(session, hang_up);
    });
    bench.finish_with(&[("hung up", 2)]);
}

#[test]
fn a_ringing_call_is_cancelled() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    each_way(&bench, &Scenario::file("uas_cancelled").with("@SILENT_MS@", "0"), |bench, _, session| {
        bench.wait_until(session, SessionState::Ringing);
        bench.command(session, hang_up);
    });
    bench.finish_with(&[("hung up", 2)]);
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    each_way(&bench, &Scenario::file("uas_answers_anyway"), |bench, _, session| {
        bench.wait_until(session, SessionState::Ringing);
        bench.command(session, hang_up);
    });
    let summary = bench.finish_with(&[("hung up", 2)]);
    assert_eq!(summary.signalling.calls_answered, 0);
}

#[test]
fn of_two_answers_of_a_fork_the_first_is_taken() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    each_way(&bench, &Scenario::file("uas_forked"), |bench, callee, session| {
        bench.wait_until(session, SessionState::Connected);
        callee.wait_for_message("BYE sip:");
        bench.command(session, hang_up);
    });
    let summary = bench.finish_with(&[("hung up", 2)]);
    assert_eq!(summary.signalling.calls_answered, 2);
}

#[test]
fn an_answer_of_a_fork_does_not_disturb_a_hold() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    each_way(&bench, &Scenario::file("uas_forked_late"), |bench, _, session| {
        bench.wait_until(session, SessionState::Connected);
        bench.command(session, |session| Operation::Hold { session });
        bench.wait_until(session, SessionState::OnHold);
        bench.command(session, hang_up);
    });
    bench.finish_with(&[("hung up", 2)]);
}

#[test]
fn a_200_that_comes_again_is_acknowledged_again() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let callee = bench.start(&Scenario::file("uas_ack_lost"), &["-m", "20", "-max_retrans", "12"]);
    for _ in 0..20 {
        bench.place(&callee, false);
    }
    callee.finish();
    let summary = bench.finish_with(&[("peer hung up", 20)]);
    assert!(summary.signalling.retransmissions_received > 0, "{:?}", summary.signalling);
}

#[test]
fn responses_that_come_twice_are_taken_once() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    // The ACK for the first 200 may come before the second 200 is sent; the scenario does not expect it there.
    let arguments = ["-m", "10", "-default_behaviors", "all,-abortunexp"];
    let callee = bench.start(&Scenario::file("uas_doubled"), &arguments);
    for _ in 0..10 {
        bench.place(&callee, false);
    }
    hang_up_each(&bench, 10);
    callee.finish();
    let summary = bench.finish_with(&[("hung up", 10)]);
    assert_eq!(summary.signalling.calls_answered, 10);
    assert!(summary.signalling.retransmissions_received >= 10, "{:?}", summary.signalling);
}

#[test]
fn placed_calls_survive_loss_both_ways() {
    if !is_here() {
        return;
    }
    // The switch retransmits often within the time for which SIPp keeps a call.
    let mut config = config(LOOPBACK);
    (config.sip.t1_ms, config.sip.t2_ms) = (100, 400);
    let bench = Bench::with(&config);
    let scenario = lossy("15", "15").with("@RING_MS@", "50").with("@WAIT_MS@", "6000");
    // An INVITE that comes again while SIPp waits for the ACK is retransmitted because SIPp's response was lost.
    let arguments = ["-m", "30", "-max_retrans", "12", "-default_behaviors", "all,-abortunexp"];
    let callee = bench.start(&scenario, &arguments);
    for _ in 0..30 {
        bench.place(&callee, false);
    }
    hang_up_each(&bench, 30);
    callee.finish();
    let summary = bench.finish_with(&[("hung up", 30)]);
    assert!(summary.signalling.retransmissions_sent > 0, "{:?}", summary.signalling);
}
