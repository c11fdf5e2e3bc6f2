//! Which addresses the switch names: never 0.0.0.0, always one that the peer can reach.

use super::peer::{Peer, audio_of, header, heard, packet, status};
use super::text::tag;
use super::{Running, config};
use ringworld::components::edge::{Operation, PlaceCall, Transport};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Both hosts that a 200 names: in Contact and in the SDP.
fn named(answer: &str) -> (String, String) {
    let contact = header(answer, "Contact").expect("a Contact");
    let host = contact.trim_start_matches("<sip:").rsplit_once(':').expect("a port").0.to_owned();
    (host.trim_matches(['[', ']']).to_owned(), audio_of(answer).ip().to_string())
}

#[test]
fn bound_to_all_addresses_each_peer_is_told_the_one_that_it_reached() {
    for (listen, reached) in [("0.0.0.0", ["127.0.0.1", "127.0.0.2"]), ("[::]", ["127.0.0.3", "::1"])] {
        let running = Running::start(&config(&[&format!("udp:{listen}:0")]));
        for ours in reached {
            let own = if ours == "::1" { "::1" } else { "127.0.0.1" };
            let call = format!("reached-{}", ours.replace(':', "-"));
            let mut peer = Peer::new(own, running.at(Transport::Udp, ours), &call);
            let media = peer.media();
            let answer = peer.call("echo", media);
            assert_eq!(named(&answer), (ours.to_owned(), ours.to_owned()), "{answer}");
            assert!(!answer.contains("0.0.0.0") && !answer.contains("::]"), "{answer}");
            // Media flow between these very addresses.
            peer.rtp.connect(audio_of(&answer)).expect("a peer");
            peer.rtp.send(&packet(7, 1, 0x42)).expect("it is sent");
            assert_eq!(heard(&peer.rtp, Duration::from_secs(5)), Some(0x42), "{ours}");
            peer.hang_up("echo");
        }
        running.finish();
    }
}

