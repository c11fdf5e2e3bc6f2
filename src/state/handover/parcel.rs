//! What is sent along with the descriptors: all that is not yet written, read or taken in.
//!
//! A parcel is a message, and behind it as many bytes as it names, [`MESSAGE_BYTES_MAX`] at most.

use super::words::{MESSAGE_BYTES_MAX, damaged, framed, hear};
use crate::net::{Held, Outgoing, Sockets, TcpConnection, Untaken};
use bytes::Bytes;
use ringworld_components::edge::{ConnId, Flow, SendFailure, Transport};
use ringworld_components::kernel::StableId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// The names of transports.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Transport")]
enum TransportName {
    Udp,
    Tcp,
}

/// The names of failures.
#[derive(Serialize, Deserialize)]
#[serde(remote = "SendFailure")]
enum FailureName {
    Connection,
    Unreachable,
    Full,
}

/// A [`Flow`].
#[derive(Serialize, Deserialize, Debug)]
struct Way {
    #[serde(with = "TransportName")]
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    connection: u64,
}

/// An [`Outgoing`], whose bytes follow.
#[derive(Serialize, Deserialize, Debug)]
struct Message {
    bytes: usize,
    transaction: u64,
    or_udp: bool,
}

/// One item that is sent along.
#[derive(Serialize, Deserialize, Debug)]
enum Parcel {
    /// A connection of TCP, whose descriptor came with the others, in the same order.
    Connection { way: Way, dialled: bool, announced: bool, unread: usize, unsent: Vec<Message> },
    /// A message for a peer whose connection was being opened.
    Unsent { remote: SocketAddr, message: Message },
    /// A message that no world has taken.
    Sip { way: Way, bytes: usize },
    /// A world was not told yet that a connection is open.
    Opened { world: usize, way: Way },
    /// A world was not told yet that a connection is closed.
    Closed { world: usize, connection: u64 },
    /// A world was not told yet that a message could not be sent.
    Failed {
        transaction: u64,
        #[serde(with = "FailureName")]
        failure: SendFailure,
    },
}

impl Way {
    fn of(flow: &Flow) -> Self {
        let Flow { transport, local, remote, conn } = *flow;
        Self { transport, local, remote, connection: conn.0 }
    }

    fn flow(&self) -> Flow {
        let Self { transport, local, remote, connection } = *self;
        Flow { transport, local, remote, conn: ConnId(connection) }
    }
}

impl Message {
    fn of(outgoing: &Outgoing) -> Self {
        let Outgoing { bytes, transaction, or_udp } = outgoing;
        Self { bytes: bytes.len(), transaction: transaction.0, or_udp: *or_udp }
    }

    fn read(&self, stream: &UnixStream) -> io::Result<Outgoing> {
        let bytes = read(stream, self.bytes)?;
        Ok(Outgoing { bytes, transaction: StableId(self.transaction), or_udp: self.or_udp })
    }
}

/// Parcels ready to be sent.
#[derive(Default)]
pub(super) struct Packed {
    pub parcels: Vec<Vec<u8>>,
    /// Which of the connections are sent along, by their places in the list.
    pub connections: Vec<usize>,
}

