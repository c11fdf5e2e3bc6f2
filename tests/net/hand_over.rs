//! Network threads end, others go on with their sockets, and peers over TCP notice nothing but a pause.

use super::tcp::{LISTEN, closed, connect, failed, is_closed, opened, read, sip};
use super::*;
use ringworld::net::{RtpPair, SipSocket, TcpConnection};
use ringworld_components::edge::{ConnId, SendFailure};
use rustix::net::{AddressFamily, SocketType};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

#[test]
fn half_a_message_before_and_half_after_are_one_message_of_the_same_connection() {
    let mut fixture = Fixture::start(config(LISTEN));
    let mut peer = connect(fixture.sip(0));
    let (first, second) = (options("before", 3), options("after", 7));
    peer.write_all(&first).unwrap();
    let (flow, _) = fixture.wait(0, sip);
    for cut in [1, 20, 200, second.len() - 8, second.len() - 1] {
        // The second part is read together with the first, and stays in the framer.
        peer.write_all(&[&first[..], &second[..cut]].concat()).unwrap();
        assert_eq!(fixture.wait(0, sip), (flow, first.clone()), "cut at {cut}");
        let (config, sockets) = fixture.halt();
        let [TcpConnection { flow: kept, held, .. }] = &sockets.tcp[..] else { panic!("one connection") };
        assert_eq!((*kept, held.dialled, held.announced), (flow, false, true));
        assert_eq!(held.unread, second[..cut], "cut at {cut}");
        peer.write_all(&second[cut..]).unwrap();
        fixture = Fixture::go_on(config, sockets);
        assert_eq!(fixture.wait(0, sip), (flow, second.clone()), "cut at {cut}");
    }
    fixture.send_to(flow.back(), b"SIP/2.0 200 OK\r\n\r\n", 0);
    assert_eq!(read(&mut peer, 18), b"SIP/2.0 200 OK\r\n\r\n");
    let counted = fixture.counted();
    assert_eq!((counted.tcp_taken_over, counted.tcp_accepted, counted.tcp_connections), (1, 0, 1));
    drop(peer);
    assert_eq!(fixture.wait(0, closed), flow.conn);
    fixture.until("the gauge falls", |counted| counted.tcp_connections == 0);
}

#[test]
fn what_the_ring_and_the_stream_hold_comes_once_and_in_order_however_often_it_changes_hands() {
    let mut config = config(LISTEN);
    config.rings.control_in = 3;
    let mut fixture = Fixture::start(config);
    let mut peer = connect(fixture.sip(0));
    for n in 0..40 {
        peer.write_all(&options(&format!("n{n}"), n)).unwrap();
    }
    let flow = fixture.wait(0, opened);
    for n in 0..40 {
        assert_eq!(fixture.wait(0, sip), (flow, options(&format!("n{n}"), n)));
        if n % 3 == 0 {
            // What was drained belongs to the world, and stays there.
            fixture = fixture.hand_over();
        }
    }
    assert_eq!(fixture.counted().sip_in_ring_full, 0);
    // Another connection is opened while no network threads run.
    let (config, sockets) = fixture.halt();
    let mut other = connect(peer.peer_addr().unwrap());
    other.write_all(b"\r\n").unwrap();
    fixture = Fixture::go_on(config, sockets).hand_over();
    assert_eq!(fixture.wait(0, opened).remote, other.local_addr().unwrap());
    other.write_all(b"\r\n").unwrap();
    assert_eq!(read(&mut other, 2), b"\r\n", "half a ping before, half after");
}

