//! Opening sockets.

use super::address::canonical;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Room for a burst of SIP while the thread is busy, in bytes. The kernel grants what net.core.rmem_max allows.
const SIP_BUFFER_BYTES: usize = 8 << 20;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// What the unspecified IPv6 address stands for. Any other address stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// All addresses of IPv6 and of IPv4.
    Both,
    /// All addresses of IPv6: those of IPv4 are listened on separately.
    Own,
}

/// A UDP socket for SIP: non-blocking, large buffers, reports the destination address of a datagram, and ICMP errors.
pub(super) fn sip_udp(address: SocketAddr, family: Family) -> io::Result<UdpSocket> {
    let socket = open(address, family, Type::DGRAM, Protocol::UDP)?;
    // Beyond rmem_max if we may, else as much as the system grants: a smaller buffer is no reason not to start.
    if setsockopt(&socket, sockopt::RcvBufForce, &SIP_BUFFER_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(SIP_BUFFER_BYTES);
    }
    if setsockopt(&socket, sockopt::SndBufForce, &SIP_BUFFER_BYTES).is_err() {
        let _ = socket.set_send_buffer_size(SIP_BUFFER_BYTES);
    }
    tell_what_is_reached(&socket, address)?;
    if address.is_ipv4() {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        // On a dual-stack socket the errors of IPv4 peers need the IPv4 option too; a v6-only one refuses it.
        let _ = setsockopt(&socket, sockopt::Ipv4RecvErr, &true);
    }
    bind(&socket, address)?;
    Ok(socket.into())
}

/// A TCP listener for SIP, non-blocking.
pub(super) fn sip_tcp(address: SocketAddr, family: Family) -> io::Result<TcpListener> {
    let socket = open(address, family, Type::STREAM, Protocol::TCP)?;
    // Without it a restart would have to wait until the last connections of the previous run are forgotten.
    socket.set_reuse_address(true)?;
    bind(&socket, address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The two sockets of a pair at an even port, non-blocking; the RTP one stamps arrivals.
pub(super) fn rtp_pair(address: IpAddr, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
    Ok((rtp(address, port)?, rtp(address, port.saturating_add(1))?))
}

fn rtp(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let opened = rtp_at(SocketAddr::new(address, port));
    match (&opened, address) {
        // A machine without IPv6: "all addresses" are then those of IPv4.
        (Err(error), IpAddr::V6(any)) if any.is_unspecified() && is_without_family(error) => {
            rtp_at(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
        }
        _ => opened,
    }
}

fn rtp_at(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(address, Family::Both, Type::DGRAM, Protocol::UDP)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    if address.ip().is_unspecified() {
        tell_what_is_reached(&socket, address)?;
    }
    bind(&socket, address)?;
    Ok(socket.into())
}

/// Asks for the address of ours that each datagram was sent to.
fn tell_what_is_reached(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

fn is_without_family(error: &io::Error) -> bool {
    use nix::libc::{EADDRNOTAVAIL, EAFNOSUPPORT};
    matches!(error.raw_os_error(), Some(EAFNOSUPPORT | EADDRNOTAVAIL))
}

fn open(address: SocketAddr, family: Family, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(family == Family::Own || !v6.ip().is_unspecified())?;
    }
    Ok(socket)
}

fn bind(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.bind(&SockAddr::from(address))
}

/// Where a socket is bound, canonical.
pub(super) fn bound(address: io::Result<SocketAddr>, asked: SocketAddr) -> SocketAddr {
    address.map_or(asked, canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_neighbouring_ports_and_is_refused_when_one_is_held() {
        let (rtp, rtcp) = free_pair();
        let (first, second) = (rtp.local_addr().unwrap().port(), rtcp.local_addr().unwrap().port());
        assert_eq!((first % 2, second), (0, first + 1));
        drop(rtp);
        assert!(rtp_pair(Ipv4Addr::LOCALHOST.into(), first).is_err(), "the RTCP port is still held");
    }

    fn free_pair() -> (UdpSocket, UdpSocket) {
        (20_000..60_000).step_by(2).find_map(|port| rtp_pair(Ipv4Addr::LOCALHOST.into(), port).ok()).unwrap()
    }

    #[test]
    fn an_unspecified_ipv6_address_serves_ipv4_too() {
        let Ok(socket) = sip_udp("[::]:0".parse().unwrap(), Family::Both) else { return };
        let port = socket.local_addr().unwrap().port();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"hello", ("127.0.0.1", port)).unwrap();
        socket.set_nonblocking(false).unwrap();
        let mut bytes = [0; 16];
        let (len, from) = socket.recv_from(&mut bytes).unwrap();
        assert_eq!((len, canonical(from)), (5, peer.local_addr().unwrap()));
    }
}