/// Packs all of it. A connection that holds too much stays behind; anything else that is too long is an error.
pub(super) fn pack(sockets: &Sockets) -> io::Result<Packed> {
    let mut packed = Packed::default();
    for (place, TcpConnection { flow, held, .. }) in sockets.tcp.iter().enumerate() {
        let unsent = held.unsent.iter().map(Message::of).collect();
        let Held { dialled, announced, .. } = *held;
        let parcel = Parcel::Connection { way: Way::of(flow), dialled, announced, unread: held.unread.len(), unsent };
        let pieces = std::iter::once(&held.unread).chain(held.unsent.iter().map(|outgoing| &outgoing.bytes));
        if let Ok(parcel) = pack_one(&parcel, pieces) {
            packed.parcels.push(parcel);
            packed.connections.push(place);
        }
    }
    for (remote, outgoing) in &sockets.unsent {
        let parcel = Parcel::Unsent { remote: *remote, message: Message::of(outgoing) };
        packed.parcels.push(pack_one(&parcel, [&outgoing.bytes])?);
    }
    for untaken in &sockets.untaken {
        packed.parcels.push(match untaken {
            Untaken::Sip(flow, bytes) => pack_one(&Parcel::Sip { way: Way::of(flow), bytes: bytes.len() }, [bytes])?,
            Untaken::Opened(world, flow) => pack_one(&Parcel::Opened { world: *world, way: Way::of(flow) }, [])?,
            Untaken::Closed(world, conn) => pack_one(&Parcel::Closed { world: *world, connection: conn.0 }, [])?,
            Untaken::Failed(transaction, failure) => {
                pack_one(&Parcel::Failed { transaction: transaction.0, failure: *failure }, [])?
            }
        });
    }
    Ok(packed)
}

fn pack_one<'a>(parcel: &Parcel, pieces: impl IntoIterator<Item = &'a Bytes>) -> io::Result<Vec<u8>> {
    let mut packed = framed(parcel)?;
    let head = packed.len();
    pieces.into_iter().for_each(|piece| packed.extend_from_slice(piece));
    if packed.len() - head > MESSAGE_BYTES_MAX { Err(damaged("a parcel is too large")) } else { Ok(packed) }
}

/// Takes so many parcels, with the descriptors of the connections among them, of which each must be there.
pub(super) fn unpack(
    stream: &UnixStream,
    parcels: usize,
    mut descriptors: impl Iterator<Item = OwnedFd>,
    sockets: &mut Sockets,
) -> io::Result<()> {
    let mut numbers = BTreeSet::new();
    for _ in 0..parcels {
        let parcel: Parcel = hear(stream)?;
        if parcel.bytes().is_none_or(|bytes| bytes > MESSAGE_BYTES_MAX) {
            return Err(damaged("a parcel is too large"));
        }
        match parcel {
            Parcel::Connection { way, dialled, announced, unread, unsent } => {
                let flow = way.flow();
                if flow.transport != Transport::Tcp || flow.conn == ConnId::NONE || !numbers.insert(flow.conn) {
                    return Err(damaged("a connection has no number of its own"));
                }
                let socket = descriptors.next().ok_or_else(|| damaged("a connection has no descriptor"))?;
                let unread = read(stream, unread)?;
                let unsent = unsent.iter().map(|message| message.read(stream)).collect::<io::Result<_>>()?;
                let held = Held { dialled, announced, unread, unsent };
                sockets.tcp.push(TcpConnection { flow, socket, held });
            }
            Parcel::Unsent { remote, message } => sockets.unsent.push((remote, message.read(stream)?)),
            Parcel::Sip { way, bytes } => sockets.untaken.push(Untaken::Sip(way.flow(), read(stream, bytes)?)),
            Parcel::Opened { world, way } => sockets.untaken.push(Untaken::Opened(world, way.flow())),
            Parcel::Closed { world, connection } => {
                sockets.untaken.push(Untaken::Closed(world, ConnId(connection)));
            }
            Parcel::Failed { transaction, failure } => {
                sockets.untaken.push(Untaken::Failed(StableId(transaction), failure));
            }
        }
    }
    if descriptors.next().is_some() { Err(damaged("a descriptor has no connection")) } else { Ok(()) }
}

impl Parcel {
    /// How many bytes follow; `None` if the sum is beyond all bounds.
    fn bytes(&self) -> Option<usize> {
        match self {
            Self::Connection { unread, unsent, .. } => {
                unsent.iter().try_fold(*unread, |sum, message| sum.checked_add(message.bytes))
            }
            Self::Unsent { message, .. } => Some(message.bytes),
            Self::Sip { bytes, .. } => Some(*bytes),
            Self::Opened { .. } | Self::Closed { .. } | Self::Failed { .. } => Some(0),
        }
    }
}

fn read(mut stream: &UnixStream, length: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes.into())
}
