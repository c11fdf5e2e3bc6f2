//! The simulated callers against the switch, over loopback sockets: each caller hears exactly what it should.

use std::net::SocketAddr;
use std::time::Duration;

use ringworld::config::{Config, PortRange};
use ringworld::engine::Switch;
use ringworld::load::softphone::{Settings, call};
use ringworld::load::{Hears, Plan, Service, run};

struct Running {
    switch: Switch,
    udp: SocketAddr,
    tcp: SocketAddr,
}

fn start(ports: PortRange) -> Running {
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse().unwrap(), "tcp:127.0.0.1:0".parse().unwrap()];
    config.network.rtp_ports = ports;
    let switch = Switch::start(&config).unwrap();
    let addresses: Vec<_> = switch.sip_addresses().iter().map(|&(_, address)| address).collect();
    Running { switch, udp: addresses[0], tcp: addresses[1] }
}

fn single(user: &str, hears: Hears) -> Service {
    Service { user: user.into(), groups: 3, members: 1, hears, media: true }
}

#[test]
fn echo_rooms_tone_and_silence_are_heard_as_they_should() {
    let running = start(PortRange { first: 12_000, last: 12_999 });
    let plan = Plan { hold: Duration::from_secs(3), ..Plan::new(running.udp) }
        .with(Service::echo(20))
        .with(Service::rooms("a", 2, 5))
        .with(Service::rooms("pair", 1, 2))
        .with(single("tone", Hears::Tone(440)))
        .with(single("silence", Hears::Silence));
    let report = run(&plan, |_| ()).unwrap();
    assert_eq!(report.completed, 38, "{report:#?}");
    assert_eq!((report.echo.exact, report.rooms.exact, report.other.exact), (20, 12, 6), "{report:#?}");
    assert_eq!((report.packets_foreign, report.stray_messages, report.malformed_messages), (0, 0, 0), "{report:#?}");
    running.switch.stop();
}

#[test]
fn refusals_reach_the_caller_as_they_were_meant() {
    let running = start(PortRange { first: 13_000, last: 13_099 });
    let plan = Plan { hold: Duration::ZERO, ..Plan::new(running.udp) }
        .with(Service::signalling("busy", 3))
        .with(Service::signalling("reject-603", 2))
        .with(Service::signalling("ring-1", 2));
    let report = run(&plan, |_| ()).unwrap();
    assert_eq!(report.completed, 2, "{report:#?}");
    let statuses: Vec<_> = report.calls_by_outcome.keys().map(|outcome| &outcome[..3]).collect();
    assert_eq!(statuses, ["486", "603", "com"], "{report:#?}");
    running.switch.stop();
}

#[test]
fn a_softphone_hears_its_tone_over_udp_and_tcp() {
    let running = start(PortRange { first: 13_100, last: 13_199 });
    for uri in [format!("sip:echo@{}", running.udp), format!("sip:echo@{};transport=tcp", running.tcp)] {
        let settings = Settings { seconds: 2, tone_hz: Some(620), expect_tone_hz: Some(620), ..Settings::new(uri) };
        let conversation = call(&settings, |_| ()).unwrap();
        assert_eq!(conversation.packets_lost, 0);
        assert!(!conversation.hung_up_by_other);
    }
    running.switch.stop();
}
