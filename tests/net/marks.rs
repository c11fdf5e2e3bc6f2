//! The DSCP of what leaves, as the peer's system sees it (RFC 2474).

use super::dscp::{dscp, tell_marks};
use super::{Fixture, config, options};
use nix::sys::socket::{getsockopt, sockopt};
use ringworld::net::{Marks, NetConfig};
use ringworld_components::call::QosClass;
use ringworld_components::edge::{Output, Packet, RtpOut, Transport};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// A peer whose system reports how each datagram was marked.
fn peer(address: &str) -> UdpSocket {
    let peer = UdpSocket::bind(address).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    tell_marks(&peer);
    peer
}

fn packet(port: u16, peer: &UdpSocket, is_rtcp: bool) -> RtpOut {
    let mut packet = Box::<Packet>::default();
    (packet.port, packet.peer, packet.is_rtcp) = (port, peer.local_addr().unwrap(), is_rtcp);
    assert!(packet.fill(b"media"));
    RtpOut(packet)
}

#[test]
fn sip_is_marked_as_signalling_over_either_family() {
    for (ours, theirs) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0"), ("[::]:0", "127.0.0.1:0")] {
        let Ok(_) = UdpSocket::bind(ours) else { continue };
        for (marks, expected) in [(Marks::default(), 24), (Marks { signalling: 26, ..Marks::default() }, 26)] {
            let mut fixture = Fixture::start(NetConfig { marks, ..config(&[(Transport::Udp, ours)]) });
            let peer = peer(theirs);
            fixture.send(Transport::Udp, peer.local_addr().unwrap(), &options("c", 0), 1);
            assert_eq!(dscp(&peer), expected, "{ours}");
        }
    }
}

#[test]
fn rtp_is_marked_by_the_class_of_its_call_and_as_voice_again_for_the_next_one() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        if UdpSocket::bind(address).is_err() {
            continue;
        }
        let marks = Marks { signalling: 24, voice: 46, video: 34, expedited: 44 };
        let rtp_bind: IpAddr = address.parse::<SocketAddr>().unwrap().ip();
        let config = NetConfig { marks, rtp_bind, rtp_ports: super::ports(1), port_stock: 1, ..config(&[]) };
        let mut fixture = Fixture::start(config);
        let peer = peer(address);
        let port = fixture.port();
        fixture.edges[0].send([], [packet(port, &peer, false)]);
        assert_eq!(dscp(&peer), 46, "{address}");
        for (class, expected) in [(QosClass::Video, 34), (QosClass::ExpeditedForwarding, 44), (QosClass::Video, 34)] {
            for is_rtcp in [false, true] {
                fixture.edges[0].send([Output::PortMarked(port, class)], [packet(port, &peer, is_rtcp)]);
                assert_eq!(dscp(&peer), expected, "{address} {class:?}");
            }
        }
        fixture.edges[0].send([Output::PortReleased(port)], []);
        assert_eq!(fixture.port(), port);
        fixture.edges[0].send([], [packet(port, &peer, false)]);
        assert_eq!(dscp(&peer), 46, "the next call");
        assert_eq!(fixture.counted().ports_misreported, 0);
        fixture.edges[0].send([Output::PortMarked(port + 2, QosClass::Video)], []);
        fixture.until("a port that the world does not hold", |counted| counted.ports_misreported == 1);
        assert_eq!(fixture.counted().marks_refused, 0);
    }
}

#[test]
fn connections_are_marked_whichever_side_opened_them() {
    let mut fixture = Fixture::start(config(&[(Transport::Tcp, "127.0.0.1:0")]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    fixture.send(Transport::Tcp, listener.local_addr().unwrap(), &options("c", 0), 1);
    let dialled = listener.accept().unwrap();
    let accepted = TcpStream::connect(fixture.sip(0)).unwrap();
    fixture.until("both are open", |counted| counted.tcp_connected == 1 && counted.tcp_accepted == 1);
    // The system of a TCP peer does not report how segments were marked, so the marks are read from our own sockets.
    let (_, sockets) = fixture.halt();
    let octets: Vec<i32> =
        sockets.tcp.iter().map(|connection| getsockopt(&connection.socket, sockopt::Ipv4Tos).unwrap()).collect();
    assert_eq!(octets, [24 << 2, 24 << 2]);
    drop((dialled, accepted));
}
