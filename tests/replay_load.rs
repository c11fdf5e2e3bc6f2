//! A thousand real calls over loopback sockets, recorded under load, lead to the same digests at every tick when they are
//! replayed: on either executor, in 32 legal orders of systems, and across restores in a shuffled order of spawning.

#[path = "town/order.rs"]
mod order;

use ringworld::config::{Config, PortRange};
use ringworld::engine::{Summary, Switch};
use ringworld::load::{Plan, Service, run};
use ringworld::replay::{Claims, Ending, Executor, Player, ReplayOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Calls of all kinds: talking in echo and in rooms, without media, refused, and rung before they are answered.
fn plan(target: std::net::SocketAddr) -> Plan {
    let plan = Plan { hold: Duration::from_millis(1_500), rate_per_s: 300, ..Plan::new(target) };
    plan.with(Service::rooms("load", 20, 10))
        .with(Service::echo(200))
        .with(Service::signalling("echo", 500))
        .with(Service::signalling("ring-1", 50))
        .with(Service::signalling("busy", 50))
}

fn record(path: &Path) -> Summary {
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse().expect("an address")];
    config.network.rtp_ports = PortRange { first: 16_000, last: 19_999 };
    config.record.file = path.to_owned();
    let switch = Switch::start(&config).expect("a switch");
    let (_, address) = switch.sip_addresses()[0];
    let plan = plan(address);
    assert_eq!(plan.calls(), 1_000);
    let report = run(&plan, |_| ()).expect("a load");
    let summary = switch.drain(Duration::from_secs(10));
    assert_eq!(report.completed, 950, "{report:#?}");
    summary
}

/// Plays to the end; every tick that comes out otherwise than it was recorded is an error.
fn replay(path: &Path, options: ReplayOptions, restart_every: Option<u64>) -> u64 {
    let mut player = Player::open_with(path, options).expect("a recording");
    assert_eq!(player.claims(), Claims::ControlAndMedia);
    let (mut restarts, mut due) = (0, restart_every.unwrap_or(u64::MAX));
    while let Some(report) = player.step().expect("the replay agrees") {
        if report.tick >= due {
            player.restart(Some(report.tick)).expect("a snapshot of this build");
            (restarts, due) = (restarts + 1, report.tick + restart_every.unwrap_or(u64::MAX));
        }
    }
    let footer = player.footer().expect("a footer");
    assert_eq!(footer.ending, Ending::Finished);
    assert_eq!(footer.digest, Some(player.engine().digest()), "the whole world, at the end");
    assert_eq!(player.engine().unregistered(), []);
    restarts
}

#[test]
fn a_thousand_real_calls_replay_to_the_same_digests() {
    let path: PathBuf = std::env::temp_dir().join(format!("ringworld-load-{}.rwlog", std::process::id()));
    let summary = record(&path);
    assert_eq!(summary.signalling.calls_in, 1_000, "{summary:#?}");
    assert!(summary.media.frames_mixed > 1_000, "{:?}", summary.media);
    assert_eq!(summary.defects, Vec::<String>::new());
    let recording = summary.recordings.first().expect("a recording");
    assert_eq!((recording.truncated_at, recording.failed.as_ref()), (None, None));

    replay(&path, ReplayOptions::default(), None);
    replay(&path, ReplayOptions { executor: Executor::MultiThreaded, ..Default::default() }, None);
    assert!(replay(&path, ReplayOptions::default(), Some(100)) >= 5, "restored in mid-run");
    for seed in 0..32 {
        replay(&path, order::shuffled(seed), None);
    }
    std::fs::remove_file(path).expect("the recording");
}
