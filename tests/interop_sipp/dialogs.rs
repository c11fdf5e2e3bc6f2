//! Requests in the middle of a call.

use super::bench::Bench;
use super::peer::{Scenario, is_here};

#[test]
fn a_call_answers_what_is_asked_in_its_middle() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let scenario = Scenario::file("uac_in_dialog").with("@PAUSE_MS@", "20");
    for transport in ["u1", "t1"] {
        bench.run(&scenario, "echo", &["-m", "10", "-r", "40", "-t", transport]);
    }
    let summary = bench.finish_with(&[("peer hung up", 20)]);
    let sent = &summary.signalling.responses_sent;
    for (status, count) in [(405, 20), (501, 20), (500, 20), (481, 40)] {
        assert_eq!(sent.get(&status), Some(&count), "{sent:?}");
    }
}
