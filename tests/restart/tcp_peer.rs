//! A peer over TCP, by hand.

use crate::common::{Caller, header, status};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A peer with a connection of its own. (SIPp fails the call in which it notices that its connection is closed.)
pub struct Peer {
    pub stream: TcpStream,
    pub read: Vec<u8>,
}

impl Peer {
    pub fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        Self { stream, read: Vec::new() }
    }

    pub fn send(&mut self, request: &str) {
        self.stream.write_all(request.replace("SIP/2.0/UDP", "SIP/2.0/TCP").as_bytes()).expect("sent");
    }

    /// Sends a request and returns its final response, which must be 200.
    pub fn ask(&mut self, request: &str) -> String {
        self.send(request);
        loop {
            let answer = self.next();
            if status(&answer) >= 200 {
                assert_eq!(status(&answer), 200, "{request}\n{answer}");
                assert_eq!(header(&answer, "CSeq"), header(request, "CSeq"));
                return answer;
            }
        }
    }

    /// The next message; the connection must not have ended.
    pub fn next(&mut self) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some((head, rest)) = text.split_once("\r\n\r\n") {
                let length: usize = header(head, "Content-Length").and_then(|it| it.parse().ok()).unwrap_or(0);
                if rest.len() >= length {
                    let whole = head.len() + 4 + length;
                    self.read.drain(..whole);
                    return text[..whole].to_owned();
                }
            }
            let mut buffer = [0; 4_096];
            let count = self.stream.read(&mut buffer).expect("something to read");
            assert_ne!(count, 0, "the switch closed the connection");
            self.read.extend_from_slice(&buffer[..count]);
        }
    }

    /// A caller behind this connection.
    pub fn caller(&self, call: u32, user: &str) -> Caller {
        let mut caller = Caller::new(call, user);
        caller.peer = self.stream.local_addr().expect("an address").to_string();
        caller
    }

    /// Sets up a call with the echo.
    pub fn establish(&mut self, call: u32) -> Caller {
        let mut caller = self.caller(call, "echo");
        let answer = self.ask(&caller.invite());
        caller.learn(&answer);
        self.send(&caller.ack());
        caller
    }

    /// Answers a request of the switch with 200, and returns its Call-ID.
    pub fn answer(&mut self, method: &str) -> String {
        let request = self.next();
        assert!(request.starts_with(&format!("{method} ")), "{request}");
        let fields = ["Via", "From", "To", "Call-ID", "CSeq"];
        let field = |name: &str| format!("{name}: {}\r\n", header(&request, name).expect("a field"));
        let head: String = fields.into_iter().map(field).collect();
        self.send(&format!("SIP/2.0 200 OK\r\n{head}Content-Length: 0\r\n\r\n"));
        header(&request, "Call-ID").expect("a field").to_owned()
    }
}
