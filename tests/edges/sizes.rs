//! Messages that are too large: for the limits, or for a datagram.

use super::peer::{Peer, header, socket, status};
use super::{Running, config};
use ringworld::components::call::SessionState;
use ringworld::components::edge::{Event, Operation, PlaceCall, Transport};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

#[test]
fn a_message_beyond_the_limits_is_513_and_counted_over_udp_and_tcp() {
    let mut config = config(&["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]);
    (config.sip.message_bytes_max, config.sip.headers_max) = (2_000, 20);
    let running = Running::start(&config);
    let mut peer = Peer::new("127.0.0.1", running.at(Transport::Udp, "127.0.0.1"), "size");
    let own = peer.own();
    let plain = peer.request("OPTIONS", "echo", &own, "");
    let with = |lines: &str| plain.replace("Max-Forwards", &format!("{lines}Max-Forwards"));
    let large = with(&format!("Subject: {}\r\n", "x".repeat(2_000)));
    let many = with(&"X: y\r\n".repeat(20));
    for text in [&large, &many] {
        peer.send(text);
        let (answer, _) = peer.hear();
        assert_eq!((status(&answer), header(&answer, "Call-ID")), (513, Some("size")), "{answer}");
        let mut stream = TcpStream::connect(running.at(Transport::Tcp, "127.0.0.1")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        stream.write_all(text.replace("SIP/2.0/UDP", "SIP/2.0/TCP").as_bytes()).unwrap();
        let mut bytes = [0; 2_048];
        let len = stream.read(&mut bytes).unwrap();
        assert_eq!(status(&String::from_utf8_lossy(&bytes[..len])), 513);
    }
    // A message within the limits is answered.
    peer.call = "small".into();
    peer.send(&peer.request("OPTIONS", "echo", &own, ""));
    assert_eq!(status(&peer.hear().0), 200);
    let malformed = running.finish().network.malformed;
    assert_eq!((malformed.get("too_large"), malformed.get("too_many_headers")), (Some(&2), Some(&2)), "{malformed:?}");
}

/// One message of a stream.
fn read_message(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0; 1]);
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a message");
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).expect("text");
    let mut body = vec![0; header(&head, "Content-Length").and_then(|len| len.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).expect("a body");
    head + &String::from_utf8(body).expect("text")
}

fn answer(request: &str, contact: SocketAddr, sdp: &str) -> String {
    let copied: String = ["Via", "From", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", header(request, name).unwrap_or_default()))
        .concat();
    let to = header(request, "To").unwrap_or_default();
    let tag = if to.contains(";tag=") { "" } else { ";tag=t" };
    format!(
        "SIP/2.0 200 OK\r\n{copied}To: {to}{tag}\r\nContact: <sip:callee@{contact}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A call whose INVITE is larger than 1,300 bytes, to a callee that is to be reached over UDP.
fn place_large(running: &Running, remote: SocketAddr) {
    let local = running.switch.local_towards(Transport::Udp, remote).expect("an address");
    let call = PlaceCall {
        from: format!("sip:switch@{local}"),
        to: format!("sip:callee@{remote};padding={}", "x".repeat(1_400)),
        remote,
        over_tcp: false,
        local,
        service: "silence".into(),
        sdp: None,
    };
    running.switch.command(0, Operation::Place(call)).expect("it is placed");
}

fn until(events: &crossbeam::channel::Receiver<Event>, wanted: SessionState) {
    loop {
        match events.recv_timeout(Duration::from_secs(10)).expect("an event in time") {
            Event::StateChanged { to, .. } if to == wanted => return,
            _ => {}
        }
    }
}

/// A UDP socket and a TCP listener at the same port.
fn both() -> (UdpSocket, TcpListener) {
    loop {
        let udp = socket("127.0.0.1");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

/// RFC 3261 section 18.1.1.
#[test]
fn a_large_invite_moves_to_tcp_and_its_call_goes_on() {
    let running = Running::start(&config(&["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]));
    let events = running.switch.subscribe(1_000);
    let (udp, tcp) = both();
    let remote = udp.local_addr().unwrap();
    place_large(&running, remote);
    let (mut stream, _) = tcp.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let invite = read_message(&mut stream);
    assert!(
        invite.len() > 1_300 && header(&invite, "Via").is_some_and(|via| via.starts_with("SIP/2.0/TCP ")),
        "{invite}"
    );
    // Longer than Timer A would wait: what has gone over TCP is not repeated.
    stream.set_read_timeout(Some(Duration::from_millis(1_200))).unwrap();
    assert!(stream.read(&mut [0; 10]).is_err(), "the INVITE came again");
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(answer(&invite, remote, SDP).as_bytes()).unwrap();
    until(&events, SessionState::Connected);
    // The callee's Contact says UDP: what is small enough goes there, wherever the INVITE went.
    let acknowledged = |text: &str| text.starts_with("ACK ");
    let mut bytes = [0; 4_096];
    udp.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let over_udp = udp.recv(&mut bytes).ok().map(|len| String::from_utf8_lossy(&bytes[..len]).into_owned());
    let ack = over_udp.clone().unwrap_or_else(|| read_message(&mut stream));
    assert!(acknowledged(&ack), "{ack}");
    running.switch.begin_drain();
    udp.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    if over_udp.is_some() {
        let bye = loop {
            let (len, from) = udp.recv_from(&mut bytes).expect("the BYE");
            let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
            if text.starts_with("BYE ") {
                udp.send_to(answer(&text, remote, "").as_bytes(), from).unwrap();
                break text;
            }
        };
        assert!(bye.contains("SIP/2.0/UDP"), "{bye}");
    } else {
        let bye = read_message(&mut stream);
        assert!(bye.starts_with("BYE "), "{bye}");
        stream.write_all(answer(&bye, remote, "").as_bytes()).unwrap();
    }
    until(&events, SessionState::Terminated);
    let summary = running.finish();
    assert_eq!(summary.signalling.calls_answered, 1);
    assert!(
        summary.network.sip_large_over_tcp >= 1 && summary.network.sip_large_over_udp == 0,
        "{:?}",
        summary.network
    );
}

#[test]
fn a_large_invite_falls_back_to_udp_if_the_peer_does_not_listen_on_tcp() {
    let running = Running::start(&config(&["udp:127.0.0.1:0"]));
    let events = running.switch.subscribe(1_000);
    let udp = socket("127.0.0.1");
    let remote = udp.local_addr().unwrap();
    place_large(&running, remote);
    let mut bytes = [0; 4_096];
    let (len, from) = udp.recv_from(&mut bytes).expect("the INVITE");
    let invite = String::from_utf8_lossy(&bytes[..len]).into_owned();
    assert!(len > 1_300 && header(&invite, "Via").is_some_and(|via| via.starts_with("SIP/2.0/UDP ")), "{invite}");
    udp.send_to(answer(&invite, remote, SDP).as_bytes(), from).unwrap();
    until(&events, SessionState::Connected);
    let summary = running.switch.stop();
    assert_eq!((summary.signalling.calls_answered, summary.network.tcp_connect_failed), (1, 1));
    assert!(summary.network.sip_large_over_udp >= 1, "{:?}", summary.network);
}
