//! Open sockets that are handed from network threads that end to others.

use super::rtp::Pair;
use super::tcp::Outgoing;
use bytes::Bytes;
use crossbeam::channel::Receiver;
use ringworld_components::edge::{ConnId, Flow, Input, SendFailure, Transport};
use ringworld_components::kernel::StableId;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// All sockets that other threads, or another process, can go on with. What arrives meanwhile waits in them.
#[derive(Debug, Default)]
pub struct Sockets {
    /// The sockets for SIP.
    pub sip: Vec<SipSocket>,
    /// The open pairs of RTP ports.
    pub rtp: Vec<RtpPair>,
    /// The open connections of SIP over TCP.
    pub tcp: Vec<TcpConnection>,
    /// What waited for a connection that was still being opened: that is given up, and the next owner opens it anew.
    pub unsent: Vec<(SocketAddr, Outgoing)>,
    /// What has come in and no world has taken, in the order of its arrival.
    pub untaken: Vec<Untaken>,
}

/// A socket that takes SIP: one of datagrams, or one that takes connections.
#[derive(Debug)]
pub struct SipSocket {
    /// The transport.
    pub transport: Transport,
    /// The address as the settings have it.
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

/// An open connection, and what it holds. Its numbers stay: the worlds use them.
#[derive(Debug)]
pub struct TcpConnection {
    /// Both addresses, and the number.
    pub flow: Flow,
    /// The socket.
    pub socket: OwnedFd,
    /// The rest.
    pub held: Held,
}

/// What a connection holds besides its socket.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Whether it was opened by us, so that we can open it again.
    pub dialled: bool,
    /// Whether the worlds were told that it is open.
    pub announced: bool,
    /// What was read and not delivered: the beginning of a message mostly.
    pub unread: Bytes,
    /// What is still to be written; of the first message perhaps only the end.
    pub unsent: Vec<Outgoing>,
}

/// Something that came in for a world that has not taken it yet.
#[derive(Debug, PartialEq, Eq)]
pub enum Untaken {
    /// A SIP message and the way it came.
    Sip(Flow, Bytes),
    /// A connection was opened, for the world of this index to be told.
    Opened(usize, Flow),
    /// A connection is closed, for the world of this index to be told.
    Closed(usize, ConnId),
    /// A message of this transaction could not be sent.
    Failed(StableId, SendFailure),
}

/// What a world leaves in its ring when it stops.
#[derive(Debug)]
pub struct Leftovers {
    pub(super) world: usize,
    pub(super) control: Receiver<Input>,
}

impl Leftovers {
    /// All of it, when the network threads have ended and nothing more can come.
    pub fn take(&self) -> impl Iterator<Item = Untaken> {
        self.control.try_iter().filter_map(|input| match input {
            Input::Sip { flow, bytes, .. } => Some(Untaken::Sip(flow, bytes)),
            Input::ConnOpened(flow) => Some(Untaken::Opened(self.world, flow)),
            Input::ConnClosed(conn) => Some(Untaken::Closed(self.world, conn)),
            Input::SendFailed { transaction, failure } => Some(Untaken::Failed(transaction, failure)),
            // They have rings of their own.
            Input::PortOpened(_) | Input::Rtp(_) | Input::Command(_) => None,
        })
    }
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
