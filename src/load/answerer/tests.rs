//! Callers against the answerer, over loopback sockets.

use super::*;
use crate::load::{Plan, Report, Service, run};

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn outcome(report: &Report) -> Vec<(&str, u64)> {
    report.calls_by_outcome.iter().map(|(outcome, &count)| (outcome.as_str(), count)).collect()
}

fn quick(target: SocketAddr, service: Service) -> Plan {
    Plan { hold: Duration::ZERO, rate_per_s: 500, ..Plan::new(target) }.with(service)
}

#[test]
fn echo_callers_hear_themselves_and_all_packets_return() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let answerer = Answerer::start(address.parse().unwrap(), Behaviour::Echo, None).unwrap();
        let plan = Plan { hold: Duration::from_millis(2_600), ..Plan::new(answerer.address()) };
        let mut last = 0;
        let report = run(&plan.with(Service::echo(20)), |progress| last = progress.planned).unwrap();
        assert_eq!(last, 20);
        assert_eq!(outcome(&report), [("completed", 20)], "{report:#?}");
        assert_eq!((report.echo.expected, report.echo.exact), (20, 20), "{report:#?}");
        assert!(report.all_right());
        // A machine that stalls longer than the callers wait leaves the last packets on their way.
        assert_eq!(report.echo_matched + report.echo_not_returned, report.packets_sent);
        assert!(report.echo_not_returned * 10 <= report.packets_sent, "{report:#?}");
        assert_eq!((report.echo_round_trip.count, report.packets_foreign), (report.echo_matched, 0));
        assert_eq!(answerer.seen().byes, 20);
    }
}

#[test]
fn an_echo_is_no_conference_and_silence_no_echo() {
    let echo = Answerer::start(loopback(), Behaviour::Echo, None).unwrap();
    let plan = Plan { hold: Duration::from_millis(1_600), ..Plan::new(echo.address()) };
    let report = run(&plan.with(Service::rooms("a", 1, 3)), |_| ()).unwrap();
    assert_eq!((report.rooms.expected, report.rooms.exact, report.completed), (3, 0, 3));
    assert!(report.heard_wrong.iter().all(|wrong| wrong.contains("heard itself")), "{:?}", report.heard_wrong);
    assert!(!report.all_right());

    let silence = Answerer::start(loopback(), Behaviour::Silence, None).unwrap();
    let plan = Plan { hold: Duration::from_millis(1_600), ..Plan::new(silence.address()) };
    let report = run(&plan.with(Service::echo(2)), |_| ()).unwrap();
    assert_eq!((report.echo.expected, report.echo.exact), (2, 0));
    assert_eq!(report.echo_matched, 0);
    assert!(report.echo_not_returned > 0);
}

#[test]
fn refusals_are_told_by_status_and_acknowledged() {
    let answerer = Answerer::start(loopback(), Behaviour::Reject(486), None).unwrap();
    let report = run(&quick(answerer.address(), Service::signalling("x", 50)), |_| ()).unwrap();
    assert_eq!(outcome(&report), [("486 Busy Here", 50)]);
    assert_eq!(answerer.seen().acknowledged, 50);
    assert_eq!((report.retransmissions_seen, report.retransmissions_sent), (0, 0));
}

#[test]
fn a_call_that_rings_too_long_is_cancelled() {
    let answerer = Answerer::start(loopback(), Behaviour::Ring(Duration::from_secs(60)), None).unwrap();
    let plan =
        Plan { ring_limit: Duration::from_millis(300), ..quick(answerer.address(), Service::signalling("x", 5)) };
    let report = run(&plan, |_| ()).unwrap();
    assert_eq!(outcome(&report), [("cancelled", 5)]);
    assert_eq!(answerer.seen().cancelled, 5);
}

#[test]
fn calls_that_ring_first_are_answered() {
    let answerer = Answerer::start(loopback(), Behaviour::Ring(Duration::from_millis(200)), None).unwrap();
    let report = run(&quick(answerer.address(), Service::signalling("x", 5)), |_| ()).unwrap();
    assert_eq!(outcome(&report), [("completed", 5)]);
    assert!(report.setup.p50_us >= 199_000, "{:?}", report.setup);
}

#[test]
fn the_answerer_may_hang_up_first() {
    let after = Some(Duration::from_millis(200));
    let answerer = Answerer::start(loopback(), Behaviour::Echo, after).unwrap();
    let plan = Plan { hold: Duration::from_secs(3), ..Plan::new(answerer.address()) }.with(Service::echo(3));
    let report = run(&plan, |_| ()).unwrap();
    assert_eq!(outcome(&report), [("hung up by the other side", 3)]);
    assert_eq!((report.echo.expected, report.echo.exact), (3, 0));
}

#[test]
fn a_closed_port_is_told_at_once() {
    let closed = {
        let answerer = Answerer::start(loopback(), Behaviour::Echo, None).unwrap();
        answerer.address()
    };
    let report = run(&quick(closed, Service::signalling("x", 3)), |_| ()).unwrap();
    assert_eq!(outcome(&report), [("port closed", 3)]);
}

#[test]
fn a_run_can_be_stopped_early() {
    let answerer = Answerer::start(loopback(), Behaviour::Echo, None).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut plan = Plan { hold: Duration::from_secs(600), ..Plan::new(answerer.address()) };
    plan.stop = Some(Arc::clone(&stop));
    let report = run(&plan.with(Service::signalling("x", 100_000)), |progress| {
        if progress.connected >= 5 {
            stop.store(true, Ordering::Relaxed);
        }
    });
    let report = report.unwrap();
    assert!(report.completed >= 5 && report.completed == report.calls && report.calls < 100_000, "{report:?}");
}

#[test]
fn two_threads_share_a_plan() {
    let answerer = Answerer::start(loopback(), Behaviour::Echo, None).unwrap();
    let plan = Plan { threads: 2, ..quick(answerer.address(), Service::signalling("x", 101)) };
    let report = run(&plan, |_| ()).unwrap();
    assert_eq!((report.calls, report.completed), (101, 101));
}

#[test]
fn plans_that_cannot_work_are_refused_with_the_reason() {
    let refused = |plan: Plan| run(&plan, |_| ()).unwrap_err().to_string();
    let plan = || Plan::new("127.0.0.1:9".parse().unwrap());
    assert!(refused(plan()).contains("no call"));
    assert!(refused(plan().with(Service::rooms("a", 1, 5_000))).contains("5000"));
    assert!(refused(plan().with(Service::signalling("x", usize::MAX)).with(Service::echo(1))).contains("ten million"));
    assert!(refused(Plan { rate_per_s: 0, ..plan() }.with(Service::echo(1))).contains("rate"));
    assert!(refused(Plan { hold: Duration::ZERO, ..plan() }.with(Service::echo(1))).contains("briefly"));
    assert!(refused(Plan { bind: "::1".parse().unwrap(), ..plan() }.with(Service::echo(1))).contains("IPv6"));
}
