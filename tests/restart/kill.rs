//! `kill -9` under load.

use crate::members::{Members, with_a_short_gap};
use crate::peer::{LOOPBACK, Scenario, Sipp, is_here};
use crate::process::Home;
use crate::tcp_peer::Peer;
use std::io::Read;
use std::time::{Duration, Instant};

/// Held by re-INVITE, for so long, then taken back and ended.
pub fn held(pause: &str) -> Scenario {
    Scenario::file("uac_hold")
        .with("@HOLD@", "sendonly")
        .with("@HOLD_ADDRESS@", "[media_ip]")
        .with("@EXPECTED@", "recvonly")
        .with("milliseconds=\"100\"", &format!("milliseconds=\"{pause}\""))
}

/// A second of packets: more than the ticks that are between the journal and the network at any time.
const LOST_MAX: u16 = 50;

#[test]
fn calls_held_ringing_and_in_rooms_survive_a_kill_with_their_media() {
    if !is_here() {
        return;
    }
    with_a_short_gap(kill_with_calls_of_all_kinds);
}

/// Kills the switch and starts it again; returns the longest gap in the audio.
fn kill_with_calls_of_all_kinds() -> Duration {
    let home = Home::new("mass", 1_400);
    let process = home.start();
    let sipp = |scenario: &Scenario, more: &[&str]| Sipp::start(scenario, LOOPBACK, home.sip, more);
    let callers = [
        sipp(&held("14000"), &["-s", "echo", "-m", "500", "-r", "250", "-l", "500"]),
        sipp(&Scenario::stock("uac"), &["-s", "ring-14", "-m", "500", "-r", "250", "-l", "500", "-d", "500"]),
        // Some of their requests come while no switch listens.
        sipp(&Scenario::stock("uac"), &["-s", "echo", "-m", "200", "-r", "20", "-d", "1500"]),
    ];
    let mut members = Members::join(100, home.sip);
    members.talk_until(|| callers[0].messages("\nACK sip:") >= 500 && callers[1].messages("SIP/2.0 180 ") >= 500);
    members.talk(Duration::from_secs(1));
    let killed = Instant::now();
    process.kill();
    let process = home.start();
    let ready = killed.elapsed();
    let taken_up = process.taken_up();
    assert!((1_100..=1_300).contains(&taken_up), "{taken_up} calls of 1,100 and some");
    members.talk(Duration::from_secs(4));
    let longest = members.longest_gap_after(killed, LOST_MAX);
    assert!(members.have_heard_a_marker_after(killed), "RTP restarts with a marker");
    println!("ready {ready:?} after the kill; {taken_up} calls taken up; the longest gap in the audio was {longest:?}");
    members.leave();
    callers.into_iter().for_each(Sipp::finish);
    let (status, complaints) = process.terminate(false);
    assert!(status.success() && complaints.is_empty(), "{status} {complaints}");
    assert_eq!(home.summary("/signalling/outcomes/peer hung up"), 1_300, "no call was lost");
    assert_eq!((home.summary("/end/sessions"), home.summary("/end/streams"), home.summary("/end/rooms")), (0, 0, 0));
    home.leave();
    longest
}

#[test]
fn calls_over_tcp_go_on_when_the_peer_connects_again() {
    let home = Home::new("tcp", 60);
    let process = home.start();
    let mut peer = Peer::connect(home.sip);
    let mut callers: Vec<_> = (0..20).map(|call| peer.establish(call)).collect();
    std::thread::sleep(Duration::from_millis(100));
    process.kill();
    let process = home.start();
    assert_eq!(process.taken_up(), 20);
    assert_eq!(peer.stream.read(&mut [0; 100]).unwrap_or(0), 0, "the old connection died with the process");
    let mut peer = Peer::connect(home.sip);
    for caller in &mut callers {
        caller.next();
        peer.ask(&caller.request("INVITE", &caller.sdp("sendonly")));
        peer.send(&caller.ack());
        peer.ask(&caller.bye());
    }
    let (status, complaints) = process.terminate(false);
    assert!(status.success() && complaints.is_empty(), "{status} {complaints}");
    assert_eq!(home.summary("/signalling/outcomes/peer hung up"), 20);
    home.leave();
}
