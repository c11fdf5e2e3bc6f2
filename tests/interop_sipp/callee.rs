//! SIPp calls the switch: answers, refusals, cancels.

use super::bench::{Bench, config};
use super::peer::{Scenario, is_here};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

#[test]
fn two_hundred_calls_over_udp_are_answered_without_a_retransmission() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    bench.run(&Scenario::stock("uac"), "echo", &["-m", "200", "-r", "200", "-d", "100"]);
    let summary = bench.finish_with(&[("peer hung up", 200)]);
    assert_eq!(summary.signalling.calls_answered, 200);
    assert_eq!(summary.signalling.responses_sent.get(&200), Some(&400), "one for each INVITE and BYE");
    let (sent, received) = (summary.signalling.retransmissions_sent, summary.signalling.retransmissions_received);
    assert_eq!((sent, received), (0, 0));
}

#[test]
fn two_hundred_calls_over_tcp_are_answered() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    bench.run(&Scenario::stock("uac"), "echo", &["-m", "200", "-r", "200", "-d", "100", "-t", "t1"]);
    let summary = bench.finish_with(&[("peer hung up", 200)]);
    assert_eq!(summary.signalling.retransmissions_sent, 0);
    assert!(summary.network.sip_tcp_in >= 600 && summary.network.sip_udp_in == 0, "{:?}", summary.network);
}

#[test]
fn calls_over_ipv6_are_answered_over_udp_and_tcp() {
    if !is_here() {
        return;
    }
    let bench = Bench::with(&config(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    for transport in ["u1", "t1"] {
        bench.run(&Scenario::stock("uac"), "echo", &["-m", "20", "-r", "40", "-d", "50", "-t", transport]);
        bench.run(&Scenario::file("uac_in_dialog").with("@PAUSE_MS@", "20"), "echo", &["-m", "5", "-t", transport]);
    }
    bench.finish_with(&[("peer hung up", 50)]);
}

#[test]
fn a_call_is_cancelled_after_it_rang() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let scenario = Scenario::file("uac_cancel").with("@PAUSE_MS@", "100");
    bench.run(&scenario, "ring-30", &["-m", "20", "-r", "40"]);
    bench.run(&scenario, "ring-30", &["-m", "20", "-r", "40", "-t", "t1"]);
    let summary = bench.finish_with(&[("cancelled", 40)]);
    assert_eq!(summary.signalling.responses_sent.get(&487), Some(&40));
}

#[test]
fn a_call_is_cancelled_before_anything_was_heard_of_it() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    for transport in ["u1", "t1"] {
        // A 180 may come while SIPp is about to send its CANCEL; the scenario does not expect one there.
        let arguments = ["-m", "20", "-r", "40", "-t", transport, "-default_behaviors", "all,-abortunexp"];
        bench.run(&Scenario::file("uac_cancel_at_once"), "ring-30", &arguments);
    }
    bench.finish_with(&[("cancelled", 40)]);
}

#[test]
fn calls_are_refused_with_the_status_that_the_service_names() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    for (service, status) in [("busy", "486"), ("reject-480", "480"), ("reject-404", "404"), ("reject-603", "603")] {
        let scenario = Scenario::file("uac_refused").with("@STATUS@", status).with("Subject: @EXTRA@", "Subject: x");
        bench.run(&scenario, service, &["-m", "10", "-r", "40"]);
        bench.run(&scenario, service, &["-m", "10", "-r", "40", "-t", "t1"]);
    }
    let rejected = ["486", "480", "404", "603"].map(|status| format!("rejected with {status}"));
    bench.finish_with(&rejected.each_ref().map(|outcome| (outcome.as_str(), 20)));
}

#[test]
fn an_offer_may_come_late() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let scenario = Scenario::file("uac_late_offer").with("@PAUSE_MS@", "100");
    bench.run(&scenario, "tone", &["-m", "10", "-r", "40"]);
    bench.run(&scenario, "conf-late", &["-m", "10", "-r", "40", "-t", "t1"]);
    let summary = bench.finish_with(&[("peer hung up", 20)]);
    assert!(summary.network.rtp_out > 0, "the tone went where the answer said");
}

#[test]
fn after_64_t1_everything_is_back_at_its_start() {
    if !is_here() {
        return;
    }
    let mut config = config(super::peer::LOOPBACK);
    (config.sip.t1_ms, config.sip.t2_ms, config.sip.t4_ms) = (20, 160, 200);
    let bench = Bench::with(&config);
    bench.run(&Scenario::stock("uac"), "conf-all", &["-m", "50", "-r", "100", "-d", "200"]);
    bench.run(&Scenario::stock("uac"), "echo", &["-m", "50", "-r", "100", "-d", "200", "-t", "t1"]);
    bench.run(&Scenario::file("uac_cancel").with("@PAUSE_MS@", "10"), "ring-30", &["-m", "20", "-r", "40"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_empty = || bench.switch.status()[0].end == bench.switch.status()[0].start;
    while !is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let summary = bench.finish_with(&[("peer hung up", 100), ("cancelled", 20)]);
    assert_eq!(summary.end, summary.start);
    assert!(summary.peak.sessions > 10 && summary.peak.rooms == 1, "{:?}", summary.peak);
}
