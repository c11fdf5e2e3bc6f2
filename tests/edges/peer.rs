//! A peer written by hand: SIP as text, RTP as bytes. It shares no code with the switch.

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

/// The value of the first header field of that name.
pub fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

pub fn status(text: &str) -> u16 {
    text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The address that the SDP of a message names for its audio.
pub fn audio_of(text: &str) -> SocketAddr {
    let ip = text.lines().find_map(|line| line.strip_prefix("c=IN IP")).expect("a connection line");
    let port = text.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("an audio line");
    let ip = ip.split(' ').nth(1).and_then(|ip| ip.parse().ok()).expect("an address");
    SocketAddr::new(ip, port.split(' ').next().and_then(|port| port.parse().ok()).expect("a port"))
}

impl Peer {
    pub fn new(ip: &str, switch: SocketAddr, call: &str) -> Self {
        let (sip, rtp) = (socket(ip), socket(ip));
        Self { sip, rtp, switch, call: call.into(), to_tag: String::new(), cseq: 1 }
    }

    pub fn sdp(&self, media: SocketAddr, direction: &str) -> String {
        let family = if media.is_ipv4() { "IP4" } else { "IP6" };
        let (ip, port) = (media.ip(), media.port());
        format!(
            "v=0\r\no=- 1 {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8\r\n\
             a={direction}\r\n",
            self.cseq
        )
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
        self.to_tag = to.split(";tag=").nth(1).unwrap_or_default().to_owned();
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
