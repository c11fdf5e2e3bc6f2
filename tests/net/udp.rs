//! SIP over UDP.

use super::*;
use ringworld_components::edge::{Flow, SendFailure};
use std::net::UdpSocket;

fn sip(input: Input) -> Option<(Flow, Vec<u8>)> {
    match input {
        Input::Sip { flow, bytes, message } if message.is_ok() => Some((flow, bytes.to_vec())),
        _ => None,
    }
}

fn peer(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    socket
}

fn heard(peer: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 65_536];
    let (len, from) = peer.recv_from(&mut bytes).unwrap();
    bytes.truncate(len);
    (bytes, from)
}

#[test]
fn a_message_comes_in_and_the_answer_goes_back() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0")]));
    let (peer, ours) = (peer("127.0.0.1:0"), fixture.sip(0));
    peer.send_to(&options("one", 0), ours).unwrap();
    let (flow, bytes) = fixture.wait(0, sip);
    assert_eq!(bytes, options("one", 0));
    assert_eq!((flow.local, flow.remote), (ours, peer.local_addr().unwrap()));
    fixture.send_to(flow.back(), b"SIP/2.0 200 OK\r\n\r\n", 0);
    assert_eq!(heard(&peer), (b"SIP/2.0 200 OK\r\n\r\n".to_vec(), ours));
    fixture.until("both are counted", |counted| (counted.sip_udp_in, counted.sip_udp_out) == (1, 1));
}

#[test]
fn the_local_address_is_the_one_that_the_peer_reached() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "0.0.0.0:0")]));
    let (peer, port) = (peer("127.0.0.1:0"), fixture.sip(0).port());
    for ours in ["127.0.0.1", "127.0.0.2"] {
        let ours = SocketAddr::new(ours.parse().unwrap(), port);
        peer.send_to(&options("local", 0), ours).unwrap();
        let (flow, _) = fixture.wait(0, sip);
        assert_eq!(flow.local, ours);
        fixture.send_to(flow.back(), b"SIP/2.0 200 OK\r\n\r\n", 0);
        assert_eq!(heard(&peer).1, ours, "the answer comes from where the question went");
    }
}

#[test]
fn both_families_are_served_and_ipv4_is_never_mapped() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "[::]:0")]));
    let port = fixture.sip(0).port();
    for (from, ours) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")] {
        let peer = peer(from);
        let ours = SocketAddr::new(ours.parse().unwrap(), port);
        peer.send_to(&options("family", 0), ours).unwrap();
        let (flow, _) = fixture.wait(0, sip);
        assert_eq!((flow.local, flow.remote), (ours, peer.local_addr().unwrap()));
        fixture.send_to(flow.back(), b"SIP/2.0 200 OK\r\n\r\n", 0);
        assert_eq!(heard(&peer).1, ours);
    }
}

#[test]
fn an_answer_leaves_by_the_socket_that_the_question_came_to() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0"), (Transport::Udp, "127.0.0.1:0")]));
    let peer = peer("127.0.0.1:0");
    for index in [1, 0, 1] {
        let ours = fixture.sip(index);
        peer.send_to(&options("socket", 0), ours).unwrap();
        let (flow, _) = fixture.wait(0, sip);
        fixture.send_to(flow.back(), b"SIP/2.0 200 OK\r\n\r\n", 0);
        assert_eq!(heard(&peer).1, ours);
    }
}

#[test]
fn keep_alives_and_garbage_are_counted_and_go_no_further() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0")]));
    let (peer, ours) = (peer("127.0.0.1:0"), fixture.sip(0));
    for datagram in [&b"\r\n\r\n"[..], b"\0", b"no SIP at all", b"\xff\xfe\xfd-------------------"] {
        peer.send_to(datagram, ours).unwrap();
    }
    peer.send_to(&options("after", 0), ours).unwrap();
    assert_eq!(
        fixture.wait(0, |input| matches!(input, Input::Sip { .. }).then(|| sip(input))).unwrap().1,
        options("after", 0)
    );
    let counted = fixture.counted();
    assert_eq!((counted.sip_keep_alives, counted.sip_malformed_dropped, counted.sip_udp_in), (2, 2, 3));
    assert_eq!(counted.malformed.values().sum::<u64>(), 2);
}

