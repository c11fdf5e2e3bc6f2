//! SIP over TCP.

use super::*;
use ringworld_components::edge::{ConnId, Flow, SendFailure};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

pub fn sip(input: Input) -> Option<(Flow, Vec<u8>)> {
    match input {
        Input::Sip { flow, bytes, message } if message.is_ok() => Some((flow, bytes.to_vec())),
        _ => None,
    }
}

pub fn opened(input: Input) -> Option<Flow> {
    if let Input::ConnOpened(flow) = input { Some(flow) } else { None }
}

pub fn closed(input: Input) -> Option<ConnId> {
    if let Input::ConnClosed(conn) = input { Some(conn) } else { None }
}

pub fn failed(input: Input) -> Option<(u64, SendFailure)> {
    if let Input::SendFailed { transaction, failure } = input { Some((transaction.0, failure)) } else { None }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

pub fn is_closed(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 4_096]), Ok(1..))
}

pub const LISTEN: &[(Transport, &str)] = &[(Transport::Tcp, "127.0.0.1:0")];

#[test]
fn a_message_comes_in_and_the_answer_goes_back_over_the_same_connection() {
    let mut fixture = Fixture::start(config(LISTEN));
    let mut peer = connect(fixture.sip(0));
    peer.write_all(&options("tcp", 10)).unwrap();
    let flow = fixture.wait(0, opened);
    assert_eq!((flow.local, flow.remote), (fixture.sip(0), peer.local_addr().unwrap()));
    assert_eq!(fixture.wait(0, sip), (flow, options("tcp", 10)));
    fixture.send_to(flow.back(), b"SIP/2.0 200 OK\r\n\r\n", 0);
    assert_eq!(read(&mut peer, 18), b"SIP/2.0 200 OK\r\n\r\n");
    drop(peer);
    assert_eq!(fixture.wait(0, closed), flow.conn);
    fixture.until("the gauge falls", |counted| counted.tcp_connections == 0);
}

#[test]
fn messages_are_framed_wherever_the_stream_is_cut() {
    let mut fixture = Fixture::start(config(LISTEN));
    let mut peer = connect(fixture.sip(0));
    let (first, second) = (options("cut1", 7), options("cut2", 0));
    let both = [first.clone(), second.clone()].concat();
    for cut in 0..both.len() {
        peer.write_all(&both[..cut]).unwrap();
        // The test does not depend on the pause: if both parts arrive as one, that is one more case.
        std::thread::yield_now();
        peer.write_all(&both[cut..]).unwrap();
        assert_eq!(fixture.wait(0, sip).1, first, "cut at {cut}");
        assert_eq!(fixture.wait(0, sip).1, second, "cut at {cut}");
    }
    for byte in &both {
        peer.write_all(&[*byte]).unwrap();
    }
    assert_eq!(fixture.wait(0, sip).1, first);
    assert_eq!(fixture.wait(0, sip).1, second);
}

#[test]
fn a_ping_is_answered_with_a_pong() {
    let mut fixture = Fixture::start(config(LISTEN));
    let mut peer = connect(fixture.sip(0));
    peer.write_all(b"\r\n\r\n").unwrap();
    assert_eq!(read(&mut peer, 2), b"\r\n");
    peer.write_all(&options("after", 0)).unwrap();
    assert_eq!(fixture.wait(0, sip).1, options("after", 0));
    assert_eq!(fixture.counted().sip_keep_alives, 1);
}

