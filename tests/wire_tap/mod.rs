//! A tap on the wire of a virtual host: everything that a recorded world took in and put out, as a capture.
#![allow(dead_code, reason = "each test file uses its part")]

use etherparse::{EtherType, IpFragOffset, IpNumber, Ipv4Header, TcpHeader, UdpHeader};
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;
use ringworld::components::edge::{Input, Output, Outputs};
use ringworld::engine::Engine;
use ringworld::replay::{Player, Witness};
use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

/// When the virtual day began.
pub const BEGAN: Duration = Duration::from_secs(1_700_000_000);

/// A datagram on the wire.
#[derive(Clone)]
pub struct Passed {
    pub at: Duration,
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub is_sip: bool,
    pub bytes: Vec<u8>,
}

/// How the capture is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Ethernet,
    Vlan,
    CookedV1,
    CookedV2,
    Raw,
    /// Ethernet, and messages are cut into IP fragments.
    Fragments,
    /// Ethernet, and SIP goes over TCP: in small segments, now and then twice or in the wrong order.
    Tcp,
    /// Ethernet in a pcapng file.
    PcapNg,
}

struct Tap {
    host: SocketAddrV4,
    passed: Vec<Passed>,
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address} is not in this town"),
    }
}

impl Witness for Tap {
    fn takes(&mut self, engine: &Engine, elapsed: u32, inputs: &[Input]) {
        let tick = engine.now().0 + u64::from(elapsed);
        let at = BEGAN + Duration::from_millis(tick * 5 - 4);
        for (n, input) in inputs.iter().enumerate() {
            let at = at + Duration::from_micros(n as u64);
            match input {
                Input::Sip { flow, bytes, .. } => {
                    let (from, to, bytes) = (v4(flow.remote), v4(flow.local), bytes.to_vec());
                    self.passed.push(Passed { at, from, to, is_sip: true, bytes });
                }
                Input::Rtp(packet) => {
                    let to = SocketAddrV4::new(*self.host.ip(), packet.port);
                    let bytes = packet.bytes().to_vec();
                    self.passed.push(Passed { at, from: v4(packet.peer), to, is_sip: false, bytes });
                }
                _ => {}
            }
        }
    }

    fn gives(&mut self, engine: &Engine, outputs: &Outputs) {
        let at = BEGAN + Duration::from_millis(engine.now().0 * 5 - 1);
        for (n, output) in outputs.control.iter().enumerate() {
            if let Output::Sip { target, bytes, .. } = output {
                let (at, from, to) = (at + Duration::from_micros(n as u64), self.host, v4(target.remote));
                self.passed.push(Passed { at, from, to, is_sip: true, bytes: bytes.to_vec() });
            }
        }
        for packet in outputs.rtp.iter().map(|out| &out.0) {
            let from = SocketAddrV4::new(*self.host.ip(), packet.port);
            let (to, bytes) = (v4(packet.peer), packet.bytes().to_vec());
            self.passed.push(Passed { at: at + Duration::from_micros(500), from, to, is_sip: false, bytes });
        }
    }
}

/// Everything that passed the host's wire while a world was recorded.
pub fn tapped(recording: &Path, host: &str) -> Vec<Passed> {
    let mut tap = Tap { host: host.parse().expect("an address"), passed: Vec::new() };
    let mut player = Player::open(recording).expect("a recording");
    while player.step_before(&mut tap).expect("the replay agrees").is_some() {}
    tap.passed
}

/// The capture, as the bytes of a file.
pub fn captured(passed: &[Passed], wire: Wire) -> Vec<u8> {
    let mut frames: Vec<(Duration, Vec<u8>)> = Vec::new();
    let mut segments = Segments::default();
    for (n, passed) in passed.iter().enumerate() {
        let packets = match wire {
            Wire::Fragments if passed.bytes.len() > 300 => fragments(passed, n as u16),
            Wire::Tcp if passed.is_sip => segments.of(passed),
            _ => vec![udp_packet(passed)],
        };
        frames.extend(packets.into_iter().map(|packet| (passed.at, framed(&packet, wire))));
    }
    if wire == Wire::PcapNg {
        return pcapng(&frames);
    }
    let datalink = match wire {
        Wire::CookedV1 => DataLink::LINUX_SLL,
        Wire::CookedV2 => DataLink::LINUX_SLL2,
        Wire::Raw => DataLink::RAW,
        _ => DataLink::ETHERNET,
    };
    let header = PcapHeader { datalink, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(Vec::new(), header).expect("a capture");
    for (at, frame) in &frames {
        writer.write_packet(&PcapPacket::new(*at, frame.len() as u32, frame)).expect("a packet");
    }
    writer.into_writer()
}

fn pcapng(frames: &[(Duration, Vec<u8>)]) -> Vec<u8> {
    let mut writer = PcapNgWriter::new(Vec::new()).expect("a capture");
    let interface = InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0xffff, options: Vec::new() };
    writer.write_pcapng_block(interface).expect("an interface");
    for (at, frame) in frames {
        let block = EnhancedPacketBlock {
            interface_id: 0,
            // The writer stores what it is given as it is; an interface without options counts microseconds.
            timestamp: Duration::from_nanos(at.as_micros() as u64),
            original_len: frame.len() as u32,
            data: frame.into(),
            options: Vec::new(),
        };
        writer.write_pcapng_block(block).expect("a packet");
    }
    writer.into_inner()
}

