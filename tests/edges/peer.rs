//! A peer written by hand: SIP as text, RTP as bytes. It shares no code with the switch.

pub use crate::text::{audio_of, header, status};
use crate::text::{sdp_of, tag};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A caller over UDP, with a socket for media of its own.
pub struct Peer {
    pub sip: UdpSocket,
    pub rtp: UdpSocket,
    pub switch: SocketAddr,
    pub call: String,
    to_tag: String,
    cseq: u32,
}

pub fn socket(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    socket
}

impl Peer {
    pub fn new(ip: &str, switch: SocketAddr, call: &str) -> Self {
        let (sip, rtp) = (socket(ip), socket(ip));
        Self { sip, rtp, switch, call: call.into(), to_tag: String::new(), cseq: 1 }
    }

    pub fn sdp(&self, media: SocketAddr, direction: &str) -> String {
        sdp_of((1, self.cseq), media, "0 8", direction)
    }

    /// A request; `via` and `contact` are what the peer believes its address to be.
    pub fn request(&self, method: &str, user: &str, via: &str, body: &str) -> String {
        let Self { call, cseq, switch, .. } = self;
        let to_tag = if self.to_tag.is_empty() { String::new() } else { format!(";tag={}", self.to_tag) };
        let branch = if method == "ACK" { cseq + 1_000 } else { *cseq };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:{user}@{switch} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{call}{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{call}@peer.invalid>;tag=1\r\nTo: <sip:{user}@{switch}>{to_tag}\r\n\
             Call-ID: {call}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{call}@{contact}>\r\n{content}\
             Content-Length: {length}\r\n\r\n{body}",
            contact = via.split(';').next().unwrap_or(via),
            length = body.len()
        )
    }

    pub fn send(&self, text: &str) {
        self.sip.send_to(text.as_bytes(), self.switch).expect("it is sent");
    }

    /// The next message, and where it came from.
    pub fn hear(&self) -> (String, SocketAddr) {
        let mut bytes = vec![0; 65_536];
        let (len, from) = self.sip.recv_from(&mut bytes).expect("a message");
        (String::from_utf8_lossy(&bytes[..len]).into_owned(), from)
    }

    pub fn own(&self) -> String {
        self.sip.local_addr().expect("an address").to_string()
    }

    pub fn media(&self) -> SocketAddr {
        self.rtp.local_addr().expect("an address")
    }

    /// Calls `user` and describes `media` as the place to send to; returns the 200.
    pub fn call(&mut self, user: &str, media: SocketAddr) -> String {
        let own = self.own();
        self.invite(user, &own, media, "sendrecv")
    }

    /// Sends an INVITE or, in a call, a re-INVITE; acknowledges the 200 and returns it.
    pub fn invite(&mut self, user: &str, via: &str, media: SocketAddr, direction: &str) -> String {
        if !self.to_tag.is_empty() {
            self.cseq += 1;
        }
        self.send(&self.request("INVITE", user, via, &self.sdp(media, direction)));
        let answer = loop {
            let (answer, _) = self.hear();
            if status(&answer) >= 200 {
                break answer;
            }
        };
        assert_eq!(status(&answer), 200, "{answer}");
        let to = header(&answer, "To").unwrap_or_default();
        self.to_tag = tag(to).unwrap_or_default().to_owned();
        self.send(&self.request("ACK", user, via, ""));
        answer
    }

    pub fn hang_up(&mut self, user: &str) {
        self.cseq += 1;
        let own = self.own();
        self.send(&self.request("BYE", user, &own, ""));
        assert_eq!(status(&self.hear().0), 200);
    }
}

/// An RTP packet of mu-law.
pub fn packet(ssrc: u32, sequence: u16, byte: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[byte; 160]);
    packet
}

/// The payload's last byte of the next packet that comes to the socket, if one comes in time.
pub fn heard(socket: &UdpSocket, patience: Duration) -> Option<u8> {
    socket.set_read_timeout(Some(patience)).expect("a timeout");
    let mut bytes = [0; 2_048];
    let len = socket.recv(&mut bytes).ok()?;
    bytes[..len].last().copied()
}
