//! TCP connections are handed over open: peers notice a pause, and no connection is opened or closed.

use crate::common::{header, status};
use crate::kill::held;
use crate::peer::{LOOPBACK, Sipp, is_here};
use crate::process::{Home, Process};
use crate::tcp_peer::Peer;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Takes over from `first`, which must end in order.
fn take_over(home: &mut Home, mut first: Process) -> Process {
    home.more = vec!["--take-over".into()];
    let second = home.start();
    assert!(first.wait().success(), "{}", first.complained());
    assert!(!first.complained().contains("could not") && !first.complained().contains("too much"));
    second
}

/// Tries to take over in a way that the running process refuses, and asserts that it says so.
fn try_to_take_over(home: &mut Home, first: &Process) {
    home.more = vec!["--take-over".into(), "--worlds".into(), "2".into()];
    let mut second = home.spawn();
    assert_eq!(second.wait().code(), Some(1));
    while !first.complained().contains("did not take over") {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn half_a_message_before_and_half_after_get_their_answer_on_the_same_connection() {
    let mut home = Home::new("tcp-half", 60);
    let mut process = home.start();
    let mut peer = Peer::connect(home.sip);
    // This call rings across two of the takeovers.
    let mut ringing = peer.caller(100, "ring-3");
    peer.send(&ringing.invite());
    assert_eq!(status(&peer.next()), 180);
    for turn in 0..4 {
        let mut caller = peer.caller(turn, "echo");
        let invite = caller.invite();
        let (before, after) = invite.split_at([10, 200, invite.len() - 20, invite.len() - 1][turn as usize]);
        // In one piece with a whole message, so that its answer shows that the rest was read, too.
        let options = peer.caller(50 + turn, "echo").request("OPTIONS", "");
        peer.send(&format!("{options}{before}"));
        assert_eq!(header(&peer.next(), "CSeq"), Some("1 OPTIONS"));
        match turn {
            2 => try_to_take_over(&mut home, &process),
            _ => process = take_over(&mut home, process),
        }
        peer.send(after);
        let mut answer = peer.next();
        if header(&answer, "CSeq") == Some("1 INVITE") && header(&answer, "Call-ID") == Some("call-100") {
            ringing.learn(&answer);
            peer.send(&ringing.ack());
            answer = peer.next();
        }
        assert_eq!((status(&answer), header(&answer, "Call-ID")), (200, Some(&*format!("call-{turn}"))), "{answer}");
        caller.learn(&answer);
        peer.send(&caller.ack());
        peer.ask(&caller.bye());
    }
    if ringing.to_tag.is_empty() {
        let answer = peer.next();
        assert_eq!((status(&answer), header(&answer, "Call-ID")), (200, Some("call-100")), "{answer}");
        ringing.learn(&answer);
        peer.send(&ringing.ack());
    }
    peer.ask(&ringing.bye());
    let (status, complaints) = process.terminate(false);
    assert!(status.success(), "{status} {complaints}");
    assert_eq!(peer.stream.read(&mut [0; 10]).expect("an end"), 0);
    assert_eq!((home.summary("/network/tcp_taken_over"), home.summary("/network/tcp_accepted")), (1, 0));
    home.leave();
}

#[test]
fn calls_over_tcp_go_on_without_a_new_connection_and_are_ended_by_either_side_on_the_old_one() {
    let mut home = Home::new("tcp-calls", 60);
    let first = home.start();
    let quiet = first.sockets();
    let mut peer = Peer::connect(home.sip);
    let mut others: Vec<_> = (0..9).map(|_| Peer::connect(home.sip)).collect();
    let mut callers: Vec<_> = (0..20).map(|call| peer.establish(call)).collect();
    let mut other_callers: Vec<_> = others.iter_mut().zip(30..).map(|(other, call)| other.establish(call)).collect();
    first.wait_for_sockets("ten connections", |open| open == quiet + 10);
    // Fewer descriptors than it is handed.
    home.before = "ulimit -S -n 100;";
    let second = take_over(&mut home, first);
    assert_eq!(second.taken_up(), 29);
    second.wait_for_sockets("what the first one had", |open| open == quiet + 10);
    for (other, caller) in others.iter_mut().zip(&mut other_callers) {
        other.ask(&caller.bye());
    }
    drop(others);
    second.wait_for_sockets("one connection", |open| open == quiet + 1);
    for caller in &mut callers[..10] {
        caller.next();
        peer.ask(&caller.request("INVITE", &caller.sdp("sendonly")));
        peer.send(&caller.ack());
        peer.ask(&caller.bye());
    }
    let mut third = take_over(&mut home, second);
    assert_eq!(third.taken_up(), 10);
    // It ends the remaining calls, over the connection that two processes had before it.
    third.ask_to_end();
    let mut ended: Vec<_> = (0..10).map(|_| peer.answer("BYE")).collect();
    ended.sort_unstable();
    let mut expected: Vec<_> = (10..20).map(|call| format!("call-{call}")).collect();
    expected.sort_unstable();
    assert_eq!(ended, expected);
    assert!(third.wait().success() && third.complained().is_empty(), "{}", third.complained());
    assert_eq!(peer.stream.read(&mut [0; 10]).expect("an end"), 0, "and only now the connection ends");
    let network = |name: &str| home.summary(&format!("/network/{name}"));
    assert_eq!((network("tcp_taken_over"), network("tcp_left_behind")), (1, 0));
    assert_eq!((network("tcp_accepted"), network("tcp_connected")), (0, 0), "none was opened, by either side");
    assert_eq!((home.summary("/end/sessions"), home.summary("/end/streams")), (0, 0));
    home.leave();
}

#[test]
fn connections_beyond_the_limit_of_the_new_process_are_closed_and_counted() {
    let mut home = Home::new("tcp-limit", 60);
    let first = home.start();
    let mut peers: Vec<_> = (0..5).map(|_| Peer::connect(home.sip)).collect();
    for (peer, call) in peers.iter_mut().zip(0..) {
        peer.ask(&peer.caller(call, "echo").request("OPTIONS", ""));
    }
    let config = home.folder.join("small.toml");
    std::fs::write(&config, "[network]\ntcp_connections_max = 3\n").expect("a file");
    home.more = vec!["--config".into(), config.display().to_string()];
    let before = std::mem::take(&mut home.more);
    home.more = [vec!["--take-over".into()], before].concat();
    let second = home.start();
    drop(first);
    let is_open = |(peer, call): (&mut Peer, u32)| {
        let request = peer.caller(call, "echo").request("OPTIONS", "");
        let sent = peer.stream.write_all(request.replace("SIP/2.0/UDP", "SIP/2.0/TCP").as_bytes());
        sent.is_ok() && matches!(peer.stream.read(&mut [0; 4_096]), Ok(1..))
    };
    let open: Vec<_> = peers.iter_mut().zip(10..).map(is_open).collect();
    assert_eq!(open, [true, true, true, false, false], "the oldest stay");
    let (status, complaints) = second.terminate(false);
    assert!(status.success(), "{status} {complaints}");
    let network = |name: &str| home.summary(&format!("/network/{name}"));
    assert_eq!((network("tcp_taken_over"), network("tcp_left_behind")), (3, 2));
    home.leave();
}

#[test]
fn a_successor_that_dies_on_the_way_leaves_every_connection_as_it_was() {
    let home = Home::new("tcp-dies", 60);
    let process = home.start();
    let mut peer = Peer::connect(home.sip);
    let mut caller = peer.establish(1);
    let bye = caller.bye();
    let (before, after) = bye.split_at(bye.len() / 2);
    peer.send(before);
    for words in [None, Some("{\"Refused\":{\"why\":\"I am not well\"}}"), Some("{\"Ready\":")] {
        let mut door = UnixStream::connect(home.state().join("take-over")).expect("a door");
        door.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut say = |text: &str| {
            let framed = [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
            door.write_all(&framed).expect("said");
        };
        say("{\"Hello\":{\"build\":\"of a test\",\"version\":2}}");
        // The switch has stopped now: the connection waits until a process goes on with it.
        let options = peer.caller(7, "echo").request("OPTIONS", "");
        let mut late = Peer::connect(home.sip);
        late.send(&options);
        words.into_iter().for_each(&mut say);
        let mut heard = [0; 64];
        assert!(door.read(&mut heard).expect("an answer") > 4);
        drop(door);
        assert_eq!(status(&late.next()), 200);
    }
    peer.send(after);
    assert_eq!(status(&peer.next()), 200);
    assert_eq!(process.complained().matches("did not take over").count(), 3, "{}", process.complained());
    let (status, complaints) = process.terminate(false);
    assert!(status.success(), "{status} {complaints}");
    assert_eq!(peer.stream.read(&mut [0; 10]).expect("an end"), 0);
    home.leave();
}

/// The most requests of one peer that wait for their answers: the rings of the switch have room for those of all peers.
const UNANSWERED_MAX: u32 = 300;

/// Asks without a pause until told to stop, and returns how often each request was answered.
fn ask_on(mut peer: Peer, number: u32, stop: &AtomicBool) -> (u32, BTreeMap<String, u32>) {
    let mut hearing = Peer { stream: peer.stream.try_clone().expect("a stream"), read: Vec::new() };
    let (first, last) = (number * 1_000_000, number * 1_000_000 + 999_999);
    let answered = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let answered = &answered;
        let sent = scope.spawn(move || {
            let mut sent = 0;
            while !stop.load(Ordering::Acquire) {
                if sent < answered.load(Ordering::Acquire) + UNANSWERED_MAX {
                    peer.send(&peer.caller(first + sent, "echo").request("OPTIONS", ""));
                    sent += 1;
                } else {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            // TCP repeats nothing: a last one, and when its answer is here all others must be.
            peer.send(&peer.caller(last, "echo").request("OPTIONS", ""));
            sent + 1
        });
        let mut answers = BTreeMap::new();
        let last = format!("call-{last}");
        while !answers.contains_key(&last) {
            let answer = hearing.next();
            assert_eq!(status(&answer), 200, "{answer}");
            *answers.entry(header(&answer, "Call-ID").expect("a field").to_owned()).or_insert(0) += 1;
            answered.fetch_add(1, Ordering::Release);
        }
        (sent.join().expect("all is sent"), answers)
    })
}

#[test]
fn under_load_every_request_over_tcp_is_answered_once_through_many_changes_of_hands() {
    let mut home = Home::new("tcp-load", 60);
    let mut process = home.start();
    let stop = Arc::new(AtomicBool::new(false));
    let askers = (0..6).map(|number| {
        let (peer, stop) = (Peer::connect(home.sip), stop.clone());
        std::thread::spawn(move || ask_on(peer, number, &stop))
    });
    let askers: Vec<_> = askers.collect();
    for turn in 0..5 {
        std::thread::sleep(Duration::from_millis(300));
        match turn % 3 {
            1 => try_to_take_over(&mut home, &process),
            _ => process = take_over(&mut home, process),
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Release);
    for asker in askers {
        let (sent, answers) = asker.join().expect("the connection stayed open");
        assert!(sent > 100, "{sent}");
        assert_eq!(answers.len() as u32, sent);
        let twice: Vec<_> = answers.iter().filter(|(_, count)| **count != 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
    let (status, complaints) = process.terminate(false);
    assert!(status.success(), "{status} {complaints}");
    assert_eq!(home.summary("/network/tcp_accepted"), 0);
    home.leave();
}

#[test]
fn calls_of_sipp_over_one_and_over_many_connections_go_on() {
    if !is_here() {
        return;
    }
    let mut home = Home::new("tcp-sipp", 500);
    let first = home.start();
    let quiet = first.sockets();
    let sipp = |more: &[&str]| Sipp::start(&held("7000"), LOOPBACK, home.sip, more);
    let callers = [
        sipp(&["-t", "tn", "-max_socket", "400", "-s", "echo", "-m", "300", "-r", "200", "-l", "300"]),
        sipp(&["-t", "t1", "-s", "echo", "-m", "100", "-r", "100", "-l", "100"]),
    ];
    first.wait_for_sockets("one connection a call, and one for a hundred", |open| open >= quiet + 301);
    std::thread::sleep(Duration::from_millis(500));
    let second = take_over(&mut home, first);
    assert_eq!(second.taken_up(), 400);
    // Each caller is still on hold: the re-INVITE and the BYE come over a connection that was handed over.
    callers.into_iter().for_each(Sipp::finish);
    second.wait_for_sockets("no connection", |open| open <= quiet);
    let (status, complaints) = second.terminate(false);
    assert!(status.success() && complaints.is_empty(), "{status} {complaints}");
    assert_eq!(home.summary("/signalling/outcomes/peer hung up"), 400, "no call was lost");
    let network = |name: &str| home.summary(&format!("/network/{name}"));
    assert_eq!((network("tcp_taken_over"), network("tcp_left_behind")), (301, 0));
    assert_eq!((network("tcp_accepted"), network("tcp_connected")), (0, 0), "none was opened, by either side");
    home.leave();
}
