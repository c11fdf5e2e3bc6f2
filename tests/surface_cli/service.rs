//! `ringworld run` as a service: its signals, its log, its recordings over several lives, and what `--help` says of them.

use super::process::{Caller, Folder, Running, code, complaint, ringworld};
use nix::sys::signal::Signal;
use std::net::UdpSocket;
use std::process::Command;

/// An address for SIP that is free.
fn free() -> String {
    format!("udp:{}", UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

#[test]
fn the_loss_of_the_terminal_ends_calls_with_bye_and_gives_a_summary() {
    let running = Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23680-23719"]);
    let caller = Caller::new("terminal", running.udp());
    caller.invite();
    let answer = caller.hears("SIP/2.0 200");
    let tag = answer.lines().find_map(|line| line.strip_prefix("To: ")?.split(";tag=").nth(1)).unwrap();
    caller.send("ACK", &format!(";tag={tag}"), "");
    std::thread::sleep(std::time::Duration::from_millis(200));
    running.signal(Signal::SIGHUP);
    caller.hears("BYE ");
    // The peer does not answer the BYE: it need not be waited for.
    running.signal(Signal::SIGHUP);
    let (code, text) = running.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("calls in / placed / answered"), "{text}");
}

#[test]
fn the_loss_of_the_terminal_is_ignored_where_nohup_says_so() {
    let arguments = ["run", "--sip", "udp:127.0.0.1:0", "--rtp-ports", "23840-23879"];
    let script = "trap '' HUP; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    let running = Running::begin(shell.args(["-c", script, env!("CARGO_BIN_EXE_ringworld")]).args(arguments));
    running.signal(Signal::SIGHUP);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let caller = Caller::new("nohup", running.udp());
    caller.send("OPTIONS", "", "");
    caller.hears("SIP/2.0 200");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn each_refusal_is_logged_once_and_without_colours() {
    let folder = Folder::new("log");
    let (log, state) = (folder.file("log"), folder.file("state"));
    let sip = free();
    let running = Running::logging(&log, &["--sip", &sip, "--rtp-ports", "23720-23759", "--state", &state]);
    let caller = Caller::new("log", running.udp());
    caller.send("UPDATE", "", "");
    caller.hears("SIP/2.0 405");
    caller.send("MESSAGE", "", "");
    caller.hears("SIP/2.0 405");
    caller.send("INVITE", "", "v=0\r\nnonsense");
    caller.hears("SIP/2.0 400");
    caller.send("BYE", ";tag=unknown", "");
    caller.hears("SIP/2.0 481");
    caller.send("OPTIONS", "\r\nMax-Forwards: 1", "");
    caller.hears("SIP/2.0 400");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0, Some(0));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!log.contains('\u{1b}'), "{log}");
    let count = |parts: &[&str]| log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count();
    for (method, status) in [("UPDATE", 405), ("MESSAGE", 405), ("INVITE", 400), ("BYE", 481)] {
        let parts = [
            "a request was refused".to_owned(),
            format!("method=\"{method}\""),
            format!("status={status}"),
            "call_id=\"log\"".to_owned(),
        ];
        assert_eq!(count(&parts.each_ref().map(String::as_str)), 1, "{method} {status}:\n{log}");
    }
    assert_eq!(count(&["a malformed request was refused", "status=400"]), 1, "{log}");
    // Its cause is told once, too: the world that follows has nothing to add.
    assert_eq!(count(&["an operation was refused", "the session description doesn't parse"]), 1, "{log}");
}

#[test]
fn a_recording_is_never_overwritten() {
    let folder = Folder::new("again");
    let file = folder.file("calls.rwlog");
    for life in 0..3 {
        let log = folder.file(&format!("log-{life}"));
        let running =
            Running::logging(&log, &["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23880-23919", "--record", &file]);
        let caller = Caller::new(["first", "second", "third"][life], running.udp());
        caller.invite();
        caller.hears("SIP/2.0 200");
        running.signal(Signal::SIGTERM);
        running.signal(Signal::SIGTERM);
        assert_eq!(running.end().0, Some(0));
        let told = std::fs::read_to_string(&log).unwrap();
        let moved = format!("the recording that was in {file} is now in {file}.{life}");
        assert_eq!(told.contains(&moved), life > 0, "{told}");
    }
    for (recording, call) in [(format!("{file}.1"), "first"), (format!("{file}.2"), "second"), (file, "third")] {
        let listed = ringworld(&["calls", &recording]);
        assert_eq!(code(&listed), 0, "{}", complaint(&listed));
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(text.contains(&format!("  {call}\n")) && text.contains("\n1 call(s); "), "{recording}: {text}");
    }
}

#[test]
fn the_help_says_what_the_defaults_signals_and_variables_are() {
    let help = ringworld(&["run", "--help"]);
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for part in [
        "--sip udp:0.0.0.0:5060 --sip tcp:0.0.0.0:5060",
        "--rtp-ports 10000-20000",
        "--worlds 1",
        "--record-media full",
        "SIGHUP",
        "SIGUSR1",
        "RINGWORLD_LOG",
        "NO_COLOR",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_wrong_address_for_sip_says_what_is_missing() {
    for (given, words) in [
        (
            "tls:127.0.0.1:5061",
            "SIP over TLS is not supported: \"tls:127.0.0.1:5061\" must be udp:ADDRESS:PORT or tcp:",
        ),
        ("udp:127.0.0.1", "\"udp:127.0.0.1\" lacks the port: udp:ADDRESS:PORT or tcp:ADDRESS:PORT"),
        ("127.0.0.1:5060", "\"127.0.0.1:5060\" does not begin with a transport: udp:ADDRESS:PORT"),
        ("udp:localhost:5060", "\"udp:localhost:5060\" has no IP address and port: udp:ADDRESS:PORT"),
        ("5060", "\"5060\" is not udp:ADDRESS:PORT or tcp:ADDRESS:PORT"),
    ] {
        let output = ringworld(&["run", "--sip", given]);
        assert_eq!(code(&output), 2);
        assert!(complaint(&output).contains(words), "{given}: {}", complaint(&output));
    }
}
