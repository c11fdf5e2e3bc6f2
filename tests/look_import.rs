//! A capture becomes a recording: on every link layer, the engine in the host's place comes to the same calls.

mod common;
mod town;
mod wire_tap;

use ringworld::config::{Config, RecordMedia};
use ringworld::import::{ImportError, Local, Report, import};
use ringworld::replay::Player;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use town::{Plan, Town, config, scratch};
use wire_tap::{Passed, Wire, captured, tapped};

const HOST: &str = "10.0.0.1:5060";

/// A day in town as it passed the wire, recorded once for each test.
fn day(name: &str) -> (Town, Vec<Passed>) {
    let path = scratch(name);
    let (town, _) = Town::record_day(&path, RecordMedia::Full);
    let passed = tapped(&path, HOST);
    std::fs::remove_file(path).expect("the recording");
    (town, passed)
}

fn like_the_host() -> Config {
    let settings = config().settings;
    Config { sip: settings.sip, timers: settings.timers, services: settings.services, ..Config::default() }
}

fn local() -> Local {
    "10.0.0.1".parse().expect("an address")
}

struct Imported {
    report: Report,
    player: Player,
}

fn imported(name: &str, capture: &[u8], config: &Config) -> Imported {
    let (file, out) = (scratch(name).with_extension("pcap"), scratch(&format!("{name}-out")));
    std::fs::write(&file, capture).expect("a capture");
    let report = import(&file, local(), config, &out);
    std::fs::remove_file(file).expect("the capture");
    let report = report.expect("an import");
    println!("{report}");
    let mut player = Player::open(&out).expect("a recording");
    while player.step().expect("the replay agrees").is_some() {}
    std::fs::remove_file(out).expect("the recording");
    Imported { report, player }
}

#[test]
fn the_same_engine_gives_the_answers_that_were_captured_on_any_wire() {
    let (town, passed) = day("wires");
    let (sip, rtp): (Vec<&Passed>, Vec<&Passed>) = passed.iter().partition(|passed| passed.is_sip);
    let to_host = |passed: &&&Passed| {
        passed.to.to_string() == HOST || (!passed.is_sip && passed.to.ip().to_string() == "10.0.0.1")
    };
    let wires = [
        Wire::Ethernet,
        Wire::Vlan,
        Wire::CookedV1,
        Wire::CookedV2,
        Wire::Raw,
        Wire::Pppoe,
        Wire::IpInIp,
        Wire::Fragments,
        Wire::PcapNg,
        Wire::Tcp,
    ];
    for wire in wires {
        let Imported { report, player } = imported(&format!("{wire:?}"), &captured(&passed, wire), &like_the_host());
        let account = &report.account;
        assert_eq!((report.differences.as_slice(), report.not_repeated.as_slice()), (&[][..], &[][..]), "{wire:?}");
        let asked: Vec<(&str, u64)> = account.commands.iter().map(|(what, count)| (what.as_str(), *count)).collect();
        let placed = [("hold", 1), ("place a call", 1), ("resume", 1), ("send a digit", 2)];
        assert!(placed.iter().all(|wish| asked.contains(wish)), "{wire:?}: {asked:?}");
        assert_eq!(account.sip_to_us, sip.iter().filter(to_host).count() as u64, "{wire:?}");
        assert_eq!(account.sip_from_us, sip.iter().filter(|passed| !to_host(passed)).count() as u64, "{wire:?}");
        assert_eq!((account.sip_used, account.responses_unused), (account.sip_to_us, 0), "{wire:?}");
        assert_eq!(account.packets_used + account.packets_unused, rtp.iter().filter(to_host).count() as u64);
        assert!(account.packets_unused < 20, "{wire:?}: {account}");
        assert_eq!((account.malformed, account.damaged.as_ref(), account.fragments_lost), (0, None, 0), "{wire:?}");
        assert_eq!(account.fragments > 100, wire == Wire::Fragments);
        assert_eq!(account.tunnelled > 100, matches!(wire, Wire::Pppoe | Wire::IpInIp));
        assert_eq!(account.connections > 10, wire == Wire::Tcp);
        assert_eq!(report.began_unix_ms, passed[0].at.as_millis() as u64);
        let (counters, original) = (player.engine().counters(), town.engine.counters());
        assert_eq!((counters.calls_in, counters.calls_out), (original.calls_in, original.calls_out), "{wire:?}");
        assert_eq!(counters.calls_answered, original.calls_answered, "{wire:?}");
        let media = (player.engine().media_counters(), town.engine.media_counters());
        assert_eq!(media.0.digits_in, media.1.digits_in, "{wire:?}");
        assert_eq!(counters.outcomes, original.outcomes, "{wire:?}");
        assert!(media.0.packets_in.abs_diff(media.1.packets_in) < 30, "{wire:?}: {media:?}");
        assert_eq!(player.engine().census().sessions, town.engine.census().sessions);
    }
}

