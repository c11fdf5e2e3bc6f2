//! Sockets that change hands open: out of network threads that end, into others.

use super::rtp::Pair;
use ringworld_components::edge::Transport;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// All sockets that other threads, or those of another process, can go on with. What arrives meanwhile waits in them.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Where SIP is spoken. Connections of TCP are not among them: a peer connects again.
    pub sip: Vec<SipSocket>,
    /// The open pairs of RTP ports.
    pub rtp: Vec<RtpPair>,
}

/// A socket that takes SIP: one of datagrams, or one that takes connections.
#[derive(Debug)]
pub struct SipSocket {
    /// What is spoken over.
    pub transport: Transport,
    /// The address as it stands in the settings.
    pub address: SocketAddr,
    /// The socket.
    pub socket: OwnedFd,
}

/// A pair of RTP and RTCP ports.
#[derive(Debug)]
pub struct RtpPair {
    /// The even one.
    pub port: u16,
    /// Its socket.
    pub rtp: OwnedFd,
    /// The socket of the odd one above it.
    pub rtcp: OwnedFd,
}

impl Sockets {
    /// Takes the socket of an address out, if it is there.
    pub(super) fn take_sip(&mut self, transport: Transport, address: SocketAddr) -> Option<OwnedFd> {
        let wanted = |given: &SipSocket| given.transport == transport && given.address == address;
        let at = self.sip.iter().position(wanted)?;
        Some(self.sip.swap_remove(at).socket)
    }
}

impl RtpPair {
    pub(super) fn open(self) -> (u16, std::io::Result<Pair>) {
        let (rtp, rtcp) = (std::net::UdpSocket::from(self.rtp), std::net::UdpSocket::from(self.rtcp));
        let v6 = rtp.local_addr().map(|address| address.is_ipv6());
        (self.port, v6.map(|v6| Pair::new(rtp, rtcp, v6)))
    }
}
