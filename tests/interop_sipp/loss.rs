//! Messages that get lost, and messages that come twice: every call succeeds, and the counters show what was repeated.

use super::bench::Bench;
use super::peer::{Scenario, is_here};

/// Enough retransmissions that a call which fails shows a fault and not chance.
const PATIENT: [&str; 6] = ["-m", "60", "-r", "30", "-max_retrans", "12"];

fn lossy(sent: &str, received: &str) -> Scenario {
    Scenario::file("uac_lossy").with("@SENT@", sent).with("@RECEIVED@", received).with("@PAUSE_MS@", "100")
}

#[test]
fn calls_survive_the_loss_of_what_the_caller_sends() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    bench.run(&lossy("25", "0"), "echo", &PATIENT);
    let summary = bench.finish_with(&[("peer hung up", 60)]);
    assert!(summary.signalling.retransmissions_sent > 0, "200s whose ACK was lost: {:?}", summary.signalling);
}

#[test]
fn calls_survive_the_loss_of_what_the_switch_sends() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    bench.run(&lossy("0", "25"), "echo", &PATIENT);
    let summary = bench.finish_with(&[("peer hung up", 60)]);
    let counters = &summary.signalling;
    assert!(counters.retransmissions_sent > 0 && counters.retransmissions_received > 0, "{counters:?}");
}

#[test]
fn calls_survive_loss_both_ways() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    bench.run(&lossy("15", "15"), "ring-1", &PATIENT);
    let summary = bench.finish_with(&[("peer hung up", 60)]);
    assert_eq!(summary.signalling.calls_in, 60, "a retransmitted INVITE is no second call");
}

#[test]
fn messages_that_come_twice_are_taken_once() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    // A response to the first of a pair may come before the second is sent; the scenario does not expect it there.
    let arguments = ["-m", "20", "-r", "40", "-default_behaviors", "all,-abortunexp"];
    bench.run(&Scenario::file("uac_doubled"), "echo", &arguments);
    let summary = bench.finish_with(&[("peer hung up", 20)]);
    let counters = &summary.signalling;
    assert_eq!((counters.calls_in, counters.calls_answered), (20, 20));
    assert_eq!(counters.retransmissions_received, 60, "an INVITE, an ACK and a BYE of each call: {counters:?}");
}
