//! Hold and resume by re-INVITE, by either side.

use super::bench::Bench;
use super::peer::{Scenario, is_here};
use ringworld::components::call::SessionState;
use ringworld::components::edge::Operation;
use std::time::Duration;

#[test]
fn the_peer_holds_and_resumes() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let holds = [
        ("sendonly", "[media_ip]", "recvonly"),
        ("inactive", "[media_ip]", "inactive"),
        // As in RFC 2543.
        ("sendrecv", "0.0.0.0", "(recvonly|inactive)"),
    ];
    for (hold, address, expected) in holds {
        let scenario = Scenario::file("uac_hold")
            .with("@HOLD@", hold)
            .with("@HOLD_ADDRESS@", address)
            .with("@EXPECTED@", expected);
        bench.run(&scenario, "tone", &["-m", "10", "-r", "40"]);
        bench.run(&scenario, "conf-hold", &["-m", "10", "-r", "40", "-t", "t1"]);
    }
    bench.finish_with(&[("peer hung up", 60)]);
}

/// The switch as the caller holds and resumes SIPp.
#[test]
fn the_switch_holds_and_resumes() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    for (answer, over_tcp) in [("recvonly", false), ("inactive", true)] {
        let transport = if over_tcp { "t1" } else { "u1" };
        let callee = bench.start(&Scenario::file("uas_held").with("@ANSWER@", answer), &["-m", "1", "-t", transport]);
        let session = bench.place(&callee, over_tcp);
        bench.wait_until(session, SessionState::Connected);
        bench.command(session, |session| Operation::Hold { session });
        bench.wait_until(session, SessionState::OnHold);
        bench.command(session, |session| Operation::Resume { session });
        bench.wait_until(session, SessionState::Connected);
        bench.command(session, |session| Operation::HangUp { session });
        bench.wait_until(session, SessionState::Terminated);
        callee.finish();
    }
    bench.finish_with(&[("hung up", 2)]);
}

/// Each side refuses the other's re-INVITE with 491 and the switch asks again: after 2.1 to 4 s, as it owns the Call-ID.
#[test]
fn a_glare_of_the_caller_is_settled() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let callee = bench.start(&Scenario::file("uas_glare"), &["-m", "1"]);
    let session = bench.place(&callee, false);
    bench.wait_until(session, SessionState::Connected);
    bench.command(session, |session| Operation::Hold { session });
    bench.wait_until(session, SessionState::OnHold);
    bench.command(session, |session| Operation::HangUp { session });
    callee.finish();
    let summary = bench.finish_with(&[("hung up", 1)]);
    assert_eq!(summary.signalling.responses_sent.get(&491), Some(&1));
}

/// The same where SIPp called: the switch waits for 0 to 2 s.
#[test]
fn a_glare_of_the_callee_is_settled() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let caller = bench.start(&Scenario::file("uac_glare"), &["-m", "1", "-s", "echo"]);
    let session = bench.wait_until_any(SessionState::Connected);
    // The 200 is sent; the re-INVITE must not overtake its ACK.
    std::thread::sleep(Duration::from_millis(100));
    bench.command(session, |session| Operation::Hold { session });
    bench.wait_until(session, SessionState::OnHold);
    caller.finish();
    let summary = bench.finish_with(&[("peer hung up", 1)]);
    assert_eq!(summary.signalling.responses_sent.get(&491), Some(&1));
}