#[test]
fn a_connection_of_ours_is_opened_once_and_used_again() {
    let mut fixture = Fixture::start(config(&[]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    for text in ["OPTIONS sip:1 SIP/2.0\r\n\r\n", "OPTIONS sip:2 SIP/2.0\r\n\r\n"] {
        fixture.send(Transport::Tcp, remote, text.as_bytes(), 0);
    }
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(read(&mut peer, 25), b"OPTIONS sip:1 SIP/2.0\r\n\r\n");
    assert_eq!(read(&mut peer, 25), b"OPTIONS sip:2 SIP/2.0\r\n\r\n");
    let flow = fixture.wait(0, opened);
    assert_eq!((flow.remote, flow.local), (remote, peer.peer_addr().unwrap()));
    // The preferred connection is closed, but there is one to the same peer.
    fixture.send_to(Target { conn: ConnId(4_711), ..flow.back() }, b"OPTIONS sip:3 SIP/2.0\r\n\r\n", 0);
    assert_eq!(read(&mut peer, 25), b"OPTIONS sip:3 SIP/2.0\r\n\r\n");
    assert_eq!(fixture.counted().tcp_connected, 1);
    drop(peer);
    assert_eq!(fixture.wait(0, closed), flow.conn);
}

#[test]
fn a_peer_that_refuses_is_reported() {
    let mut fixture = Fixture::start(config(&[]));
    let remote = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fixture.send(Transport::Tcp, remote, b"OPTIONS sip:1 SIP/2.0\r\n\r\n", 9);
    assert_eq!(fixture.wait(0, failed), (9, SendFailure::Connection));
    assert_eq!(fixture.counted().tcp_connect_failed, 1);
}

#[test]
fn a_large_request_goes_over_tcp_and_says_so_in_its_via() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0")]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let large = options("large", 1_300);
    fixture.send(Transport::Udp, listener.local_addr().unwrap(), &large, 0);
    let (mut peer, _) = listener.accept().unwrap();
    let received = String::from_utf8(read(&mut peer, large.len())).unwrap();
    assert!(received.contains("Via: SIP/2.0/TCP 127.0.0.1:5070"), "{received}");
}

#[test]
fn a_large_request_that_moved_to_tcp_is_not_repeated_there() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0")]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let (large, other) = (options("large", 1_300), options("other", 1_300));
    // While the connection is being opened, perhaps, and certainly when it is open.
    fixture.send(Transport::Udp, remote, &large, 7);
    fixture.send(Transport::Udp, remote, &large, 7);
    let (mut peer, _) = listener.accept().unwrap();
    fixture.wait(0, opened);
    fixture.send(Transport::Udp, remote, &large, 7);
    fixture.send(Transport::Udp, remote, &other, 8);
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let received = String::from_utf8(read(&mut peer, large.len() + other.len())).unwrap();
    assert_eq!((received.matches("Call-ID: large").count(), received.matches("Call-ID: other").count()), (1, 1));
    let counted = fixture.counted();
    assert_eq!((counted.sip_large_over_tcp, counted.sip_large_repeats_withheld), (2, 2));
    // A closed connection may have lost what was sent over it, unread: then it is sent again.
    drop(peer);
    fixture.wait(0, closed);
    fixture.send(Transport::Udp, remote, &large, 7);
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(read(&mut peer, large.len()).len(), large.len());
}

#[test]
fn a_large_request_falls_back_to_udp_and_keeps_to_it() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0")]));
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let large = options("large", 1_300);
    for _ in 0..2 {
        fixture.send(Transport::Udp, peer.local_addr().unwrap(), &large, 0);
        let mut bytes = vec![0; 4_096];
        let len = peer.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], large);
    }
    let counted = fixture.counted();
    assert_eq!((counted.sip_large_over_udp, counted.tcp_connect_failed), (2, 1));
}

#[test]
fn beyond_the_limit_connections_are_closed_at_once() {
    let mut config = config(LISTEN);
    config.tcp.connections_max = 2;
    let mut fixture = Fixture::start(config);
    let kept = [connect(fixture.sip(0)), connect(fixture.sip(0))];
    fixture.until("two are open", |counted| counted.tcp_connections == 2);
    assert!(is_closed(&mut connect(fixture.sip(0))));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    fixture.send(Transport::Tcp, listener.local_addr().unwrap(), b"OPTIONS sip:1 SIP/2.0\r\n\r\n", 3);
    assert_eq!(fixture.wait(0, failed), (3, SendFailure::Connection));
    assert_eq!(fixture.counted().tcp_refused, 2);
    drop(kept);
    fixture.until("there is room again", |counted| counted.tcp_connections == 0);
    let mut peer = connect(fixture.sip(0));
    peer.write_all(b"\r\n\r\n").unwrap();
    assert_eq!(read(&mut peer, 2), b"\r\n");
}