#[test]
fn the_router_places_messages_and_each_world_gets_its_own() {
    let mut config = config(&[(Transport::Udp, "127.0.0.1:0")]);
    config.worlds = 2;
    // Every other one.
    let count = std::sync::atomic::AtomicUsize::new(0);
    let router: Router = Arc::new(move |_| count.fetch_add(1, Ordering::Relaxed));
    let mut fixture = Fixture::routed(config, router);
    let (peer, ours) = (peer("127.0.0.1:0"), fixture.sip(0));
    for call_id in ["a", "b", "c"] {
        peer.send_to(&options(call_id, 0), ours).unwrap();
    }
    assert_eq!(fixture.wait(0, sip).1, options("a", 0));
    assert_eq!(fixture.wait(1, sip).1, options("b", 0));
    assert_eq!(fixture.wait(0, sip).1, options("c", 0));
}

#[test]
fn a_closed_port_is_reported_to_the_transaction_and_others_are_not_disturbed() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0")]));
    let closed = peer("127.0.0.1:0").local_addr().unwrap();
    let open = peer("127.0.0.1:0");
    for _ in 0..20 {
        fixture.send(Transport::Udp, closed, b"OPTIONS sip:a SIP/2.0\r\n\r\n", 77);
        fixture.send(Transport::Udp, open.local_addr().unwrap(), b"OPTIONS sip:b SIP/2.0\r\n\r\n", 78);
    }
    let failed = fixture.wait(0, |input| match input {
        Input::SendFailed { transaction, failure } => Some((transaction, failure)),
        _ => None,
    });
    assert_eq!(failed, (StableId(77), SendFailure::Unreachable));
    (0..20).for_each(|_| assert_eq!(heard(&open).0, b"OPTIONS sip:b SIP/2.0\r\n\r\n"));
    assert_eq!(fixture.counted().sip_udp_send_errors, 0);
}

#[test]
fn a_peer_of_a_family_that_we_do_not_speak_is_unreachable() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0")]));
    fixture.send(Transport::Udp, "[::1]:5060".parse().unwrap(), b"OPTIONS sip:a SIP/2.0\r\n\r\n", 5);
    let failed =
        fixture.wait(0, |input| if let Input::SendFailed { failure, .. } = input { Some(failure) } else { None });
    assert_eq!(failed, SendFailure::Unreachable);
    assert_eq!(fixture.counted().sip_udp_no_socket, 1);
}

#[test]
fn a_world_that_does_not_drain_loses_messages_and_they_are_counted() {
    let mut config = config(&[(Transport::Udp, "127.0.0.1:0")]);
    config.rings.control_in = 4;
    let mut fixture = Fixture::start(config);
    let (peer, ours) = (peer("127.0.0.1:0"), fixture.sip(0));
    for n in 0..10 {
        peer.send_to(&options(&format!("full{n}"), 0), ours).unwrap();
    }
    fixture.until("six are dropped", |counted| counted.sip_in_ring_full == 6);
    assert_eq!(fixture.wait(0, sip).1, options("full0", 0), "the oldest are kept");
}

#[test]
fn a_burst_passes_whole_and_in_order() {
    let mut fixture = Fixture::start(config(&[(Transport::Udp, "127.0.0.1:0")]));
    let (peer, ours) = (peer("127.0.0.1:0"), fixture.sip(0));
    for n in 0..300 {
        peer.send_to(&options(&format!("burst{n}"), 700), ours).unwrap();
    }
    for n in 0..300 {
        assert_eq!(fixture.wait(0, sip).1, options(&format!("burst{n}"), 700));
    }
}
