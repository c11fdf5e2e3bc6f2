//! How a single call's messages travel: UDP, or one TCP connection.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

use crate::load::clock;
use crate::load::net::{Read, Reader, open_sip};

/// How long a TCP connection may take, and how long a full one may block.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_MESSAGE: usize = 65_536;

pub(super) enum Wire {
    Udp(UdpSocket, Box<Reader>),
    Tcp(TcpStream, Vec<u8>),
}

/// What came in.
pub(super) enum Incoming {
    Message(Vec<u8>, SocketAddr, u64),
    Refused,
    Empty,
}

impl Wire {
    pub fn open(to: SocketAddr, reliable: bool) -> io::Result<Wire> {
        if reliable {
            let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            return Ok(Wire::Tcp(stream, Vec::new()));
        }
        // Connecting a socket asks the kernel from which of our addresses the other side is reached.
        let unspecified = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let probe = UdpSocket::bind(unspecified)?;
        probe.connect(to)?;
        let local = SocketAddr::new(probe.local_addr()?.ip(), 0);
        Ok(Wire::Udp(open_sip(local)?, Box::new(Reader::new())))
    }

    pub fn local(&self) -> io::Result<SocketAddr> {
        match self {
            Wire::Udp(socket, _) => socket.local_addr(),
            Wire::Tcp(stream, _) => stream.local_addr(),
        }
    }

    pub fn send(&mut self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        match self {
            // A refusal of an earlier packet may show here; it is read as one, and this packet goes again.
            Wire::Udp(socket, _) => socket.send_to(bytes, to).or_else(|_| socket.send_to(bytes, to)).map(drop),
            Wire::Tcp(stream, _) => stream.write_all(bytes),
        }
    }

    pub fn receive(&mut self, offset: u64) -> io::Result<Incoming> {
        match self {
            Wire::Udp(socket, reader) => Ok(match reader.read(socket, offset)? {
                Read::Packet { length, source, arrived } => {
                    Incoming::Message(reader.buffer.get(..length).unwrap_or_default().to_vec(), source, arrived)
                }
                Read::Refused => Incoming::Refused,
                Read::Empty => Incoming::Empty,
            }),
            Wire::Tcp(stream, buffer) => {
                let peer = stream.peer_addr()?;
                if let Some(message) = take_message(buffer)? {
                    return Ok(Incoming::Message(message, peer, clock::now()));
                }
                let mut chunk = [0u8; 4_096];
                // Only reading must not wait: a blocking socket keeps writing simple.
                match recv(stream.as_raw_fd(), &mut chunk, MsgFlags::MSG_DONTWAIT) {
                    Ok(0) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed by the other side")),
                    Ok(length) => {
                        buffer.extend(chunk.iter().take(length));
                        let message = take_message(buffer)?;
                        Ok(message.map_or(Incoming::Empty, |bytes| Incoming::Message(bytes, peer, clock::now())))
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => Ok(Incoming::Empty),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

/// Takes the first whole message out of a stream (RFC 3261, section 18.3), and drops keep-alives before it.
fn take_message(buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    buffer.drain(..blank);
    let whole = framed_length(buffer).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
    Ok(whole.map(|whole| buffer.drain(..whole).collect()))
}

/// Length of the first whole message; `Ok(None)` when more must come.
fn framed_length(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > LONGEST_MESSAGE { Err("header too long") } else { Ok(None) };
    };
    let head = bytes.get(..head_end).and_then(|head| std::str::from_utf8(head).ok()).ok_or("not UTF-8")?;
    let is_length = |name: &str| name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l");
    let headers = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let (_, length) = headers.into_iter().find(|(name, _)| is_length(name.trim())).ok_or("no Content-Length")?;
    let length: usize = length.trim().parse().map_err(|_| "bad Content-Length")?;
    match length.checked_add(head_end + 4) {
        Some(whole) if whole <= LONGEST_MESSAGE => Ok((bytes.len() >= whole).then_some(whole)),
        _ => Err("message too long"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const WHOLE: &[u8] = b"SIP/2.0 200 OK\r\nVia: x\r\nl : 3\r\n\r\nabc";

    /// The framing, for a peer in a test.
    pub(in super::super) fn take(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
        take_message(buffer).unwrap()
    }

    #[test]
    fn a_stream_is_cut_into_messages() {
        let mut stream = b"\r\n\r\n".to_vec();
        stream.extend(WHOLE);
        stream.extend(b"\r\n");
        stream.extend(WHOLE);
        let mut buffer = Vec::new();
        let mut messages = Vec::new();
        for byte in stream {
            buffer.push(byte);
            messages.extend(take_message(&mut buffer).unwrap());
        }
        assert_eq!(messages, [WHOLE, WHOLE]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_stream_without_lengths_is_an_error() {
        for bad in [
            &b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n"[..],
            b"SIP/2.0 200 OK\r\nl: 99999999999999999999\r\n\r\n",
            b"SIP/2.0 200 OK\r\nl: 18446744073709551615\r\n\r\n",
            b"\xff\xff\r\n\r\n",
        ] {
            assert!(take_message(&mut bad.to_vec()).is_err(), "{bad:?}");
        }
        assert!(take_message(&mut vec![b'x'; LONGEST_MESSAGE + 1]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn framing_never_panics(mut bytes: Vec<u8>) {
            let _ = take_message(&mut bytes);
        }
    }
}