#[test]
fn a_peer_that_does_not_read_is_closed() {
    let mut config = config(LISTEN);
    config.tcp.queue_bytes_max = 100_000;
    let mut fixture = Fixture::start(config);
    let _peer = connect(fixture.sip(0));
    let flow = fixture.wait(0, opened);
    let message = [b"SIP/2.0 200 OK\r\n".to_vec(), vec![b'x'; 50_000]].concat();
    // The kernel's buffers take some megabytes first.
    for _ in 0..10_000 {
        fixture.send_to(flow.back(), &message, 6);
        if fixture.counted().tcp_slow_closed > 0 {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(fixture.wait(0, closed), flow.conn);
    assert_eq!(fixture.counted().tcp_slow_closed, 1);
}

#[test]
fn much_at_once_does_not_make_a_peer_slow() {
    let mut config = config(LISTEN);
    config.tcp.queue_bytes_max = 10_000;
    let mut fixture = Fixture::start(config);
    let mut peer = connect(fixture.sip(0));
    let flow = fixture.wait(0, opened);
    let output = |n: u64| {
        let bytes = format!("SIP/2.0 200 {n:09}{}\r\n\r\n", "x".repeat(475)).into();
        Output::Sip { target: flow.back(), bytes, transaction: StableId(0) }
    };
    // Less than the kernel takes, and much more than may wait.
    fixture.edges[0].send((0..600).map(output), []);
    for n in 0..600 {
        assert!(read(&mut peer, 500).starts_with(format!("SIP/2.0 200 {n:09}").as_bytes()), "message {n}");
    }
    assert_eq!(fixture.counted().tcp_slow_closed, 0);
}

#[test]
fn an_idle_connection_is_closed() {
    let mut config = config(LISTEN);
    config.tcp.idle = Duration::from_millis(30);
    let mut fixture = Fixture::start(config);
    let mut peer = connect(fixture.sip(0));
    let flow = fixture.wait(0, opened);
    assert!(is_closed(&mut peer));
    assert_eq!(fixture.wait(0, closed), flow.conn);
    assert_eq!(fixture.counted().tcp_idle_closed, 1);
}

#[test]
fn a_stream_that_is_not_sip_is_closed() {
    let fixture = Fixture::start(config(LISTEN));
    let mut peer = connect(fixture.sip(0));
    peer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(is_closed(&mut peer));
    fixture.until("it is counted", |counted| (counted.tcp_framing_closed, counted.tcp_connections) == (1, 0));
}

#[test]
fn a_request_without_a_length_is_answered_before_the_end() {
    let fixture = Fixture::start(config(LISTEN));
    let mut peer = connect(fixture.sip(0));
    let text = String::from_utf8(options("length", 0)).unwrap().replace("Content-Length: 0\r\n", "");
    peer.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("SIP/2.0 400 ") && answer.contains("Call-ID: length\r\n"), "{answer}");
}

#[test]
fn a_message_that_does_not_end_is_not_waited_for_though_bytes_keep_coming() {
    let mut config = config(LISTEN);
    config.tcp.message = Duration::from_millis(50);
    let fixture = Fixture::start(config);
    let mut peer = connect(fixture.sip(0));
    peer.write_all(b"OPTIONS sip:a SIP/2.0\r\nSubject: ").unwrap();
    while peer.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(2));
    }
    fixture.until("it is counted", |counted| (counted.tcp_slow_closed, counted.tcp_connections) == (1, 0));
}

#[test]
fn a_full_world_slows_the_peer_down_and_loses_nothing() {
    let mut config = config(LISTEN);
    config.rings.control_in = 2;
    let mut fixture = Fixture::start(config);
    let mut peer = connect(fixture.sip(0));
    for n in 0..50 {
        peer.write_all(&options(&format!("slow{n}"), 0)).unwrap();
    }
    for n in 0..50 {
        assert_eq!(fixture.wait(0, sip).1, options(&format!("slow{n}"), 0));
    }
    assert_eq!(fixture.counted().sip_in_ring_full, 0);
}
