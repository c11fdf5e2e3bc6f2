//! A handler that had not decided before the restart is asked again.

use crate::common::{Caller, status};
use crate::process::free_ports;
use ringworld::components::edge::{Event, Operation};
use ringworld::config::{Config, PortRange, SipListen};
use ringworld::engine::Switch;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

fn incoming(switch: &Switch) -> Event {
    let events = switch.subscribe(100);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let event = events.recv_deadline(deadline).expect("a handler is asked");
        if matches!(event, Event::Incoming { .. }) {
            return event;
        }
    }
}

#[test]
fn a_handler_that_had_not_decided_is_asked_again_in_the_next_life() {
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let mut config = Config::default();
    config.network.sip = vec![format!("udp:127.0.0.1:{port}").parse::<SipListen>().expect("an address")];
    let (first, last) = free_ports(10);
    config.network.rtp_ports = PortRange { first, last };
    config.services.ask_handler = true;
    config.state.folder =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("restart-{}-asked", std::process::id()));
    let _ = std::fs::remove_dir_all(&config.state.folder);
    let sip = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sip.connect(("127.0.0.1", port)).expect("an address");
    sip.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let mut caller = Caller::new(1, "echo");
    caller.peer = sip.local_addr().expect("an address").to_string();

    let switch = Switch::start(&config).expect("a switch");
    let events = switch.subscribe(100);
    sip.send(caller.invite().as_bytes()).expect("sent");
    let asked = events.recv_timeout(Duration::from_secs(10)).expect("a handler is asked");
    drop(switch.stop());

    let switch = Switch::start(&config).expect("a switch");
    assert_eq!(switch.taken_up().0, 1);
    let again = incoming(&switch);
    assert_eq!(again, asked);
    let Event::Incoming { session, .. } = again else { panic!("{again:?}") };
    let answer = Operation::Answer { session, service: "echo".into() };
    switch.command_session(session, answer).expect("the call is answered");
    let mut buffer = [0; 4_096];
    let answered = (0..5).any(|_| {
        let length = sip.recv(&mut buffer).expect("a response");
        status(&String::from_utf8_lossy(&buffer[..length])) == 200
    });
    assert!(answered);
    drop(switch.stop());
    std::fs::remove_dir_all(&config.state.folder).expect("the folder");
}
