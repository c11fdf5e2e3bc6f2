//! A call as a capture that Wireshark opens: its SIP messages and packets, in Ethernet frames made up for them.

use super::{SipStep, Trace, What};
use etherparse::{PacketBuilder, PacketBuilderStep, UdpHeader};
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use ringworld_components::edge::Transport;
use ringworld_components::kernel::Now;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// Our address on the made-up wire, and everybody else's: locally administered ones.
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// What a datagram of IPv4 can hold, and the largest piece of a TCP stream in one frame.
const PAYLOAD_MAX: usize = 65_000;

/// Writes a call as a capture. Messages over TCP come as segments of a connection whose beginning was not captured.
///
/// # Errors
/// What the writer says.
pub fn write_pcap(trace: &Trace, to: impl Write) -> io::Result<()> {
    let header = PcapHeader { datalink: DataLink::ETHERNET, snaplen: 262_144, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(to, header).map_err(io::Error::other)?;
    let began = Duration::from_millis(trace.began_unix_ms);
    let mut sequences = BTreeMap::new();
    for (at_us, datagram) in datagrams(trace) {
        let at = began.saturating_add(Duration::from_micros(at_us));
        for frame in datagram.frames(&mut sequences)? {
            let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            writer.write_packet(&PcapPacket::new(at, length, &frame)).map_err(io::Error::other)?;
        }
    }
    writer.into_writer().flush()
}

struct Datagram<'t> {
    from: SocketAddr,
    to: SocketAddr,
    is_ours: bool,
    transport: Transport,
    bytes: &'t [u8],
}

/// Everything by time. What one tick holds keeps its order: what came in before what went out.
fn datagrams(trace: &Trace) -> Vec<(u64, Datagram<'_>)> {
    let messages = trace.steps.iter().filter_map(|step| match &step.what {
        What::Sip(message) => Some((us(step.at), Datagram::of(message))),
        _ => None,
    });
    let packets = trace.packets.iter().map(|packet| {
        let (from, to) = ends(packet.local, packet.peer, packet.is_ours);
        let (is_ours, transport, bytes) = (packet.is_ours, Transport::Udp, packet.bytes.as_slice());
        (packet.at_us, Datagram { from, to, is_ours, transport, bytes })
    });
    let mut all: Vec<_> = messages.chain(packets).collect();
    all.sort_by_key(|(at_us, _)| *at_us);
    all
}

fn us(at: Now) -> u64 {
    at.as_millis().saturating_mul(1_000)
}

fn ends(local: SocketAddr, peer: SocketAddr, is_ours: bool) -> (SocketAddr, SocketAddr) {
    if is_ours { (local, peer) } else { (peer, local) }
}

impl<'t> Datagram<'t> {
    fn of(message: &'t SipStep) -> Self {
        let (from, to) = ends(message.local, message.peer, message.is_ours);
        Self { from, to, is_ours: message.is_ours, transport: message.transport, bytes: &message.bytes }
    }

    fn frames(&self, sequences: &mut BTreeMap<(SocketAddr, SocketAddr), u32>) -> io::Result<Vec<Vec<u8>>> {
        match self.transport {
            Transport::Udp => {
                let bytes = self.bytes.get(..PAYLOAD_MAX).unwrap_or(self.bytes);
                Ok(vec![self.udp(bytes)?])
            }
            Transport::Tcp => self.bytes.chunks(PAYLOAD_MAX).map(|bytes| self.tcp(bytes, sequences)).collect(),
        }
    }

    fn udp(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let step: PacketBuilderStep<UdpHeader> = match self.addresses()? {
            Addresses::V4(from, to) => self.ethernet().ipv4(from, to, 64).udp(self.from.port(), self.to.port()),
            Addresses::V6(from, to) => self.ethernet().ipv6(from, to, 64).udp(self.from.port(), self.to.port()),
        };
        let mut frame = Vec::with_capacity(step.size(bytes.len()));
        step.write(&mut frame, bytes).map_err(io::Error::other)?;
        Ok(frame)
    }

    fn tcp(&self, bytes: &[u8], sequences: &mut BTreeMap<(SocketAddr, SocketAddr), u32>) -> io::Result<Vec<u8>> {
        let seen = sequences.get(&(self.to, self.from)).copied().unwrap_or(1);
        let next = sequences.entry((self.from, self.to)).or_insert(1);
        let sequence = *next;
        *next = sequence.wrapping_add(bytes.len() as u32);
        let (from, to) = (self.from.port(), self.to.port());
        let step = match self.addresses()? {
            Addresses::V4(a, b) => self.ethernet().ipv4(a, b, 64).tcp(from, to, sequence, 65_535),
            Addresses::V6(a, b) => self.ethernet().ipv6(a, b, 64).tcp(from, to, sequence, 65_535),
        };
        let step = step.ack(seen).psh();
        let mut frame = Vec::with_capacity(step.size(bytes.len()));
        step.write(&mut frame, bytes).map_err(io::Error::other)?;
        Ok(frame)
    }

    fn ethernet(&self) -> PacketBuilderStep<etherparse::Ethernet2Header> {
        let (from, to) = if self.is_ours { (OURS, THEIRS) } else { (THEIRS, OURS) };
        PacketBuilder::ethernet2(from, to)
    }

    fn addresses(&self) -> io::Result<Addresses> {
        match (self.from, self.to) {
            (SocketAddr::V4(from), SocketAddr::V4(to)) => Ok(Addresses::V4(from.ip().octets(), to.ip().octets())),
            (SocketAddr::V6(from), SocketAddr::V6(to)) => Ok(Addresses::V6(from.ip().octets(), to.ip().octets())),
            (from, to) => Err(io::Error::other(format!("{from} and {to} are of two address families"))),
        }
    }
}

enum Addresses {
    V4([u8; 4], [u8; 4]),
    V6([u8; 16], [u8; 16]),
}
