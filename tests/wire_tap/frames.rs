//! Frames, written out: what a datagram looks like on wires of many kinds.

use super::Passed;
use etherparse::{Ipv4Header, TcpHeader, UdpHeader};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// How a datagram travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Ethernet,
    Vlan,
    /// Two tags, the outer one of a provider (802.1ad).
    QinQ,
    CookedV1,
    CookedV2,
    Raw,
    /// A PPPoE session in a VLAN.
    Pppoe,
    /// Ethernet, and each packet is in one of another tunnel.
    IpInIp,
    /// Ethernet, and messages are cut into IP fragments, of which the last comes first.
    Fragments,
    /// Ethernet, and IPv6 packets have extension headers.
    Extensions,
    /// Ethernet, and SIP goes over TCP: in small segments, now and then twice or in the wrong order.
    Tcp,
    /// Ethernet in a pcapng file.
    PcapNg,
}

const UDP: u8 = 17;
const TCP: u8 = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// Bytes of a fragment's piece.
const PIECE: usize = 160;

pub fn udp(passed: &Passed) -> Vec<u8> {
    let header = UdpHeader::without_ipv4_checksum(passed.from.port(), passed.to.port(), passed.bytes.len());
    [&header.expect("a header").to_bytes()[..], &passed.bytes].concat()
}

/// The IP packet of a datagram.
pub fn udp_packet(passed: &Passed, wire: Wire) -> Vec<u8> {
    match wire {
        Wire::Extensions if passed.from.is_ipv6() => {
            // Six octets of padding; a route of no segments; six octets of padding.
            let headers =
                [[ROUTING, 0, 1, 4, 0, 0, 0, 0], [DESTINATION, 0, 0, 0, 0, 0, 0, 0], [UDP, 0, 1, 4, 0, 0, 0, 0]];
            ip_packet(passed.from, passed.to, HOP_BY_HOP, &[&headers.concat(), &udp(passed)[..]].concat())
        }
        _ => ip_packet(passed.from, passed.to, UDP, &udp(passed)),
    }
}

pub fn ip_packet(from: SocketAddr, to: SocketAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = payload.len() as u16;
            let header = Ipv4Header::new(length, 64, protocol.into(), from.octets(), to.octets()).expect("a header");
            v4_packet(header, payload)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let [high, low] = (payload.len() as u16).to_be_bytes();
            let fixed = [0x60, 0, 0, 0, high, low, protocol, 64];
            [&fixed[..], &from.octets(), &to.octets(), payload].concat()
        }
        families => panic!("{families:?} are of two families"),
    }
}

fn v4_packet(mut header: Ipv4Header, payload: &[u8]) -> Vec<u8> {
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes(), payload].concat()
}

/// The fragments of a datagram, the last one first, as it may come.
pub fn fragments(passed: &Passed, identification: u16) -> Vec<Vec<u8>> {
    let datagram = udp(passed);
    let piece = |(n, piece): (usize, &[u8])| {
        let is_last = (n + 1) * PIECE >= datagram.len();
        let offset = (n * PIECE / 8) as u16;
        match (passed.from.ip(), passed.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let length = piece.len() as u16;
                let mut header = Ipv4Header::new(length, 64, UDP.into(), from.octets(), to.octets()).expect("a header");
                header.identification = identification;
                header.dont_fragment = false;
                header.more_fragments = !is_last;
                header.fragment_offset = offset.try_into().expect("an offset");
                v4_packet(header, piece)
            }
            _ => {
                let [high, low] = (offset << 3 | u16::from(!is_last)).to_be_bytes();
                let [id_high, id_low] = identification.to_be_bytes();
                let header = [UDP, 0, high, low, 0, 0, id_high, id_low];
                ip_packet(passed.from, passed.to, FRAGMENT, &[&header, piece].concat())
            }
        }
    };
    let mut packets: Vec<Vec<u8>> = datagram.chunks(PIECE).enumerate().map(piece).collect();
    packets.reverse();
    packets
}

/// The frame of an IP packet.
pub fn framed(packet: &[u8], wire: Wire) -> Vec<u8> {
    let is_v6 = packet[0] >> 4 == 6;
    if wire == Wire::IpInIp {
        let [near, far] = ["192.0.2.1:0", "192.0.2.2:0"].map(|end| end.parse().expect("an address"));
        return framed(&ip_packet(near, far, if is_v6 { 41 } else { 4 }, packet), Wire::Ethernet);
    }
    let [high, low] = if is_v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    let mut frame = match wire {
        Wire::Raw => Vec::new(),
        Wire::CookedV1 => vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, high, low],
        Wire::CookedV2 => vec![high, low, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0],
        Wire::Vlan => vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 42, high, low],
        Wire::QinQ => vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xa8, 0, 7, 0x81, 0, 0, 42, high, low],
        Wire::Pppoe => {
            let [long, short] = (packet.len() as u16 + 2).to_be_bytes();
            let session = [0x81, 0, 0, 42, 0x88, 0x64, 0x11, 0, 0, 7, long, short, 0, if is_v6 { 0x57 } else { 0x21 }];
            [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &session].concat()
        }
        _ => vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, high, low],
    };
    frame.extend_from_slice(packet);
    frame
}

/// TCP connections, each by the direction in which something was said first.
#[derive(Default)]
pub struct Segments {
    /// The next sequence number each way.
    sent: BTreeMap<(SocketAddr, SocketAddr), u32>,
    count: usize,
}

impl Segments {
    /// A message in segments of 300 bytes: every third time in the wrong order, every third with one of them twice.
    pub fn of(&mut self, passed: &Passed) -> Vec<Vec<u8>> {
        let (there, back) = ((passed.from, passed.to), (passed.to, passed.from));
        let mut packets = Vec::new();
        if !self.sent.contains_key(&there) {
            // Near the end of the numbers, so that they wrap.
            let (mine, other) = (u32::MAX - 700, 1_000_000);
            self.sent.extend([(there, mine.wrapping_add(1)), (back, other + 1)]);
            packets.push(segment(there, mine, None, true, &[]));
            packets.push(segment(back, other, Some(mine.wrapping_add(1)), true, &[]));
            packets.push(segment(there, mine.wrapping_add(1), Some(other + 1), false, &[]));
        }
        let seen = self.sent[&back];
        let next = self.sent.get_mut(&there).expect("a connection");
        let mut pieces = Vec::new();
        for piece in passed.bytes.chunks(300) {
            pieces.push(segment(there, *next, Some(seen), false, piece));
            *next = next.wrapping_add(piece.len() as u32);
        }
        let acknowledged = *next;
        self.count += 1;
        match self.count % 3 {
            0 => pieces.reverse(),
            1 => pieces.push(pieces[0].clone()),
            _ => {}
        }
        packets.extend(pieces);
        packets.push(segment(back, seen, Some(acknowledged), false, &[]));
        packets
    }
}

fn segment(
    way: (SocketAddr, SocketAddr),
    sequence: u32,
    acknowledged: Option<u32>,
    syn: bool,
    bytes: &[u8],
) -> Vec<u8> {
    let mut header = TcpHeader::new(way.0.port(), way.1.port(), sequence, 65_535);
    (header.syn, header.ack) = (syn, acknowledged.is_some());
    header.acknowledgment_number = acknowledged.unwrap_or(0);
    ip_packet(way.0, way.1, TCP, &[&header.to_bytes(), bytes].concat())
}