fn ip_packet(from: SocketAddrV4, to: SocketAddrV4, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let header = Ipv4Header::new(length, 64, protocol, from.ip().octets(), to.ip().octets()).expect("a header");
    packet_of(header, payload)
}

fn packet_of(mut header: Ipv4Header, payload: &[u8]) -> Vec<u8> {
    header.header_checksum = header.calc_header_checksum();
    let mut packet = header.to_bytes().to_vec();
    packet.extend_from_slice(payload);
    packet
}

fn udp(passed: &Passed) -> Vec<u8> {
    let header = UdpHeader::without_ipv4_checksum(passed.from.port(), passed.to.port(), passed.bytes.len());
    let mut datagram = header.expect("a header").to_bytes().to_vec();
    datagram.extend_from_slice(&passed.bytes);
    datagram
}

fn udp_packet(passed: &Passed) -> Vec<u8> {
    ip_packet(passed.from, passed.to, IpNumber::UDP, &udp(passed))
}

/// The last fragment first, as it may come.
fn fragments(passed: &Passed, identification: u16) -> Vec<Vec<u8>> {
    let datagram = udp(passed);
    let mut packets: Vec<Vec<u8>> = datagram
        .chunks(160)
        .enumerate()
        .map(|(n, piece)| {
            let (from, to) = (passed.from.ip().octets(), passed.to.ip().octets());
            let mut header = Ipv4Header::new(piece.len() as u16, 64, IpNumber::UDP, from, to).expect("a header");
            header.identification = identification;
            header.dont_fragment = false;
            header.more_fragments = (n + 1) * 160 < datagram.len();
            header.fragment_offset = IpFragOffset::try_new(n as u16 * 20).expect("an offset");
            packet_of(header, piece)
        })
        .collect();
    packets.reverse();
    packets
}

fn framed(packet: &[u8], wire: Wire) -> Vec<u8> {
    let [high, low] = EtherType::IPV4.0.to_be_bytes();
    let mut frame = match wire {
        Wire::Raw => Vec::new(),
        Wire::CookedV1 => vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, high, low],
        Wire::CookedV2 => vec![high, low, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0],
        Wire::Vlan => vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 42, high, low],
        _ => vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, high, low],
    };
    frame.extend_from_slice(packet);
    frame
}

#[derive(Default)]
struct Segments {
    sent: BTreeMap<(SocketAddrV4, SocketAddrV4), u32>,
    count: usize,
}

impl Segments {
    fn of(&mut self, passed: &Passed) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let is_new = !self.sent.contains_key(&(passed.from, passed.to));
        let sequence = self.sent.entry((passed.from, passed.to)).or_insert(u32::MAX - 700);
        if is_new {
            packets.push(segment(passed, *sequence, true, &[]));
            *sequence = sequence.wrapping_add(1);
        }
        let mut pieces = Vec::new();
        for piece in passed.bytes.chunks(300) {
            pieces.push(segment(passed, *sequence, false, piece));
            *sequence = sequence.wrapping_add(piece.len() as u32);
        }
        self.count += 1;
        match self.count % 3 {
            0 => pieces.reverse(),
            1 => pieces.push(pieces[0].clone()),
            _ => {}
        }
        packets.extend(pieces);
        packets
    }
}

fn segment(passed: &Passed, sequence: u32, syn: bool, bytes: &[u8]) -> Vec<u8> {
    let mut header = TcpHeader::new(passed.from.port(), passed.to.port(), sequence, 65_535);
    (header.syn, header.ack) = (syn, !syn);
    let mut segment = header.to_bytes().to_vec();
    segment.extend_from_slice(bytes);
    ip_packet(passed.from, passed.to, IpNumber::TCP, &segment)
}