#[test]
fn rtp_is_bound_to_the_address_of_sip_and_to_no_other() {
    let running = Running::start(&config(&["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]));
    let mut peer = Peer::new("127.0.0.1", running.at(Transport::Udp, "127.0.0.1"), "bound");
    let media = peer.media();
    let port = audio_of(&peer.call("echo", media)).port();
    for port in [port, port + 1] {
        assert!(UdpSocket::bind(("127.0.0.1", port)).is_err(), "{port} is the switch's");
        UdpSocket::bind(("127.0.0.2", port)).expect("another address is free");
        assert!(UdpSocket::bind(("::1", port)).is_ok(), "{port} of IPv6");
    }
    peer.hang_up("echo");
    running.finish();
}

#[test]
fn an_advertised_address_is_told_to_every_peer() {
    let mut config = config(&["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]);
    config.sip.advertised_address = Some("203.0.113.9".parse().unwrap());
    let running = Running::start(&config);
    let mut peer = Peer::new("127.0.0.1", running.at(Transport::Udp, "127.0.0.1"), "advertised");
    let media = peer.media();
    let answer = peer.call("echo", media);
    assert_eq!(named(&answer), ("203.0.113.9".to_owned(), "203.0.113.9".to_owned()));
    peer.hang_up("echo");
    // The same holds when the switch calls: in Via, Contact and SDP.
    let remote = peer.sip.local_addr().unwrap();
    let local = running.switch.local_towards(Transport::Udp, remote).expect("an address");
    let call = PlaceCall {
        from: "sip:switch@example.com".into(),
        to: format!("sip:peer@{remote}"),
        remote,
        over_tcp: false,
        local,
        service: "silence".into(),
        sdp: None,
    };
    running.switch.command(0, Operation::Place(call)).expect("it is placed");
    let (invite, _) = peer.hear();
    assert!(header(&invite, "Via").is_some_and(|via| via.starts_with("SIP/2.0/UDP 203.0.113.9:")), "{invite}");
    assert_eq!(named(&invite), ("203.0.113.9".to_owned(), "203.0.113.9".to_owned()));
    assert!(!invite.contains(&local.to_string()), "nowhere the address inside: {invite}");
    running.switch.stop();
}

/// RFC 3581: the response goes to where the request came from, and says where that was.
#[test]
fn rport_and_received_are_filled_and_the_response_comes_back() {
    let running = Running::start(&config(&["udp:127.0.0.1:0"]));
    let peer = Peer::new("127.0.0.1", running.at(Transport::Udp, "127.0.0.1"), "rport");
    let own: SocketAddr = peer.own().parse().unwrap();
    peer.send(&peer.request("OPTIONS", "echo", "10.9.9.9:9;rport", ""));
    let (answer, from) = peer.hear();
    assert_eq!((status(&answer), from), (200, peer.switch));
    let via = header(&answer, "Via").expect("a Via");
    assert!(via.contains(&format!(";rport={}", own.port())) && via.contains(";received=127.0.0.1"), "{via}");
    // Without rport it goes to the port of sent-by, at the address that the request came from.
    let other = Peer::new("127.0.0.1", peer.switch, "no-rport");
    peer.send(&other.request("OPTIONS", "echo", &format!("10.9.9.9:{}", other.sip.local_addr().unwrap().port()), ""));
    let (answer, _) = other.hear();
    let via = header(&answer, "Via").expect("a Via");
    assert!(via.ends_with(";received=127.0.0.1") && !via.contains(";rport"), "{via}");
    running.finish();
}

#[test]
fn a_call_over_tcp_lives_on_its_connection_and_line_ends_keep_it_alive() {
    let running = Running::start(&config(&["tcp:127.0.0.1:0", "udp:127.0.0.1:0"]));
    let switch = running.at(Transport::Tcp, "127.0.0.1");
    let mut stream = TcpStream::connect(switch).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let peer = Peer::new("127.0.0.1", switch, "over-tcp");
    let own = stream.local_addr().unwrap().to_string();
    let over_tcp = |text: String| {
        text.replace("SIP/2.0/UDP", "SIP/2.0/TCP").replace(&format!("@{own}>"), &format!("@{own};transport=tcp>"))
    };
    let hear = |stream: &mut TcpStream| {
        let mut text = Vec::new();
        let mut byte = [0; 1];
        while !text.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a message");
            text.push(byte[0]);
        }
        let head = String::from_utf8(text).expect("text");
        let len = header(&head, "Content-Length").and_then(|len| len.parse().ok()).unwrap_or(0);
        let mut body = vec![0; len];
        stream.read_exact(&mut body).expect("a body");
        head + &String::from_utf8(body).expect("text")
    };
    let invite = over_tcp(peer.request("INVITE", "tone", &own, &peer.sdp(peer.media(), "sendrecv")));
    // A keep-alive before, between and in the middle of what is sent.
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    let (first, second) = invite.split_at(invite.len() / 2);
    stream.write_all(first.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    stream.write_all(second.as_bytes()).unwrap();
    let answer = hear(&mut stream);
    assert_eq!(status(&answer), 200, "{answer}");
    let tag = header(&answer, "To").and_then(tag).expect("a tag").to_owned();
    let ack = over_tcp(peer.request("ACK", "tone", &own, ""));
    stream.write_all(ack.replace(">\r\nCall-ID", &format!(">;tag={tag}\r\nCall-ID")).as_bytes()).unwrap();
    assert!(heard(&peer.rtp, Duration::from_secs(5)).is_some(), "the tone plays");
    // The requests of the switch come over the same connection.
    running.switch.begin_drain();
    let bye = hear(&mut stream);
    assert!(bye.starts_with("BYE ") && bye.contains("SIP/2.0/TCP"), "{bye}");
    let copied: String = ["Via", "From", "To", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", header(&bye, name).unwrap_or_default()))
        .concat();
    stream.write_all(format!("SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n").as_bytes()).unwrap();
    let summary = running.finish();
    assert_eq!((summary.network.tcp_accepted, summary.network.tcp_connected), (1, 0));
    assert_eq!(summary.signalling.outcomes.get("drained"), Some(&1), "{:?}", summary.signalling.outcomes);
}
