//! `kill -9` under load.

use crate::members::Members;
use crate::peer::{LOOPBACK, Scenario, Sipp, is_here};
use crate::process::Home;
use std::time::{Duration, Instant};

/// Held by re-INVITE, for so long, then taken back and ended.
fn held(pause: &str) -> Scenario {
    Scenario::file("uac_hold")
        .with("@HOLD@", "sendonly")
        .with("@HOLD_ADDRESS@", "[media_ip]")
        .with("@EXPECTED@", "recvonly")
        .with("milliseconds=\"100\"", &format!("milliseconds=\"{pause}\""))
}

#[test]
fn calls_held_ringing_and_in_rooms_survive_a_kill_with_their_media() {
    if !is_here() {
        return;
    }
    let home = Home::new("mass", 1_400);
    let process = home.start();
    let sipp = |scenario: &Scenario, more: &[&str]| Sipp::start(scenario, LOOPBACK, home.sip, more);
    let callers = [
        sipp(&held("14000"), &["-s", "echo", "-m", "500", "-r", "250", "-l", "500"]),
        sipp(&Scenario::stock("uac"), &["-s", "ring-14", "-m", "500", "-r", "250", "-l", "500", "-d", "500"]),
        // Some of their requests come while nobody listens.
        sipp(&Scenario::stock("uac"), &["-s", "echo", "-m", "200", "-r", "20", "-d", "1500"]),
    ];
    let mut members = Members::join(100, home.sip);
    members.talk(Duration::from_secs(5));
    let killed = Instant::now();
    process.kill();
    let process = home.start();
    let ready = killed.elapsed();
    let taken_up = process.taken_up();
    assert!((1_100..=1_300).contains(&taken_up), "{taken_up} calls of 1,100 and some");
    members.talk(Duration::from_secs(4));
    let mut longest = Duration::ZERO;
    for heard in members.heard() {
        let gaps = heard.windows(2).filter(|pair| pair[1].at > killed).max_by_key(|pair| pair[1].at - pair[0].at);
        let [before, first] = gaps.expect("something was heard after the kill") else { panic!("two of them") };
        let gap = first.at - before.at;
        longest = longest.max(gap);
        assert!(heard.iter().any(|packet| packet.at > killed + Duration::from_secs(3)), "silent after the restart");
        assert!(first.marker, "a talkspurt begins after the gap of {gap:?}");
        assert_eq!(first.sequence, before.sequence.wrapping_add(1), "numbered as if nothing had been");
    }
    println!("ready {ready:?} after the kill; {taken_up} calls taken up; the longest gap in the audio was {longest:?}");
    assert!(longest < Duration::from_secs(1), "the audio gap is {longest:?}");
    members.leave();
    callers.into_iter().for_each(Sipp::finish);
    let (status, complaints) = process.terminate(false);
    assert!(status.success() && complaints.is_empty(), "{status} {complaints}");
    assert_eq!(home.summary("/signalling/outcomes/peer hung up"), 1_300, "no call was lost");
    assert_eq!((home.summary("/end/sessions"), home.summary("/end/streams"), home.summary("/end/rooms")), (0, 0, 0));
    home.leave();
}

/// SIPp loses the one message by which it notices that its connection is gone. An ACK may be lost.
const LOSABLE: &str = r#"<pause milliseconds="4000"/>
  <send><![CDATA[

      ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      Max-Forwards: 70
      From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]-[call_number]
      To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: 2 ACK
      Content-Length: 0

  ]]></send>
  <pause milliseconds="1000"/>"#;

#[test]
fn calls_over_tcp_go_on_when_the_peer_connects_again() {
    if !is_here() {
        return;
    }
    let home = Home::new("tcp", 60);
    let process = home.start();
    let again = ["-max_reconnect", "20", "-reconnect_close", "false", "-reconnect_sleep", "200"];
    let more = [&["-s", "echo", "-m", "20", "-r", "100", "-t", "t1"][..], &again].concat();
    let callers = Sipp::start(&held("4000").with("<pause milliseconds=\"4000\"/>", LOSABLE), LOOPBACK, home.sip, &more);
    std::thread::sleep(Duration::from_secs(2));
    process.kill();
    let process = home.start();
    assert_eq!(process.taken_up(), 20);
    callers.finish();
    let (status, complaints) = process.terminate(false);
    assert!(status.success() && complaints.is_empty(), "{status} {complaints}");
    assert_eq!(home.summary("/signalling/outcomes/peer hung up"), 20);
    home.leave();
}
