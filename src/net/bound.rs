//! The sockets for SIP.

use super::config::NetConfig;
use super::error::NetError;
use super::given::{SipSocket, Sockets};
use super::mark::mark_or_warn;
use super::sockets;
use super::udp::UdpSocketSet;
use ringworld_components::edge::Transport;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;

/// The bound SIP sockets.
#[derive(Default)]
pub(super) struct Bound {
    pub udp: UdpSocketSet,
    pub tcp: Vec<TcpListener>,
    pub addresses: Vec<(Transport, SocketAddr)>,
    pub copies: Vec<SipSocket>,
}

impl Bound {
    /// Binds them, where they are not given.
    pub fn of(config: &NetConfig, given: &mut Sockets) -> Result<Self, NetError> {
        let mut bound = Self::default();
        for &(transport, address) in &config.sip {
            // "udp:[::]:5060" and "udp:0.0.0.0:5060" together are one address of each family.
            let v4_twin = (transport, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()));
            let apart = address.port() != 0 && config.sip.contains(&v4_twin);
            let family = if apart { sockets::Family::Own } else { sockets::Family::Both };
            let failed = |source| NetError::Bind { transport, address, source };
            let given = given.take_sip(transport, address);
            let (actual, copy) = match transport {
                Transport::Udp => {
                    let socket = given.map_or_else(|| sockets::sip_udp(address, family), |fd| Ok(fd.into()));
                    let socket = socket.map_err(failed)?;
                    mark_or_warn(&socket, address.is_ipv6(), config.marks.signalling);
                    let actual = (socket.local_addr(), socket.as_fd().try_clone_to_owned());
                    bound.udp.push(socket);
                    actual
                }
                Transport::Tcp => {
                    let listener = given.map_or_else(|| sockets::sip_tcp(address, family), |fd| Ok(fd.into()));
                    let listener = listener.map_err(failed)?;
                    // Connections that are accepted inherit it.
                    mark_or_warn(&listener, address.is_ipv6(), config.marks.signalling);
                    let actual = (listener.local_addr(), listener.as_fd().try_clone_to_owned());
                    bound.tcp.push(listener);
                    actual
                }
            };
            bound.copies.push(SipSocket { transport, address, socket: copy.map_err(failed)? });
            bound.addresses.push((transport, sockets::bound(actual, address)));
        }
        Ok(bound)
    }
}
