//! Where a SIP message came from and where one goes.

use crate::record::Record;
use std::fmt;
use std::net::SocketAddr;

/// The transports of RFC 3261 section 18 that this engine speaks.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams; requests and responses are retransmitted.
    Udp,
    /// A stream; nothing is retransmitted.
    Tcp,
}

impl Transport {
    /// Whether the transport delivers by itself, so that transactions do not retransmit.
    pub fn is_reliable(self) -> bool {
        self == Transport::Tcp
    }

    /// As it is written in a Via header field.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A TCP connection, minted by the network threads; 0 stands for none.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl ConnId {
    /// No connection.
    pub const NONE: ConnId = ConnId(0);
}

/// The way a message came: transport, our address as the peer saw it, the peer's address, and the connection if any.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// Our address on the interface that the peer reaches; never unspecified.
    pub local: SocketAddr,
    /// Where the message came from.
    pub remote: SocketAddr,
    /// The connection it came over, or [`ConnId::NONE`].
    pub conn: ConnId,
}

/// Where a message is to be sent.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The transport.
    pub transport: Transport,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The connection to prefer (RFC 3261 section 18.2.2), or [`ConnId::NONE`]. If it is gone, another one to `remote`
    /// is used or opened.
    pub conn: ConnId,
}

impl Flow {
    /// Back the way the message came.
    pub fn back(&self) -> Target {
        Target { transport: self.transport, remote: self.remote, conn: self.conn }
    }
}
