//! Addresses between the world, which knows no v4-mapped ones, and dual-stack sockets, which need them.

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, RecvMsg, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

/// The address as the world sees it: IPv4 is IPv4, on whatever socket it came.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// What the system filled in, canonical.
pub(super) fn from_system(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from(*v4));
    }
    address.as_sockaddr_in6().map(|v6| canonical(SocketAddr::from(*v6)))
}

/// An address as the system wants it.
pub(super) enum SystemAddress {
    V4(SockaddrIn),
    V6(SockaddrIn6),
}

impl SystemAddress {
    pub fn as_dyn(&self) -> &dyn SockaddrLike {
        match self {
            Self::V4(v4) => v4,
            Self::V6(v6) => v6,
        }
    }

    pub fn storage(&self) -> SockaddrStorage {
        match self {
            Self::V4(v4) => SockaddrStorage::from(std::net::SocketAddrV4::from(*v4)),
            Self::V6(v6) => SockaddrStorage::from(SocketAddrV6::from(*v6)),
        }
    }
}

/// The address for a socket of the given family, or none if that socket can't reach it.
pub(super) fn to_system(address: SocketAddr, v6_socket: bool) -> Option<SystemAddress> {
    match (address, v6_socket) {
        (SocketAddr::V4(v4), false) => Some(SystemAddress::V4(v4.into())),
        (SocketAddr::V6(v6), true) => Some(SystemAddress::V6(v6.into())),
        (SocketAddr::V4(v4), true) => {
            Some(SystemAddress::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()))
        }
        (SocketAddr::V6(_), false) => None,
    }
}

/// The address of ours that a datagram was sent to, where the socket was asked to tell.
pub(super) fn reached(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    message.cmsgs().ok()?.find_map(|control| {
        let ip: IpAddr = match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into(),
            ControlMessageOwned::Ipv6PacketInfo(info) => Ipv6Addr::from(info.ipi6_addr.s6_addr).into(),
            _ => return None,
        };
        Some(canonical(SocketAddr::new(ip, 0)).ip())
    })
}

/// The address of ours that a datagram shall leave from, as the system wants it.
pub(super) enum Source {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Source {
    /// For a socket of the given family; none if that socket can't have the address.
    pub fn of(ip: IpAddr, v6_socket: bool) -> Option<Self> {
        let octets = match (ip, v6_socket) {
            (IpAddr::V4(v4), false) => {
                return Some(Self::V4(libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(v4.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                }));
            }
            (IpAddr::V4(v4), true) => v4.to_ipv6_mapped().octets(),
            (IpAddr::V6(v6), true) => v6.octets(),
            (IpAddr::V6(_), false) => return None,
        };
        Some(Self::V6(libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: octets }, ipi6_ifindex: 0 }))
    }

    pub fn control(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}

/// The address that this machine would reach `remote` from. Asks the routing table; nothing is sent.
pub(super) fn local_towards(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((remote.ip(), remote.port().max(1)))?;
    Ok(canonical(socket.local_addr()?).ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_an_ipv4_address() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:5060".parse().unwrap();
        assert_eq!(canonical(mapped), "192.0.2.1:5060".parse().unwrap());
        let v6: SocketAddr = "[2001:db8::1]:5060".parse().unwrap();
        assert_eq!(canonical(v6), v6);
    }

    #[test]
    fn every_reachable_address_survives_the_way_through_the_system() {
        for (text, v6_socket, reachable) in [
            ("192.0.2.1:5060", false, true),
            ("192.0.2.1:5060", true, true),
            ("[2001:db8::1]:5060", true, true),
            ("[2001:db8::1]:5060", false, false),
        ] {
            let address: SocketAddr = text.parse().unwrap();
            let back = to_system(address, v6_socket).and_then(|system| from_system(&system.storage()));
            assert_eq!(back, reachable.then_some(address), "{text}");
        }
    }

    #[test]
    fn the_way_to_loopback_starts_at_loopback() {
        let local = local_towards("127.0.0.1:5060".parse().unwrap()).unwrap();
        assert_eq!(local, IpAddr::from(Ipv4Addr::LOCALHOST));
    }
}
