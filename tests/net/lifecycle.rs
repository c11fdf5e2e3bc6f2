//! Starting, stopping and what is refused.

use super::*;
use ringworld::net::NetError;
use ringworld_components::edge::{Command, Operation};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};

fn refusal(config: NetConfig) -> NetError {
    match Net::start(config, Epoch::now(), to_first()) {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[test]
fn an_address_in_use_is_named() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let error = refusal(config(&[(Transport::Udp, &address.to_string())]));
    assert!(matches!(error, NetError::Bind { transport: Transport::Udp, address: named, .. } if named == address));
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_range_without_a_free_pair_is_refused() {
    let mut config = config(&[]);
    config.rtp_ports.1 = config.rtp_ports.0 + 1;
    let _other = UdpSocket::bind(("0.0.0.0", config.rtp_ports.0)).unwrap();
    assert!(matches!(refusal(config), NetError::NoPorts { source: Some(_), .. }));
}

#[test]
fn what_is_handed_over_before_the_stop_still_leaves() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0"), (Transport::Tcp, "127.0.0.1:0")]));
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut tcp = TcpStream::connect(fixture.sip(1)).unwrap();
    tcp.write_all(b"\r\n\r\n").unwrap();
    tcp.read_exact(&mut [0; 2]).unwrap();
    fixture.send(Transport::Udp, udp.local_addr().unwrap(), b"BYE sip:a SIP/2.0\r\n\r\n", 0);
    fixture.send(Transport::Tcp, tcp.local_addr().unwrap(), b"BYE sip:b SIP/2.0\r\n\r\n", 0);
    fixture.net.stop();
    assert_eq!(udp.recv(&mut [0; 64]).unwrap(), 21);
    let mut rest = Vec::new();
    tcp.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"BYE sip:b SIP/2.0\r\n\r\n");
}

#[test]
fn after_a_stop_everything_can_be_bound_again_and_no_thread_is_left() {
    let mut wanted = config(&[(Transport::Udp, "127.0.0.1:0"), (Transport::Tcp, "127.0.0.1:0")]);
    for round in 0..3 {
        let fixture = Fixture::start(wanted.clone());
        wanted.sip = fixture.net.sip_addresses().to_vec();
        let _peer = TcpStream::connect(fixture.sip(1)).unwrap();
        let counters = Arc::downgrade(fixture.net.counters());
        fixture.net.stop();
        drop(fixture.edges);
        assert!(counters.upgrade().is_none(), "round {round}: a thread still holds the counters");
    }
}

#[test]
fn commands_come_in_with_the_next_drain() {
    let mut fixture = Fixture::start(config(&[]));
    let commands = fixture.edges[0].commands();
    commands.try_send(Command { number: 4, operation: Operation::Drain }).unwrap();
    let number = fixture.wait(0, |input| if let Input::Command(command) = input { Some(command.number) } else { None });
    assert_eq!(number, 4);
}

#[test]
fn both_families_can_be_listened_on_apart() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (v4, v6) = (format!("0.0.0.0:{free}"), format!("[::]:{free}"));
    let mut fixture = Fixture::start(config(&[
        (Transport::Udp, &v6),
        (Transport::Udp, &v4),
        (Transport::Tcp, &v6),
        (Transport::Tcp, &v4),
    ]));
    for (from, to) in [("127.0.0.1:0", format!("127.0.0.1:{free}")), ("[::1]:0", format!("[::1]:{free}"))] {
        UdpSocket::bind(from).unwrap().send_to(&options("apart", 0), &to).unwrap();
        let local = fixture.wait(0, |input| if let Input::Sip { flow, .. } = input { Some(flow.local) } else { None });
        assert_eq!(local.to_string(), to);
    }
}

#[test]
fn our_address_towards_a_peer_is_never_unspecified() {
    let fixture = Fixture::start(config(&[(Transport::Udp, "0.0.0.0:0")]));
    let peer = "127.0.0.1:5060".parse().unwrap();
    let local = fixture.net.local_towards(Transport::Udp, peer).unwrap();
    assert_eq!(local, SocketAddr::new("127.0.0.1".parse().unwrap(), fixture.sip(0).port()));
    assert_eq!(fixture.net.local_towards(Transport::Tcp, peer), None);
    assert_eq!(fixture.net.local_towards(Transport::Udp, "[::1]:5060".parse().unwrap()), None);
}