#[test]
fn what_a_slow_peer_has_not_read_is_written_once_and_in_order() {
    let mut fixture = Fixture::start(config(LISTEN));
    let mut peer = connect(fixture.sip(0));
    let flow = fixture.wait(0, opened);
    let message = |n: u32| format!("SIP/2.0 200 {n:09}{}\r\n\r\n", "x".repeat(50_000)).into_bytes();
    let mut sent = 0;
    // The kernel's buffers take some megabytes first.
    let sockets = loop {
        // Fewer than are too many for one connection.
        for _ in 0..4 {
            fixture.send_to(flow.back(), &message(sent), 6);
            sent += 1;
        }
        let (config, sockets) = fixture.halt();
        let waiting: usize = sockets.tcp[0].held.unsent.iter().map(|outgoing| outgoing.bytes.len()).sum();
        if waiting > 0 {
            assert!(sockets.untaken.is_empty(), "{:?}", sockets.untaken);
            break (config, sockets);
        }
        assert!(sent < 2_000, "the system takes everything");
        fixture = Fixture::go_on(config, sockets);
    };
    let reader = std::thread::spawn(move || {
        for n in 0..sent + 1 {
            assert_eq!(read(&mut peer, message(n).len()), message(n), "message {n}");
        }
        peer
    });
    let mut fixture = Fixture::go_on(sockets.0, sockets.1).hand_over().hand_over();
    fixture.send_to(flow.back(), &message(sent), 6);
    drop(reader.join().unwrap());
    assert_eq!(fixture.wait(0, closed), flow.conn);
}

/// A listener whose queue is full, so that connections to it stay half open; and what fills it.
fn full_listener() -> (TcpListener, TcpStream) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let filler = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener, filler)
}

#[test]
fn a_connection_that_is_being_opened_is_opened_anew_and_its_messages_leave_once() {
    let mut fixture = Fixture::start(config(&[]));
    let (listener, filler) = full_listener();
    let remote = listener.local_addr().unwrap();
    for text in ["OPTIONS sip:1 SIP/2.0\r\n\r\n", "OPTIONS sip:2 SIP/2.0\r\n\r\n"] {
        fixture.send(Transport::Tcp, remote, text.as_bytes(), 9);
    }
    fixture.until("it is being opened", |counted| counted.tcp_connections == 1);
    assert_eq!(fixture.counted().tcp_connected, 0);
    let (config, sockets) = fixture.halt();
    let waiting: Vec<_> = sockets.unsent.iter().map(|(to, outgoing)| (*to, outgoing.transaction.0)).collect();
    assert_eq!((waiting, sockets.tcp.len(), sockets.untaken.len()), (vec![(remote, 9), (remote, 9)], 0, 0));
    drop((listener.accept().unwrap(), filler));
    let mut fixture = Fixture::go_on(config, sockets);
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(read(&mut peer, 50), b"OPTIONS sip:1 SIP/2.0\r\n\r\nOPTIONS sip:2 SIP/2.0\r\n\r\n");
    let flow = fixture.wait(0, opened);
    assert_eq!(fixture.counted().tcp_connected, 1);

    // Once it is open it is handed over: the next threads go on with it and open none.
    let (config, sockets) = fixture.halt();
    assert!(sockets.tcp[0].held.dialled);
    let mut fixture = Fixture::go_on(config, sockets);
    fixture.send(Transport::Tcp, remote, b"OPTIONS sip:3 SIP/2.0\r\n\r\n", 0);
    assert_eq!(read(&mut peer, 25), b"OPTIONS sip:3 SIP/2.0\r\n\r\n");
    assert_eq!((fixture.counted().tcp_connected, fixture.counted().tcp_connections), (0, 1));
    drop(peer);
    assert_eq!(fixture.wait(0, closed), flow.conn);
}

#[test]
fn a_peer_that_can_not_be_reached_after_the_hand_over_is_reported_once() {
    let mut fixture = Fixture::start(config(&[]));
    let (listener, filler) = full_listener();
    let remote = listener.local_addr().unwrap();
    fixture.send(Transport::Tcp, remote, b"OPTIONS sip:1 SIP/2.0\r\n\r\n", 9);
    fixture.until("it is being opened", |counted| counted.tcp_connections == 1);
    let (config, sockets) = fixture.halt();
    drop((listener, filler));
    let mut fixture = Fixture::go_on(config, sockets);
    assert_eq!(fixture.wait(0, failed), (9, SendFailure::Connection));
    assert_eq!((fixture.counted().tcp_connect_failed, fixture.counted().tcp_connections), (1, 0));
}

