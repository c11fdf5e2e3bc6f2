//! `ringworld run` as a service: its signals, its log and its recordings.

use super::process::{Caller, Running, code};
use nix::sys::signal::Signal;
use std::process::Command;

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
