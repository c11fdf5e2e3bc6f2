//! Sockets of the callers: non-blocking UDP whose packets carry the kernel's time of arrival.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr, RcvBuf, ReceiveTimestampns};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;

use super::clock::nanoseconds;

/// First and last port that callers take for RTP.
pub(crate) const RTP_PORTS: (u16, u16) = (20_002, 60_000);

/// Opens a non-blocking socket that stamps arrivals.
pub(crate) fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    Ok(socket)
}

/// Opens a socket for SIP: with a large buffer, and reports when the other side's port is closed (ICMP).
pub(crate) fn open_sip(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(address)?;
    // The kernel caps what it grants; less than asked for is fine.
    let _ = setsockopt(&socket, RcvBuf, &(4 << 20));
    if address.is_ipv6() {
        setsockopt(&socket, Ipv6RecvErr, &true)?;
    } else {
        setsockopt(&socket, Ipv4RecvErr, &true)?;
    }
    Ok(socket)
}

/// Opens sockets on even ports, one after the other.
#[derive(Debug)]
pub(crate) struct RtpPorts {
    ip: IpAddr,
    next: u16,
}

impl RtpPorts {
    /// Starts somewhere in the range, so that several fleets on one machine rarely meet.
    pub fn new(ip: IpAddr, start: u64) -> RtpPorts {
        let (first, last) = RTP_PORTS;
        RtpPorts { ip, next: first + (start % u64::from((last - first) / 2)) as u16 * 2 }
    }

    pub fn open(&mut self) -> io::Result<(UdpSocket, SocketAddr)> {
        let (first, last) = RTP_PORTS;
        for _ in (first..=last).step_by(2) {
            let address = SocketAddr::new(self.ip, self.next);
            self.next = if self.next + 2 > last { first } else { self.next + 2 };
            match open(address) {
                Ok(socket) => return Ok((socket, address)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "all RTP ports are taken"))
    }
}

/// What a read of a socket brought.
pub(crate) enum Read {
    Packet {
        length: usize,
        source: SocketAddr,
        /// Monotonic time in nanoseconds at which the kernel received it.
        arrived: u64,
    },
    /// An earlier packet of ours reached a closed port.
    Refused,
    Empty,
}

/// The buffer that packets are read into.
pub(crate) struct Reader {
    pub buffer: Box<[u8]>,
    control: Vec<u8>,
}

impl Reader {
    pub fn new() -> Reader {
        Reader { buffer: vec![0; 65_536].into(), control: cmsg_space!(TimeSpec) }
    }

    /// Reads one packet. `offset` is [`super::clock::time_of_day_offset`].
    pub fn read(&mut self, socket: &UdpSocket, offset: u64) -> io::Result<Read> {
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let fd = socket.as_raw_fd();
        match recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut self.control), MsgFlags::MSG_DONTWAIT) {
            Ok(message) => {
                let Some(source) = message.address.and_then(socket_addr) else { return Ok(Read::Empty) };
                let stamp = message.cmsgs()?.find_map(|control| match control {
                    ControlMessageOwned::ScmTimestampns(time) => Some(nanoseconds(time)),
                    _ => None,
                });
                let arrived = stamp.map_or_else(super::clock::now, |stamp| stamp.wrapping_sub(offset));
                Ok(Read::Packet { length: message.bytes, source, arrived })
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Read::Empty),
            Err(Errno::ECONNREFUSED) => {
                self.clear_errors(fd);
                Ok(Read::Refused)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Empties the socket's error queue, which would otherwise keep it readable for ever.
    fn clear_errors(&mut self, fd: i32) {
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let mut scratch = [0u8; 64];
        while recvmsg::<SockaddrStorage>(fd, &mut [IoSliceMut::new(&mut scratch)], None, flags).is_ok() {}
    }
}

fn socket_addr(address: SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port())))
}

/// Makes room for that many open files beside those that are open now, by raising the soft limit to the hard one.
/// The error is how many there is room for.
pub(crate) fn allow_files(needed: u64) -> Result<(), u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|_| 0u64)?;
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64);
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|_| soft.saturating_sub(open))?;
    }
    if hard < open + needed { Err(hard.saturating_sub(open)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::clock;

    #[test]
    fn arrivals_are_stamped_in_monotonic_time() {
        for ip in ["127.0.0.1", "::1"] {
            let mut ports = RtpPorts::new(ip.parse().unwrap(), clock::now());
            let ((a, a_address), (b, b_address)) = (ports.open().unwrap(), ports.open().unwrap());
            assert_eq!(a_address.port() % 2, 0);
            let before = clock::now();
            a.send_to(b"hello", b_address).unwrap();
            let mut reader = Reader::new();
            let Read::Packet { length, source, arrived } = reader.read(&b, clock::time_of_day_offset()).unwrap() else {
                panic!("nothing arrived");
            };
            assert_eq!((&reader.buffer[..length], source), (&b"hello"[..], a_address));
            // The two clocks are read one after the other, hence the margin.
            assert!(arrived + clock::MS >= before && arrived <= clock::now() + clock::MS);
            assert!(matches!(reader.read(&b, 0).unwrap(), Read::Empty));
        }
    }

    #[test]
    fn more_files_than_allowed_are_refused() {
        assert_eq!(allow_files(16), Ok(()));
        assert!(allow_files(u64::MAX / 2).is_err());
    }

    #[test]
    fn a_closed_port_is_told_once() {
        let closed = {
            let socket = open("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.local_addr().unwrap()
        };
        let socket = open_sip("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.send_to(b"a datagram", closed).unwrap();
        let mut reader = Reader::new();
        assert!(matches!(reader.read(&socket, 0).unwrap(), Read::Refused));
        assert!(matches!(reader.read(&socket, 0).unwrap(), Read::Empty));
    }
}
