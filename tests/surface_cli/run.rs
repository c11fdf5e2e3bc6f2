//! `ringworld run`: its greeting, its services, its end and its summary.

use super::process::{Caller, Folder, Running, callers, code, complaint, ringworld};
use nix::sys::signal::Signal;
use ringworld::load::{self, Plan, Service};
use std::time::{Duration, Instant};

#[test]
fn an_address_in_use_is_a_failure_that_names_it() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = format!("udp:{}", taken.local_addr().unwrap());
    let output = ringworld(&["run", "--sip", &listen, "--rtp-ports", "23000-23039"]);
    assert_eq!(code(&output), 1);
    assert!(complaint(&output).contains(&taken.local_addr().unwrap().to_string()), "{}", complaint(&output));
}

#[test]
fn the_greeting_says_where_it_listens_and_what_there_is() {
    let running =
        Running::start(&["--sip", "udp:127.0.0.1:0", "--sip", "tcp:127.0.0.1:0", "--rtp-ports", "23040-23079"]);
    let greeting = running.greeting.join("\n");
    for part in
        ["SIP over UDP on 127.0.0.1:", "SIP over TCP on 127.0.0.1:", "23040-23079", "echo", "conf-NAME", "reject-NNN"]
    {
        assert!(greeting.contains(part), "{part}: {greeting}");
    }
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn services_answer_as_they_are_named() {
    let running = Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23080-23119"]);
    let target = running.udp();
    for (user, outcome) in [
        ("echo", "completed"),
        ("tone", "completed"),
        ("silence", "completed"),
        ("conf-lobby", "completed"),
        ("ring-1", "completed"),
        ("callee", "completed"),
        ("busy", "486 Busy Here"),
        ("reject-603", "603 Decline"),
    ] {
        let report = callers(target, Service::signalling(user, 1), Duration::ZERO);
        assert_eq!(report.calls_by_outcome.get(outcome), Some(&1), "{user}: {report:#?}");
    }
    running.signal(Signal::SIGTERM);
    let (code, text) = running.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("calls in / placed / answered"), "{text}");
}

