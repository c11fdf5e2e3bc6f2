//! A call as a capture that Wireshark opens: its SIP messages and packets, in order of time.

use super::frames::Frames;
use super::{Trace, What};
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use ringworld_components::edge::Transport;
use ringworld_components::kernel::Now;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// Writes a call as a capture. What the recording does not hold is made up: Ethernet, and for messages over TCP
/// connections that begin with a handshake and acknowledge everything, so that nothing looks lost that was not.
///
/// # Errors
/// The writer's error.
pub fn write_pcap(trace: &Trace, to: impl Write) -> io::Result<()> {
    let header = PcapHeader { datalink: DataLink::ETHERNET, snaplen: 262_144, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(to, header).map_err(io::Error::other)?;
    let began = Duration::from_millis(trace.began_unix_ms);
    let mut frames = Frames::default();
    for (at_us, datagram) in datagrams(trace) {
        let at = began.saturating_add(Duration::from_micros(at_us));
        for frame in frames.of(&datagram)? {
            let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            writer.write_packet(&PcapPacket::new(at, length, &frame)).map_err(io::Error::other)?;
        }
    }
    writer.into_writer().flush()
}

/// A message or a packet on its way.
pub(super) struct Datagram<'t> {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub is_ours: bool,
    pub transport: Transport,
    pub bytes: &'t [u8],
}

/// Everything by time. What one tick holds keeps its order: what came in before what went out.
fn datagrams(trace: &Trace) -> Vec<(u64, Datagram<'_>)> {
    let messages = trace.steps.iter().enumerate().filter_map(|(at, step)| match &step.what {
        What::Sip(message) => {
            let (local, peer, is_ours) = (local_end(trace, at), message.peer, message.is_ours);
            let (from, to) = ends(local, peer, is_ours);
            let (transport, bytes) = (message.transport, message.bytes.as_ref());
            Some((us(step.at), Datagram { from, to, is_ours, transport, bytes }))
        }
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

/// Our end of what carries a message. That of a connection which we opened shows only in what comes back through it.
fn local_end(trace: &Trace, at: usize) -> SocketAddr {
    let messages = |step: &super::Step| match &step.what {
        What::Sip(message) => Some(message.clone()),
        _ => None,
    };
    let (before, rest) = trace.steps.split_at(at);
    let Some(this) = rest.first().and_then(messages) else { return SocketAddr::from(([0, 0, 0, 0], 0)) };
    if this.transport == Transport::Udp || !this.is_ours {
        return this.local;
    }
    let is_back =
        |other: &super::SipStep| !other.is_ours && other.transport == Transport::Tcp && other.peer == this.peer;
    let mut back = rest.iter().chain(before.iter().rev()).filter_map(messages).filter(is_back);
    back.next().map_or(this.local, |other| other.local)
}

fn us(at: Now) -> u64 {
    at.as_millis().saturating_mul(1_000)
}

fn ends(local: SocketAddr, peer: SocketAddr, is_ours: bool) -> (SocketAddr, SocketAddr) {
    if is_ours { (local, peer) } else { (peer, local) }
}
