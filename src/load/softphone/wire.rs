//! How a single call's messages travel: UDP, or one TCP connection.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

use crate::load::clock;
use crate::load::net::{Read, Reader, open_sip};
use crate::ua::frame;

/// How long a TCP connection may take, and how long a full one may block.
const PATIENCE: Duration = Duration::from_secs(5);

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
                if let Some(message) = frame::take(buffer).map_err(broken)? {
                    return Ok(Incoming::Message(message, peer, clock::now()));
                }
                let mut chunk = [0u8; 4_096];
                // Only reading must not wait: a blocking socket keeps writing simple.
                match recv(stream.as_raw_fd(), &mut chunk, MsgFlags::MSG_DONTWAIT) {
                    Ok(0) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed by the other side")),
                    Ok(length) => {
                        buffer.extend(chunk.iter().take(length));
                        let message = frame::take(buffer).map_err(broken)?;
                        Ok(message.map_or(Incoming::Empty, |bytes| Incoming::Message(bytes, peer, clock::now())))
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => Ok(Incoming::Empty),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