#[test]
fn a_signal_ends_calls_with_bye_and_the_summary_is_back_at_its_start() {
    let folder = Folder::new("drain");
    let summary = folder.file("summary.json");
    let running = Running::start(&[
        "--sip",
        "udp:127.0.0.1:0",
        "--rtp-ports",
        "23120-23199",
        "--worlds",
        "2",
        "--summary",
        &summary,
    ]);
    let target = running.udp();
    let (tell, told) = std::sync::mpsc::channel();
    let talking = std::thread::spawn(move || {
        let mut plan = Plan::new(target).with(Service::echo(8));
        plan.hold = Duration::from_secs(60);
        load::run(&plan, |progress| {
            // Once all calls are up the receiver is no longer read.
            let _ = tell.send((progress.connected, progress.packets_received));
        })
        .unwrap()
    });
    let all_talk = |(connected, packets): (u64, u64)| connected == 8 && packets > 100;
    assert!(told.iter().any(all_talk), "the calls never came to stand");
    // The world's peak is sampled five times a second.
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::SIGTERM);
    let (code, text) = running.end();
    assert_eq!(code, Some(0), "{text}");
    drop(told);
    let report = talking.join().unwrap();
    assert_eq!(report.calls_by_outcome.get("hung up by the other side"), Some(&8), "{report:#?}");

    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
    assert_eq!(json["signalling"]["outcomes"]["drained"], 8, "{json:#}");
    assert_eq!(json["peak"]["sessions"], 8);
    for what in ["sessions", "dialogs", "streams", "rooms", "ports"] {
        assert_eq!(json["end"][what], json["start"][what], "{what}");
    }
    for (section, names) in [
        ("tick_time", &["p50_us", "p99_us", "max_us"][..]),
        ("media", &["packets_in", "packets_out", "dropped_foreign", "dropped_jitter", "dropped_no_stream"]),
        ("network", &["sip_udp_in", "sip_udp_out", "rtp_in", "rtp_out", "rtp_pool_empty", "rtp_in_ring_full"]),
        ("signalling", &["calls_in", "calls_answered", "retransmissions_sent"]),
        ("start", &["entities", "ports", "timers"]),
        ("peak", &["entities", "ports", "timers"]),
        ("end", &["entities", "ports", "timers"]),
        ("buffers", &["start", "peak", "end"]),
    ] {
        assert!(names.iter().all(|name| json[section][name].is_u64()), "{section}: {json:#}");
    }
    assert!(json["ticks_late"].is_u64() && json["ticks_skipped"].is_u64() && json["signalling"]["dropped"].is_object());
    assert!(json["network"]["rtp_in"].as_u64() > Some(0) && json["peak"]["entities"].as_u64() > Some(24), "{json:#}");
    assert_eq!((&json["buffers"]["start"], &json["buffers"]["end"]), (&0.into(), &0.into()), "no packet is left");
    for part in
        ["ended: drained", "packets in / out", "tick time p50 / p99 / max", "ticks / late / skipped", "pool buffers"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_end_refuses_new_calls_and_has_an_end_though_a_peer_never_answers() {
    let running = Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23320-23359"]);
    let deaf = Caller::new("deaf", running.udp());
    deaf.invite();
    let answer = deaf.hears("SIP/2.0 200");
    let tag = answer.lines().find_map(|line| line.strip_prefix("To: ")?.split(";tag=").nth(1)).unwrap();
    deaf.send("ACK", &format!(";tag={tag}"), "");
    // Without the ACK the BYE would wait.
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    running.signal(Signal::SIGTERM);
    deaf.hears("BYE ");
    let late = Caller::new("late", running.udp());
    late.invite();
    let refusal = late.hears("SIP/2.0 503");
    assert!(refusal.contains("\r\nRetry-After: "), "{refusal}");
    let (code, text) = running.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(text.contains("limit hit: draining"), "{text}");
}

#[test]
fn each_of_two_worlds_has_its_calls_and_its_recording() {
    let folder = Folder::new("worlds");
    let (file, summary) = (folder.file("calls.rwlog"), folder.file("summary.json"));
    let running = Running::start(&[
        "--sip",
        "udp:127.0.0.1:0",
        "--rtp-ports",
        "23360-23479",
        "--worlds",
        "2",
        "--record",
        &file,
        "--summary",
        &summary,
    ]);
    let mut plan = Plan::new(running.udp()).with(Service::echo(20)).with(Service::rooms("r", 4, 3));
    plan.hold = Duration::from_secs(3);
    let report = load::run(&plan, |_| ()).unwrap();
    assert!(report.all_right(), "{report:#?}");
    running.signal(Signal::SIGTERM);
    let (status, text) = running.end();
    assert_eq!(status, Some(0), "{text}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
    assert_eq!(json["recordings"].as_array().map(Vec::len), Some(2), "{json:#}");
    assert_eq!(json["signalling"]["calls_in"], 32);
    let mut calls = Vec::new();
    for world in 0..2 {
        let recording = format!("{file}.{world}");
        assert!(text.contains(&recording), "{text}");
        let replayed = ringworld(&["replay", &recording]);
        let told = String::from_utf8_lossy(&replayed.stdout).into_owned();
        assert_eq!(code(&replayed), 0, "{told}{}", complaint(&replayed));
        assert!(told.contains("signalling and packets are as recorded, at every tick"), "{told}");
        let (before, _) = told.split_once(" in, 0 out").unwrap();
        calls.push(before.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    }
    assert_eq!(calls.iter().sum::<u64>(), 32);
    assert!(calls.iter().all(|&calls| calls > 0), "both worlds have calls: {calls:?}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let running = Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23200-23239"]);
    // This peer vanishes: it never answers the BYE, and draining would wait for it.
    let gone = Caller::new("gone", running.udp());
    gone.invite();
    gone.hears("SIP/2.0 200");
    running.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::SIGTERM);
    let (code, text) = running.end();
    assert_eq!(code, Some(0), "{text}");
    let sessions = text.lines().find(|line| line.starts_with("sessions")).unwrap();
    assert!(sessions.split_whitespace().eq(["sessions", "0", "1", "1"]), "it did not wait: {text}");
}

#[test]
fn a_summary_that_can_not_be_written_is_a_failure() {
    let running =
        Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23240-23279", "--summary", "/no/such/folder/s"]);
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().0, Some(1));
}
