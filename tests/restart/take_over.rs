//! One process takes over from another.

use crate::kill::held;
use crate::members::{Members, with_a_short_gap};
use crate::peer::{LOOPBACK, Scenario, Sipp, is_here};
use crate::process::Home;
use std::time::{Duration, Instant};

#[test]
fn a_new_process_takes_over_and_every_call_goes_on() {
    if !is_here() {
        return;
    }
    with_a_short_gap(take_over_with_calls_of_all_kinds);
}

/// Lets another process take over; returns the longest gap in the audio.
fn take_over_with_calls_of_all_kinds() -> Duration {
    let mut home = Home::new("take-over", 400);
    let mut first = home.start();
    let sipp = |scenario: &Scenario, more: &[&str]| Sipp::start(scenario, LOOPBACK, home.sip, more);
    let callers = [
        sipp(&held("6000"), &["-s", "echo", "-m", "100", "-r", "100"]),
        sipp(&Scenario::stock("uac"), &["-s", "ring-6", "-m", "100", "-r", "100", "-d", "500"]),
        sipp(&Scenario::stock("uac"), &["-s", "echo", "-m", "100", "-r", "20", "-d", "500"]),
    ];
    let mut members = Members::join(20, home.sip);
    members.talk_until(|| callers[0].messages("\nACK sip:") >= 100 && callers[1].messages("SIP/2.0 180 ") >= 100);
    members.talk(Duration::from_secs(1));
    home.more = vec!["--take-over".into()];
    let began = Instant::now();
    let second = home.start();
    let took = began.elapsed();
    assert!(first.wait().success(), "{}", first.complained());
    assert!(first.said().contains(&format!("handed over to process {}", second.child.id())), "{}", first.said());
    assert!(second.taken_up() >= 220, "{} calls taken up", second.taken_up());
    members.talk(Duration::from_secs(4));
    let longest = members.longest_gap_after(began, 0);
    println!("taken over within {took:?}; the longest gap in the audio was {longest:?}");
    members.leave();
    callers.into_iter().for_each(Sipp::finish);
    let (status, complaints) = second.terminate(false);
    assert!(status.success() && complaints.is_empty(), "{status} {complaints}");
    assert_eq!(home.summary("/signalling/outcomes/peer hung up"), 320, "no call was lost");
    assert_eq!((home.summary("/end/sessions"), home.summary("/end/streams")), (0, 0));
    home.leave();
    longest
}

#[test]
fn the_running_process_goes_on_when_the_new_one_refuses_and_survives_a_kill_afterwards() {
    with_a_short_gap(refuse_and_kill);
}

/// Starts a second process that asks to take over and can't, then kills the first; returns the longest gap in the audio
/// before the kill.
fn refuse_and_kill() -> Duration {
    let mut home = Home::new("refusal", 60);
    let first = home.start();
    let mut members = Members::join(10, home.sip);
    members.talk(Duration::from_secs(1));
    // Some of its ticks are late.
    first.stall(Duration::from_millis(100));
    members.talk(Duration::from_secs(1));
    let began = Instant::now();
    // A process with another number of worlds can't take over.
    home.more = vec!["--take-over".into(), "--worlds".into(), "2".into()];
    let mut second = home.spawn();
    while second.child.try_wait().expect("a child").is_none() {
        members.talk(Duration::from_millis(20));
    }
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.complained().contains("1 world(s)"), "{}", second.complained());
    members.talk(Duration::from_secs(4));
    let longest = members.longest_gap_after(began, 0);
    assert!(first.complained().contains("did not take over") && first.complained().contains("1 world(s)"));
    home.more.clear();
    first.kill();
    let third = home.start();
    assert_eq!(third.taken_up(), 10);
    members.leave();
    let (status, complaints) = third.terminate(false);
    assert!(status.success() && complaints.is_empty(), "{status} {complaints}");
    assert_eq!(home.summary("/signalling/outcomes/peer hung up"), 10);
    home.leave();
    longest
}

#[test]
fn a_new_process_with_other_addresses_or_ports_is_refused_and_every_call_goes_on() {
    let mut home = Home::new("elsewhere", 20);
    let elsewhere = Home::new("elsewhere-not", 20);
    let first = home.start();
    let mut members = Members::join(5, home.sip);
    members.talk(Duration::from_secs(1));
    home.more = vec!["--take-over".into()];
    let (sip, ports) = (home.sip, home.ports);
    let with_sip = format!("the running switch has SIP over UDP on {sip}, and this one shall not");
    let with_rtp = format!(", and this one shall have {}-{}", elsewhere.ports.0, elsewhere.ports.1);
    for (other_sip, other_ports, words) in [(elsewhere.sip, ports, with_sip), (sip, elsewhere.ports, with_rtp)] {
        (home.sip, home.ports) = (other_sip, other_ports);
        let mut second = home.spawn();
        while second.child.try_wait().expect("a child").is_none() {
            members.talk(Duration::from_millis(20));
        }
        assert_eq!(second.wait().code(), Some(1));
        assert!(second.complained().contains(&words), "{}", second.complained());
        // The running process is told why, and goes on first.
        let deadline = Instant::now() + Duration::from_secs(5);
        while !first.complained().contains(&words) {
            assert!(Instant::now() < deadline, "{}", first.complained());
            members.talk(Duration::from_millis(20));
        }
        (home.sip, home.ports) = (sip, ports);
    }
    members.talk(Duration::from_secs(1));
    members.leave();
    assert!(first.terminate(false).0.success());
    assert_eq!(home.summary("/signalling/outcomes/peer hung up"), 5, "no call was lost");
    elsewhere.leave();
    home.leave();
}

#[test]
fn when_the_disk_is_full_the_new_process_does_not_take_over_and_the_media_go_on() {
    with_a_short_gap(ask_on_a_full_disk);
}

fn ask_on_a_full_disk() -> Duration {
    let mut home = Home::new("full-take-over", 60);
    // No file may become larger than 16 KiB: a write beyond fails as on a full disk.
    home.before = "trap '' XFSZ; ulimit -f 32;";
    let first = home.start();
    let mut members = Members::join(20, home.sip);
    members.talk(Duration::from_secs(1));
    let began = Instant::now();
    (home.before, home.more) = ("", vec!["--take-over".into()]);
    let mut second = home.spawn();
    while second.child.try_wait().expect("a child").is_none() {
        members.talk(Duration::from_millis(20));
    }
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.complained().contains("File too large"), "{}", second.complained());
    members.talk(Duration::from_secs(4));
    let longest = members.longest_gap_after(began, 0);
    members.leave();
    first.kill();
    home.leave();
    longest
}

#[test]
fn without_a_running_process_nothing_is_taken_over() {
    let mut home = Home::new("no-process", 10);
    home.more = vec!["--take-over".into()];
    let mut process = home.spawn();
    assert_eq!(process.wait().code(), Some(1));
    assert!(process.complained().contains("no running switch answers"), "{}", process.complained());
    home.leave();
}