#[test]
fn where_there_is_no_room_for_all_those_go_that_can_be_opened_again() {
    let mut fixture = Fixture::start(config(LISTEN));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    fixture.send(Transport::Tcp, listener.local_addr().unwrap(), b"OPTIONS sip:1 SIP/2.0\r\n\r\n", 0);
    let (mut ours, _) = listener.accept().unwrap();
    let dialled = fixture.wait(0, opened);
    let mut theirs = [connect(fixture.sip(0)), connect(fixture.sip(0))];
    let accepted = [fixture.wait(0, opened), fixture.wait(0, opened)];
    let (mut config, sockets) = fixture.halt();
    config.tcp.connections_max = 2;
    let mut fixture = Fixture::go_on(config, sockets);
    ours.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(read(&mut ours, 25).len(), 25);
    assert!(is_closed(&mut ours));
    assert_eq!(fixture.wait(0, closed), dialled.conn);
    for flow in accepted {
        fixture.send_to(flow.back(), b"SIP/2.0 200 OK\r\n\r\n", 0);
    }
    theirs.iter_mut().for_each(|peer| assert_eq!(read(peer, 18).len(), 18));
    let counted = fixture.counted();
    assert_eq!((counted.tcp_taken_over, counted.tcp_left_behind, counted.tcp_connections), (2, 1, 2));
}

#[test]
fn numbers_of_connections_are_not_given_twice() {
    let mut fixture = Fixture::start(config(LISTEN));
    let mut numbers = Vec::new();
    let mut peers = Vec::new();
    for turn in 1..4 {
        peers.push(connect(fixture.sip(0)));
        numbers.push(fixture.wait(0, opened).conn);
        let (config, sockets) = fixture.halt();
        fixture = Fixture::go_on(NetConfig { conn_base: turn << 32, ..config }, sockets);
    }
    assert_eq!(numbers, [1, (1 << 32) + 1, (2 << 32) + 1].map(ConnId));
    fixture.until("all go on", |counted| counted.tcp_taken_over == 3);
}

/// Other descriptors of the same sockets, as another process would get them.
fn copy(sockets: &Sockets) -> Sockets {
    let sip = |it: &SipSocket| SipSocket { socket: it.socket.try_clone().unwrap(), ..*it };
    let rtp =
        |it: &RtpPair| RtpPair { port: it.port, rtp: it.rtp.try_clone().unwrap(), rtcp: it.rtcp.try_clone().unwrap() };
    let tcp = |it: &TcpConnection| TcpConnection {
        flow: it.flow,
        socket: it.socket.try_clone().unwrap(),
        held: ringworld::net::Held { unread: it.held.unread.clone(), unsent: it.held.unsent.clone(), ..it.held },
    };
    Sockets {
        sip: sockets.sip.iter().map(sip).collect(),
        rtp: sockets.rtp.iter().map(rtp).collect(),
        tcp: sockets.tcp.iter().map(tcp).collect(),
        ..Sockets::default()
    }
}

#[test]
fn threads_that_are_prepared_and_dropped_have_read_and_written_nothing() {
    let mut fixture = Fixture::start(config(&[(Transport::Tcp, "127.0.0.1:0"), (Transport::Udp, "127.0.0.1:0")]));
    let (tcp, udp) = (fixture.sip(0), fixture.sip(1));
    let mut peer = connect(tcp);
    let flow = fixture.wait(0, opened);
    let (config, mut sockets) = fixture.halt();
    let pong = ringworld::net::Outgoing {
        bytes: b"SIP/2.0 200 OK\r\n\r\n"[..].into(),
        transaction: StableId(0),
        or_udp: false,
    };
    sockets.tcp[0].held.unsent.push(pong);
    let (net, edges) = Net::prepare(config.clone(), Epoch::now(), to_first(), copy(&sockets)).unwrap();
    peer.write_all(&options("meanwhile", 4)).unwrap();
    let mut late = connect(tcp);
    late.write_all(&options("late", 4)).unwrap();
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&options("datagram", 4), udp).unwrap();
    // Enough time for running threads to read.
    std::thread::sleep(Duration::from_millis(50));
    drop((net, edges));
    let mut fixture = Fixture::go_on(config, sockets);
    let mut came: Vec<_> = (0..3).map(|_| fixture.wait(0, sip)).collect();
    came.sort_by_key(|(flow, bytes)| (flow.transport, bytes.len()));
    assert_eq!(came[0].1, options("datagram", 4));
    assert_eq!(came[1].1, options("late", 4));
    assert_eq!(came[2], (flow, options("meanwhile", 4)));
    let mut answer = [0; 64];
    assert_eq!(peer.read(&mut answer).unwrap(), 18, "once");
}