#[test]
fn other_settings_give_other_answers_and_each_is_listed() {
    let (_, passed) = day("others");
    let mut config = like_the_host();
    config.limits.rooms = 1;
    config.media.codecs.retain(|codec| codec.name() == "PCMA");
    let Imported { report, .. } = imported("others", &captured(&passed, Wire::Ethernet), &config);
    let text = report.to_string();
    for part in [
        "call-0  answer to INVITE 1\n             codecs: captured PCMU telephone-event, the engine PCMA telephone-event\n",
        "call-13  answer to INVITE 1\n             status: captured 200, the engine 503\n",
        "             media: captured audio, the engine none\n",
        "call-13  answer to BYE 2\n             status: captured 200, the engine 481\n",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!text.contains("call-5 "), "busy is busy in both:\n{text}");
}

#[test]
fn without_the_hosts_side_the_calls_are_there_all_the_same() {
    let (town, mut passed) = day("one-sided");
    passed.retain(|passed| passed.from.ip().to_string() != "10.0.0.1");
    let Imported { report, player } = imported("one-sided", &captured(&passed, Wire::Ethernet), &like_the_host());
    let account = &report.account;
    assert!(report.to_string().contains("THE HOST'S OWN SIDE IS MISSING"), "{report}");
    assert_eq!((account.sip_from_us, report.differences.len()), (0, 0));
    // The responses of the peer that the host had called match no request.
    assert!(account.responses_unused > 0 && account.packets_used > 500, "{account}");
    let (counters, original) = (player.engine().counters(), town.engine.counters());
    assert_eq!((counters.calls_in, counters.calls_out), (original.calls_in, 0));
    assert_eq!(counters.outcomes.get("peer hung up"), original.outcomes.get("peer hung up"));
}

#[test]
fn a_damaged_capture_is_used_up_to_the_damage_and_says_so() {
    let (_, passed) = day("damaged");
    let whole = captured(&passed, Wire::Ethernet);
    let Imported { report, .. } = imported("cut-off", &whole[..whole.len() / 2], &like_the_host());
    assert!(report.account.damaged.is_some() && report.account.sip_used > 20, "{report}");
    assert!(report.to_string().contains("THE FILE IS DAMAGED behind frame "), "{report}");
    // A fragment that is missing, and frames that were cut by the capture.
    let mut lossy = passed.clone();
    lossy.truncate(passed.len() / 2);
    let mut capture = captured(&lossy, Wire::Fragments);
    // The first frame is the last fragment of the first INVITE: it is changed into one of another datagram.
    capture[24 + 16 + 14 + 4] ^= 0xff;
    let Imported { report, .. } = imported("lossy", &capture, &like_the_host());
    assert!(report.account.fragments_lost + report.account.malformed > 0, "{report}");
    for nonsense in [&b""[..], b"not a capture", &whole[..30], &[0x0a, 0x0d, 0x0d, 0x0a, 1, 2, 3]] {
        let (file, out) = (scratch("nonsense").with_extension("pcap"), scratch("nonsense-out"));
        std::fs::write(&file, nonsense).expect("a capture");
        let error = import(&file, local(), &Config::default(), &out).expect_err("no capture");
        assert!(matches!(error, ImportError::NotACapture { .. } | ImportError::NothingForUs { .. }), "{error}");
        assert!(!out.exists());
        std::fs::remove_file(file).expect("the capture");
    }
}

