//! A peer over TCP whose connection has closed before the final response (RFC 3261 section 18.2.2).

use super::text::{header, sdp, status, tag};
use super::{Running, config};
use ringworld::components::edge::Transport;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// The next message of a connection.
fn read(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    let (mut text, mut byte) = (String::new(), [0]);
    loop {
        stream.read_exact(&mut byte).expect("a message");
        text.push(char::from(byte[0]));
        if text.ends_with("\r\n\r\n") {
            let length = header(&text, "Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            stream.read_exact(&mut body).expect("a body");
            return text + &String::from_utf8_lossy(&body);
        }
    }
}

fn request(method: &str, switch: SocketAddr, own: SocketAddr, to_tag: &str, cseq: u32, body: &str) -> String {
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:ring-1@{switch};transport=tcp SIP/2.0\r\nVia: SIP/2.0/TCP {own};branch=z9hG4bK{method}{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:anna@{own}>;tag=a\r\nTo: <sip:ring-1@{switch}>{to_tag}\r\nCall-ID: reconnect\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:anna@{own};transport=tcp>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_answer_comes_over_a_new_connection_to_the_port_of_sent_by() {
    let running = Running::start(&config(&["tcp:127.0.0.1:0"]));
    let switch = running.at(Transport::Tcp, "127.0.0.1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let own = listener.local_addr().expect("an address");
    let mut first = TcpStream::connect(switch).expect("a connection");
    assert_ne!(first.local_addr().expect("an address"), own, "the connection has a port of its own");
    let offer = sdp("127.0.0.1:4000".parse().expect("an address"), "0", "sendrecv");
    first.write_all(request("INVITE", switch, own, "", 1, &offer).as_bytes()).expect("it is sent");
    assert_eq!(status(&read(&mut first)), 180);
    drop(first);
    let (mut second, _) = listener.accept().expect("the switch connects");
    let answer = read(&mut second);
    assert_eq!(status(&answer), 200, "{answer}");
    let to_tag = format!(";tag={}", header(&answer, "To").and_then(tag).expect("a tag"));
    for (method, cseq) in [("ACK", 1), ("BYE", 2)] {
        second.write_all(request(method, switch, own, &to_tag, cseq, "").as_bytes()).expect("it is sent");
    }
    assert_eq!(status(&read(&mut second)), 200);
    running.finish();
}
