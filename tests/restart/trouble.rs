//! What can go wrong with a state folder, as the command reports it on the terminal.

use crate::common::Caller;
use crate::process::Home;
use std::net::UdpSocket;
use std::time::Duration;

#[test]
fn a_second_process_on_the_folder_is_refused() {
    let home = Home::new("two", 10);
    let first = home.start();
    let mut elsewhere = Home::new("second", 10);
    elsewhere.sip.set_port(1);
    std::os::unix::fs::symlink(home.state(), elsewhere.state()).expect("a link");
    let mut second = elsewhere.spawn();
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.complained().contains("another process runs on the state folder"), "{}", second.complained());
    assert!(first.terminate(false).0.success(), "the first one does not mind");
    elsewhere.leave();
    home.leave();
}

#[test]
fn ports_that_the_system_chooses_are_refused() {
    let mut home = Home::new("port", 10);
    home.sip.set_port(0);
    let mut process = home.spawn();
    assert_eq!(process.wait().code(), Some(1));
    assert!(process.complained().contains("fixed ports"), "{}", process.complained());
    home.leave();
}

#[test]
fn a_full_disk_is_told_of_at_once_and_the_last_good_state_is_found() {
    let mut home = Home::new("full", 40);
    // No file may become larger than 16 KiB: a write beyond fails as on a full disk.
    home.before = "trap '' XFSZ; ulimit -f 32;";
    let process = home.start();
    let sip = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sip.connect(home.sip).expect("an address");
    sip.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let local = sip.local_addr().expect("an address").to_string();
    let mut answered = 0;
    for call in 0..30 {
        let mut caller = Caller::new(call, "echo");
        caller.peer.clone_from(&local);
        sip.send(caller.invite().as_bytes()).expect("sent");
        let mut answer = [0; 4_096];
        let length = sip.recv(&mut answer).expect("calls go on without the journal");
        answered += u32::from(answer[..length].starts_with(b"SIP/2.0 200"));
    }
    assert_eq!(answered, 30);
    let complaints = process.complained();
    assert!(complaints.contains("can't be written") && complaints.contains("File too large"), "{complaints}");
    process.kill();
    home.before = "";
    let process = home.start();
    assert!((1..30).contains(&process.taken_up()), "{} of 30", process.taken_up());
    home.leave();
}