fn ringworld(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_ringworld")).args(arguments).output().expect("the command starts")
}

#[test]
fn the_command_says_what_it_used_and_names_other_hosts_if_nothing_was_for_this_one() {
    let path = scratch("command");
    let mut town =
        Town::new(ringworld::engine::Engine::new(&config()), vec![Plan::new("echo").lasting(3, 80).talking()]);
    town.record(&path, &config(), RecordMedia::Full);
    town.live(100);
    town.stop_recording();
    let (capture, out) = (path.with_extension("pcap"), scratch("command-out"));
    std::fs::write(&capture, captured(&tapped(&path, HOST), Wire::Vlan)).expect("a capture");
    let files = [capture.to_str().expect("a name"), out.to_str().expect("a name")];
    let done = ringworld(&["import", files[0], "--local", "10.0.0.1:5060", "-o", files[1]]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(0), "{text}");
    assert!(text.contains("no message differs") && text.contains("the recording is in "), "{text}");
    let traced = ringworld(&["trace", files[1], "--call", "call-0"]);
    assert!(String::from_utf8_lossy(&traced.stdout).contains("ended: peer hung up"));
    let other = ringworld(&["import", files[0], "--local", "10.9.9.9", "-o", files[1]]);
    let complaint = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(other.status.code(), Some(1));
    assert!(complaint.contains("no SIP message for 10.9.9.9") && complaint.contains("10.0.0.1:5060 ("), "{complaint}");
    assert_eq!(ringworld(&["import", "/nowhere.pcap", "--local", "10.0.0.1", "-o", files[1]]).status.code(), Some(2));
    assert_eq!(ringworld(&["import", files[0], "--local", "here", "-o", files[1]]).status.code(), Some(2));
    for file in [&path, &capture] {
        std::fs::remove_file(file).expect("a file");
    }
}

fn is_there(tool: &str, flag: &str) -> bool {
    Command::new(tool).arg(flag).output().is_ok_and(|output| !output.stderr.is_empty() || !output.stdout.is_empty())
}

