//! Churn over real sockets: 20,000 calls begin and end, in rooms and alone, and 64*T1 later every count of the summary
//! is back at its start. `world_soak.rs` does the same in virtual time, with a peer that also retransmits and cancels.

use ringworld::config::{Config, PortRange};
use ringworld::engine::Switch;
use ringworld::load::{Hears, Plan, Service, run};
use std::time::Duration;

/// A short T1 keeps the wait short, not the churn.
const T1_MS: u32 = 100;

/// Rooms that are filled, left and filled again, by callers without media.
fn rooms(rooms: usize, members: usize) -> Service {
    Service { user: "conf-{}".into(), groups: rooms, members, hears: Hears::Anything, media: false }
}

#[test]
fn after_twenty_thousand_calls_the_summary_is_back_at_its_start() {
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse().expect("an address")];
    config.network.rtp_ports = PortRange { first: 20_000, last: 25_999 };
    (config.sip.t1_ms, config.sip.t2_ms, config.sip.t4_ms) = (T1_MS, 8 * T1_MS, 10 * T1_MS);
    let switch = Switch::start(&config).expect("a switch");
    let (_, address) = switch.sip_addresses()[0];
    let churn = Plan { hold: Duration::ZERO, rate_per_s: 1_500, ..Plan::new(address) }
        .with(rooms(1_000, 10))
        .with(Service::signalling("echo", 9_000))
        .with(Service::signalling("busy", 700))
        .with(Service::signalling("ring-1", 200));
    let talk = Plan { hold: Duration::from_secs(2), ..Plan::new(address) }
        .with(Service::rooms("talking", 8, 10))
        .with(Service::echo(20));
    let (churned, talked) = std::thread::scope(|scope| {
        let talking = scope.spawn(|| run(&talk, |_| ()).expect("a load"));
        (run(&churn, |_| ()).expect("a load"), talking.join().expect("the talking callers"))
    });
    assert_eq!((churn.calls() + talk.calls(), churned.completed + talked.completed), (20_000, 19_300), "{churned:#?}");
    assert_eq!((talked.echo.exact, talked.rooms.exact), (20, 80), "{talked:#?}");

    std::thread::sleep(Duration::from_millis(u64::from(64 * T1_MS) + 1_000));
    let summary = switch.stop();
    assert!(summary.peak.transactions > 10_000 && summary.peak.rooms > 8 && summary.peak.ports > 20, "{summary:#?}");
    assert_eq!(summary.end, summary.start, "{summary:#?}");
    assert_eq!(summary.buffers.end, summary.buffers.start, "packet buffers in use: {:?}", summary.buffers);
    assert_eq!(summary.signalling.outcomes.values().sum::<u64>(), summary.signalling.calls_in, "{summary:#?}");
    assert_eq!(summary.defects, Vec::<String>::new());
}
