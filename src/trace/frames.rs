//! Ethernet frames made up around messages and packets.

use super::pcap::Datagram;
use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep, TcpHeader};
use ringworld_components::edge::Transport;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Our address on the made-up wire, and that of all others: locally administered ones.
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// The hop limit of every packet.
const HOPS: u8 = 64;

/// What a datagram of IPv4 can hold, and the largest piece of a TCP stream in one frame.
const PAYLOAD_MAX: usize = 65_000;

/// The window that every segment announces: a piece of [`PAYLOAD_MAX`] fits.
const WINDOW: u16 = u16::MAX;

/// Makes frames, and knows how far each TCP connection has come: the number of the next byte each way.
#[derive(Default)]
pub(super) struct Frames {
    next: BTreeMap<(SocketAddr, SocketAddr), u32>,
}

impl Frames {
    pub fn of(&mut self, datagram: &Datagram<'_>) -> io::Result<Vec<Vec<u8>>> {
        let way = Way { from: datagram.from, to: datagram.to, is_ours: datagram.is_ours };
        match datagram.transport {
            Transport::Udp => {
                let bytes = datagram.bytes.get(..PAYLOAD_MAX).unwrap_or(datagram.bytes);
                let step = way.ip().udp(way.from.port(), way.to.port());
                let mut frame = Vec::with_capacity(step.size(bytes.len()));
                step.write(&mut frame, bytes).map_err(io::Error::other)?;
                Ok(vec![frame])
            }
            Transport::Tcp => self.of_tcp(way, datagram.bytes),
        }
    }

    /// A handshake if there was none yet, and then every piece with its acknowledgement.
    fn of_tcp(&mut self, way: Way, bytes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let back = way.back();
        let mut frames = Vec::new();
        if !self.next.contains_key(&(way.from, way.to)) {
            self.next.extend([((way.from, way.to), 1), ((way.to, way.from), 1)]);
            frames.push(way.segment(TcpHeader { syn: true, ..way.tcp(0, None) }, &[])?);
            frames.push(back.segment(TcpHeader { syn: true, ..back.tcp(0, Some(1)) }, &[])?);
            frames.push(way.segment(way.tcp(1, Some(1)), &[])?);
        }
        let seen = self.next.get(&(way.to, way.from)).copied().unwrap_or(1);
        for piece in bytes.chunks(PAYLOAD_MAX) {
            let next = self.next.entry((way.from, way.to)).or_insert(1);
            let header = TcpHeader { psh: true, ..way.tcp(*next, Some(seen)) };
            *next = next.wrapping_add(piece.len() as u32);
            frames.push(way.segment(header, piece)?);
            frames.push(back.segment(back.tcp(seen, Some(*next)), &[])?);
        }
        Ok(frames)
    }
}

/// One direction between two addresses.
#[derive(Clone, Copy)]
struct Way {
    from: SocketAddr,
    to: SocketAddr,
    is_ours: bool,
}

impl Way {
    fn back(self) -> Self {
        Self { from: self.to, to: self.from, is_ours: !self.is_ours }
    }

    fn ip(self) -> PacketBuilderStep<IpHeaders> {
        let (source, destination) = if self.is_ours { (OURS, THEIRS) } else { (THEIRS, OURS) };
        let ethernet = PacketBuilder::ethernet2(source, destination);
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), HOPS),
            (from, to) => ethernet.ipv6(in_v6(from).octets(), in_v6(to).octets(), HOPS),
        }
    }

    /// A header that acknowledges all before `acknowledged`.
    fn tcp(self, sequence: u32, acknowledged: Option<u32>) -> TcpHeader {
        let header = TcpHeader::new(self.from.port(), self.to.port(), sequence, WINDOW);
        TcpHeader { ack: acknowledged.is_some(), acknowledgment_number: acknowledged.unwrap_or(0), ..header }
    }

    fn segment(self, header: TcpHeader, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let step = self.ip().tcp_header(header);
        let mut frame = Vec::with_capacity(step.size(bytes.len()));
        step.write(&mut frame, bytes).map_err(io::Error::other)?;
        Ok(frame)
    }
}

/// Where one end is of the older family and the other is not, the older one is written in the newer.
fn in_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}