/// What tcpdump captures while `talk` calls a switch that listens at `listen`, and the switch's address; `None` if the
/// loopback can't be captured.
fn tapped_by_tcpdump(folder: &Path, listen: &str, ports: &str, talk: impl Fn(&str)) -> Option<(PathBuf, String)> {
    let mut switch = Command::new(env!("CARGO_BIN_EXE_ringworld"))
        .args(["run", "--sip", listen, "--rtp-ports", ports])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a switch");
    let lines = std::io::BufReader::new(switch.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let address = lines
        .take_while(|line| line != "ready")
        .find_map(|line| line.strip_prefix("SIP over ")?.split_once(" on ").map(|(_, address)| address.to_owned()));
    let address = address.expect("an address");
    let port = address.rsplit(':').next().expect("a port");
    let capture = folder.join(format!("{}.pcap", &listen[..3]));
    let mut tcpdump = Command::new("tcpdump")
        .args(["-i", "lo", "-U", "--immediate-mode", "-Z", "root", "-w"])
        .arg(&capture)
        .args(["port", port, "or", "portrange", ports])
        .stderr(Stdio::piped())
        .spawn()
        .expect("tcpdump");
    let mut words = std::io::BufReader::new(tcpdump.stderr.take().expect("its words")).lines().map_while(Result::ok);
    let listens = words.by_ref().take(5).any(|line| line.contains("listening on"));
    if listens {
        talk(&address);
        std::thread::sleep(Duration::from_millis(300));
    } else {
        eprintln!("SKIPPED: the loopback may not be tapped; no real capture is imported");
    }
    for child in [&mut tcpdump, &mut switch] {
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("a signal");
        child.wait().expect("its end");
    }
    listens.then_some((capture, address))
}

fn scratch_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tcpdump-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A real capture of a real switch and a real peer, if tcpdump and SIPp are installed and the loopback can be captured.
#[test]
fn what_tcpdump_saw_of_sipp_is_imported_without_a_difference() {
    if !is_there("tcpdump", "--version") || !is_there("sipp", "-v") {
        eprintln!("SKIPPED: tcpdump or sipp is not here; no real capture is imported (Debian: tcpdump, sip-tester)");
        return;
    }
    let folder = scratch_folder("sipp");
    for (listen, transport, ports) in
        [("udp:127.0.0.1:0", "u1", "24300-24349"), ("tcp:127.0.0.1:0", "t1", "24350-24399")]
    {
        let talk = |address: &str| {
            // A port that was free a moment ago.
            let own =
                std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("an address");
            let own = own.port().to_string();
            let calls = ["-sn", "uac", "-m", "20", "-r", "40", "-d", "100", "-t", transport];
            let mut sipp = Command::new("sipp");
            sipp.args(calls).args(["-i", "127.0.0.1", "-nostdin", "-p", &own, address]).current_dir(&folder);
            let called = sipp.output().expect("sipp");
            assert!(called.status.success(), "{}", String::from_utf8_lossy(&called.stdout));
        };
        let Some((capture, address)) = tapped_by_tcpdump(&folder, listen, ports, talk) else { continue };
        let report = import(&capture, address.parse().expect("an address"), &Config::default(), &folder.join("out"));
        let report = report.expect("an import");
        println!("{report}");
        assert_eq!((report.calls, report.differences.len()), (20, 0), "{report}");
        assert_eq!(report.account.sip_used, 60, "{report}");
        assert_eq!(report.account.connections, u64::from(transport == "t1"), "{report}");
    }
    std::fs::remove_dir_all(folder).expect("the folder");
}

/// The same with sound and digits over IPv6, by the softphone.
#[test]
fn what_tcpdump_saw_of_a_softphone_over_ipv6_is_imported_with_its_digits() {
    if !is_there("tcpdump", "--version") || std::net::UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: tcpdump or IPv6 is not here; no real capture of IPv6 is imported (Debian: tcpdump)");
        return;
    }
    let folder = scratch_folder("six");
    let talk = |address: &str| {
        let call = format!("sip:echo@{address}");
        let called = ringworld(&["call", &call, "--tone", "600", "--dtmf", "42", "--seconds", "2"]);
        assert!(called.status.success(), "{}", String::from_utf8_lossy(&called.stderr));
    };
    if let Some((capture, address)) = tapped_by_tcpdump(&folder, "udp:[::1]:0", "24250-24299", talk) {
        let out = folder.join("out.rwlog");
        let report = import(&capture, address.parse().expect("an address"), &Config::default(), &out);
        let report = report.expect("an import");
        println!("{report}");
        let account = &report.account;
        assert_eq!((report.calls, report.differences.len(), account.sip_used), (1, 0, 3), "{report}");
        assert!(account.packets_used > 80 && account.packets_from_us > 80 && account.packets_unused < 5, "{report}");
        assert!(account.commands.is_empty(), "the echo gives the digits back by itself: {report}");
        let mut player = Player::open(&out).expect("a recording");
        while player.step().expect("the replay agrees").is_some() {}
        assert_eq!(player.engine().media_counters().digits_in, 2);
    }
    std::fs::remove_dir_all(folder).expect("the folder");
}
