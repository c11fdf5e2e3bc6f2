//! RTP and its ports.

use super::*;
use ringworld::net::monotonic_ns;
use ringworld_components::edge::{PACKET_BYTES_MAX, Packet};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Instant;

fn rtp(input: Input) -> Option<Box<Packet>> {
    if let Input::Rtp(packet) = input { Some(packet) } else { None }
}

fn offered(input: Input) -> Option<u16> {
    if let Input::PortOpened(port) = input { Some(port) } else { None }
}

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    socket
}

fn ours(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

#[test]
fn packets_go_both_ways_on_both_ports_of_a_pair() {
    let mut fixture = Fixture::start(config(&[]));
    let (port, peer) = (fixture.port(), peer());
    for is_rtcp in [false, true] {
        let address = ours(port + u16::from(is_rtcp));
        peer.send_to(b"there", address).unwrap();
        let mut packet = fixture.wait(0, rtp);
        assert_eq!((packet.port, packet.is_rtcp, packet.bytes()), (port, is_rtcp, &b"there"[..]));
        assert_eq!(packet.peer, peer.local_addr().unwrap());
        assert!(packet.fill(b"and back"));
        fixture.send_rtp(packet);
        let mut bytes = [0; 64];
        assert_eq!(peer.recv_from(&mut bytes).unwrap(), (8, address));
        assert_eq!(&bytes[..8], b"and back");
    }
    fixture.until("both are counted", |counted| (counted.rtp_in, counted.rtp_out) == (2, 2));
}

#[test]
fn ipv6_peers_are_served_on_the_same_pair() {
    let mut fixture = Fixture::start(config(&[]));
    let port = fixture.port();
    let peer = UdpSocket::bind("[::1]:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    peer.send_to(b"six", ("::1", port)).unwrap();
    let packet = fixture.wait(0, rtp);
    assert_eq!(packet.peer, peer.local_addr().unwrap());
    fixture.send_rtp(packet);
    assert_eq!(peer.recv_from(&mut [0; 64]).unwrap().0, 3);
}

#[test]
fn an_arrival_is_stamped_when_it_arrives_and_not_when_it_is_gathered() {
    let (began_ns, mut fixture) = (monotonic_ns(), Fixture::start(config(&[])));
    let (port, peer) = (fixture.port(), peer());
    let mut bounds_us = Vec::new();
    for _ in 0..20 {
        let before_us = (monotonic_ns() - began_ns) / 1_000;
        peer.send_to(b"now", ours(port)).unwrap();
        bounds_us.push((before_us, (monotonic_ns() - began_ns) / 1_000));
    }
    // The epoch began between `began_ns` and the end of `start`; the first packet tells the difference within its bounds.
    let stamps: Vec<u64> = bounds_us.iter().map(|_| fixture.wait(0, rtp).arrived_us).collect();
    assert!(stamps.is_sorted(), "{stamps:?}");
    assert!(stamps.first() < stamps.last(), "one gathering, many stamps: {stamps:?}");
    assert!(stamps.iter().zip(&bounds_us).all(|(stamp, (_, after))| stamp <= after), "{stamps:?} {bounds_us:?}");
}

#[test]
fn the_stock_is_kept_filled_until_the_range_is_exhausted() {
    let mut fixture = Fixture::start(config(&[]));
    let (first, _) = fixture.net.config().rtp_ports;
    let taken: Vec<u16> = (0..4).map(|_| fixture.port()).collect();
    assert_eq!(taken, [first, first + 2, first + 4, first + 6]);
    fixture.until("all are taken", |counted| (counted.ports_taken, counted.ports_offered) == (4, 0));
    fixture.edges[0].send([Output::PortReleased(first + 4)], []);
    assert_eq!(fixture.wait(0, offered), first + 4, "what comes back is offered again");
    let counted = fixture.counted();
    assert_eq!((counted.ports_open, counted.ports_taken, counted.ports_offered), (4, 3, 1));
}

#[test]
fn pairs_that_nothing_needs_any_more_are_closed() {
    let mut config = config(&[]);
    (config.rtp_ports, config.port_stock) = (ports(30), 4);
    let mut fixture = Fixture::start(config);
    let taken: Vec<u16> = (0..26).map(|_| fixture.port()).collect();
    fixture.until("all are open", |counted| (counted.ports_open, counted.ports_taken) == (30, 26));
    fixture.edges[0].send(taken.into_iter().map(Output::PortReleased), []);
    fixture.until("all are back", |counted| (counted.ports_taken, counted.ports_offered) == (0, 4));
    let deadline = Instant::now() + Duration::from_secs(30);
    while fixture.counted().ports_open > 4 {
        assert!(Instant::now() < deadline, "{} pairs are still open", fixture.counted().ports_open);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_port_in_use_is_skipped() {
    let mut config = config(&[]);
    let first = config.rtp_ports.0;
    config.port_stock = 4;
    let other = UdpSocket::bind(("0.0.0.0", first + 3)).unwrap();
    let mut fixture = Fixture::start(config);
    let taken: Vec<u16> = (0..3).map(|_| fixture.port()).collect();
    assert_eq!(taken, [first, first + 4, first + 6]);
    drop(other);
    assert_eq!(fixture.port(), first + 2, "once it is free it is used after all");
}

#[test]
fn worlds_share_the_stock() {
    let mut config = config(&[]);
    (config.worlds, config.port_stock) = (2, 4);
    let mut fixture = Fixture::start(config);
    let (first, _) = fixture.net.config().rtp_ports;
    for world in [0, 1] {
        let ports = [fixture.wait(world, offered), fixture.wait(world, offered)];
        assert_eq!(ports, [first + 2 * world as u16, first + 4 + 2 * world as u16]);
    }
}

#[test]
fn what_comes_between_two_calls_is_heard_before_the_next_one_has_the_port() {
    let mut fixture = Fixture::start(config(&[]));
    let peer = peer();
    let ports: Vec<u16> = (0..4).map(|_| fixture.port()).collect();
    fixture.edges[0].send([Output::PortReleased(ports[0])], []);
    assert_eq!(fixture.wait(0, offered), ports[0]);
    peer.send_to(b"late", ours(ports[0])).unwrap();
    assert_eq!(fixture.wait(0, rtp).bytes(), b"late", "the world is told of the source");
    fixture.edges[0].send([Output::PortTaken(ports[0])], []);
    peer.send_to(b"new", ours(ports[0])).unwrap();
    assert_eq!(fixture.wait(0, rtp).bytes(), b"new");
    assert_eq!(fixture.counted().rtp_unclaimed, 0);
}

#[test]
fn what_is_sent_with_the_release_still_leaves() {
    let mut fixture = Fixture::start(config(&[]));
    let (port, peer) = (fixture.port(), peer());
    let mut packet = Box::<Packet>::default();
    (packet.port, packet.peer) = (port, peer.local_addr().unwrap());
    assert!(packet.fill(b"farewell"));
    fixture.edges[0].send([Output::PortReleased(port)], [RtpOut(packet.clone())]);
    assert_eq!(peer.recv_from(&mut [0; 64]).unwrap().0, 8);
    fixture.until("the pair is back", |counted| counted.ports_taken == 0);
    fixture.send_rtp(packet);
    fixture.until("afterwards it is not ours", |counted| counted.rtp_foreign_port == 1);
}

#[test]
fn an_oversize_packet_is_dropped_and_the_largest_is_not() {
    let mut fixture = Fixture::start(config(&[]));
    let (port, peer) = (fixture.port(), peer());
    peer.send_to(&[1; PACKET_BYTES_MAX + 1], ours(port)).unwrap();
    peer.send_to(&[2; PACKET_BYTES_MAX], ours(port)).unwrap();
    assert_eq!(fixture.wait(0, rtp).bytes(), [2; PACKET_BYTES_MAX]);
    assert_eq!(fixture.counted().rtp_oversize, 1);
}

#[test]
fn a_full_ring_and_an_empty_pool_drop_and_count() {
    let mut config = config(&[]);
    (config.rings.rtp, config.rings.pool) = (8, 12);
    let mut fixture = Fixture::start(config);
    let (port, peer) = (fixture.port(), peer());
    (0..20).for_each(|_| assert!(peer.send_to(b"packet", ours(port)).is_ok()));
    fixture.until("all are seen", |counted| {
        counted.rtp_in + counted.rtp_in_ring_full + counted.rtp_pool_empty == 20 && counted.rtp_in == 8
    });
    let mut inputs = Vec::new();
    fixture.edges[0].drain(&mut inputs, 100);
    let held: Vec<Box<Packet>> = inputs.into_iter().filter_map(rtp).collect();
    assert_eq!(held.len(), 8);
    // The world holds eight buffers, four are left.
    (0..20).for_each(|_| assert!(peer.send_to(b"packet", ours(port)).is_ok()));
    fixture.until("four buffers receive", |counted| counted.rtp_in == 12);
    fixture.until("the rest is counted", |counted| {
        counted.rtp_in + counted.rtp_in_ring_full + counted.rtp_pool_empty == 40 && counted.rtp_pool_empty > 0
    });
    // What is sent gives its buffer back.
    held.into_iter().for_each(|packet| fixture.send_rtp(packet));
    fixture.until("buffers return", |counted| (counted.rtp_out, counted.rtp_buffers_free) == (8, 8));
}

#[test]
fn a_burst_on_one_port_passes_whole_and_in_order_both_ways() {
    let mut fixture = Fixture::start(config(&[]));
    let (port, peer) = (fixture.port(), peer());
    for byte in 0..50u8 {
        peer.send_to(&[byte; 20], ours(port)).unwrap();
    }
    let packets: Vec<Box<Packet>> = (0..50).map(|_| fixture.wait(0, rtp)).collect();
    assert!(packets.windows(2).all(|pair| pair[0].arrived_us <= pair[1].arrived_us));
    assert!(packets.iter().enumerate().all(|(byte, packet)| packet.bytes() == [byte as u8; 20]));
    // A packet that can't be sent does not keep those after it from leaving.
    let mut unreachable = packets[0].clone();
    unreachable.peer = "0.0.0.0:0".parse().unwrap();
    let mut sent: Vec<RtpOut> = packets.into_iter().map(RtpOut).collect();
    sent.insert(25, RtpOut(unreachable));
    fixture.edges[0].send([], sent);
    for byte in 0..50u8 {
        let mut bytes = [0; 64];
        assert_eq!(peer.recv_from(&mut bytes).unwrap(), (20, ours(port)));
        assert_eq!(bytes[0], byte);
    }
    fixture.until("all are counted", |counted| (counted.rtp_out, counted.rtp_send_errors) == (50, 1));
}

#[test]
fn packets_leave_from_the_address_that_the_peer_reached() {
    let mut fixture = Fixture::start(config(&[]));
    let (port, peer) = (fixture.port(), peer());
    for ip in ["127.0.0.2", "127.0.0.1", "127.0.0.3"] {
        let address: SocketAddr = SocketAddr::new(ip.parse().unwrap(), port);
        peer.send_to(b"there", address).unwrap();
        let packet = fixture.wait(0, rtp);
        fixture.edges[0].send([], [RtpOut(packet.clone()), RtpOut(packet)]);
        for _ in 0..2 {
            assert_eq!(peer.recv_from(&mut [0; 64]).unwrap(), (5, address));
        }
    }
}

#[test]
fn several_threads_share_the_range() {
    let mut config = config(&[]);
    (config.rtp_threads, config.port_stock) = (2, 4);
    let mut fixture = Fixture::start(config);
    let peer = peer();
    let mut ports: Vec<u16> = (0..4).map(|_| fixture.port()).collect();
    ports.sort_unstable();
    let (first, _) = fixture.net.config().rtp_ports;
    assert_eq!(ports, [first, first + 2, first + 4, first + 6]);
    for port in ports {
        peer.send_to(b"there", ours(port)).unwrap();
        let packet = fixture.wait(0, rtp);
        assert_eq!(packet.port, port);
        fixture.send_rtp(packet);
        assert_eq!(peer.recv_from(&mut [0; 64]).unwrap(), (5, ours(port)));
    }
}
