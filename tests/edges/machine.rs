//! Limits of the machine: file descriptors, and time in which the world does not run.

use super::{Running, config};
use bevy_app::App;
use bevy_ecs::prelude::*;
use ringworld::components::edge::Transport;
use ringworld::components::kernel::{Now, Phase, RecordApp, Tick};
use ringworld::load::{self, Plan, Service};
use ringworld::net::CATCH_UP_TICKS_MAX;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// Starts the switch's command with limits on its descriptors: soft, then hard, which it may not raise.
fn run_with(soft: u32, hard: u32) -> std::process::Child {
    let plain = "if [ $(id -u) != 0 ]; then exec \"$0\" \"$@\"; fi";
    let as_root = "exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource \"$0\" \"$@\"";
    Command::new("sh")
        .args(["-c", &format!("ulimit -Sn {soft} && ulimit -Hn {hard} && {plain}; {as_root}")])
        .arg(env!("CARGO_BIN_EXE_ringworld"))
        .args(["run", "--sip", "udp:127.0.0.1:0", "--rtp-ports", "19000-19999"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("a shell")
}

#[test]
fn with_fewer_descriptors_than_the_ports_can_need_the_switch_starts_with_what_there_is_and_says_so() {
    // 64 pairs of the 500, and 42 TCP connections, are left for it.
    let mut child = run_with(300, 300);
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("SIP over UDP on ").map(str::to_owned));
    assert_eq!(lines.find(|line| line == "ready").as_deref(), Some("ready"));
    let address: SocketAddr = address.expect("an address").parse().expect("an address");
    let mut plan = Plan::new(address).with(Service::signalling("silence", 80));
    plan.hold = Duration::from_secs(3);
    let report = load::run(&plan, |_| ()).expect("they call");
    let outcomes = &report.calls_by_outcome;
    assert_eq!(outcomes.get("completed"), Some(&64), "{outcomes:?}");
    assert_eq!(outcomes.get("503 Service Unavailable"), Some(&16), "{outcomes:?}");
    // The pairs of calls that have ended are used again.
    let report = load::run(&plan, |_| ()).expect("they call");
    assert_eq!(report.calls_by_outcome.get("completed"), Some(&64), "{report:#?}");
    let _ = child.kill();
    let output = child.wait_with_output().expect("an end");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in ["file descriptors", "the system grants 300", "64 port pairs", "42 connections", "ulimit -Hn"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn with_too_few_descriptors_for_any_port_the_switch_refuses_to_start_and_says_why() {
    let output = run_with(130, 130).wait_with_output().expect("an end");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for words in ["file descriptors", "the system grants 130", "too few for any port pair", "ulimit -Hn"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn a_soft_limit_that_is_too_low_is_raised() {
    let mut child = run_with(100, 4_000);
    let limits = format!("/proc/{}/limits", child.id());
    let soft = || {
        let text = std::fs::read_to_string(&limits).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default().to_owned();
        line.split_whitespace().nth(3).and_then(|soft| soft.parse::<u32>().ok()).unwrap_or(0)
    };
    let raised = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        soft() > 1_000
    });
    let _ = child.kill();
    let output = child.wait_with_output().expect("an end");
    assert!(raised, "{}", String::from_utf8_lossy(&output.stderr));
}

/// Delays the world once at each of its [`Stalls`].
fn stall(now: Res<Now>, mut stalls: ResMut<Stalls>) {
    if let Some(next) = stalls.0.first().copied().filter(|(at, _)| now.0 >= *at) {
        std::thread::sleep(Duration::from_millis(next.1));
        stalls.0.remove(0);
    }
}

/// The ticks at which the world is delayed, and for how many milliseconds.
#[derive(Resource)]
struct Stalls(Vec<(u64, u64)>);

#[test]
fn a_world_that_falls_behind_catches_up_a_little_and_counts_what_it_gives_up() {
    let running = Running::start_with(&config(&["udp:127.0.0.1:0"]), |plugins| {
        plugins.add(|app: &mut App| {
            app.unrecorded_resource(Stalls(vec![(20, 22), (100, 500)]));
            app.add_systems(Tick, stall.in_set(Phase::Behaviour));
        });
    });
    let peer = super::peer::Peer::new("127.0.0.1", running.at(Transport::Udp, "127.0.0.1"), "stall");
    // Every tick has work to do, so that none is skipped.
    let own = peer.own();
    for round in 0..300 {
        peer.send(&peer.request("OPTIONS", "echo", &own, "").replace("stall", &format!("stall{round}")));
        std::thread::sleep(Duration::from_millis(4));
    }
    let status = running.switch.status().remove(0);
    assert!(status.ticks_late >= u64::from(CATCH_UP_TICKS_MAX) - 1, "{} late", status.ticks_late);
    assert!(status.ticks_skipped >= 60, "half a second is 100 ticks: {} skipped", status.ticks_skipped);
    let summary = running.switch.stop();
    assert!(summary.signalling.requests_received.get("OPTIONS").is_some_and(|count| *count == 300));
}
