//! A tap on the wire of a virtual host: everything that a recorded world took in and put out, as a capture.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod call;
mod frames;

pub use frames::Wire;
use frames::{Segments, fragments, framed, udp_packet};
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use ringworld::components::edge::{Input, Output, Outputs};
use ringworld::engine::Engine;
use ringworld::replay::{Player, Witness};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// When the virtual day began.
pub const BEGAN: Duration = Duration::from_secs(1_700_000_000);

/// A datagram on the wire.
#[derive(Clone)]
pub struct Passed {
    pub at: Duration,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub is_sip: bool,
    pub bytes: Vec<u8>,
}

struct Tap {
    host: SocketAddr,
    passed: Vec<Passed>,
}

impl Witness for Tap {
    fn takes(&mut self, engine: &Engine, elapsed: u32, inputs: &[Input]) {
        let tick = engine.now().0 + u64::from(elapsed);
        let at = BEGAN + Duration::from_millis(tick * 5 - 4);
        for (n, input) in inputs.iter().enumerate() {
            let at = at + Duration::from_micros(n as u64);
            match input {
                Input::Sip { flow, bytes, .. } => {
                    let (from, to, bytes) = (flow.remote, flow.local, bytes.to_vec());
                    self.passed.push(Passed { at, from, to, is_sip: true, bytes });
                }
                Input::Rtp(packet) => {
                    let to = SocketAddr::new(self.host.ip(), packet.port);
                    let bytes = packet.bytes().to_vec();
                    self.passed.push(Passed { at, from: packet.peer, to, is_sip: false, bytes });
                }
                _ => {}
            }
        }
    }

    fn gives(&mut self, engine: &Engine, outputs: &Outputs) {
        let at = BEGAN + Duration::from_millis(engine.now().0 * 5 - 1);
        for (n, output) in outputs.control.iter().enumerate() {
            if let Output::Sip { target, bytes, .. } = output {
                let (at, from, to) = (at + Duration::from_micros(n as u64), self.host, target.remote);
                self.passed.push(Passed { at, from, to, is_sip: true, bytes: bytes.to_vec() });
            }
        }
        for packet in outputs.rtp.iter().map(|out| &out.0) {
            let from = SocketAddr::new(self.host.ip(), packet.port);
            let (at, to, bytes) = (at + Duration::from_micros(500), packet.peer, packet.bytes().to_vec());
            self.passed.push(Passed { at, from, to, is_sip: false, bytes });
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

/// What passed, as frames with their times.
pub fn frames(passed: &[Passed], wire: Wire) -> Vec<(Duration, Vec<u8>)> {
    let mut frames: Vec<(Duration, Vec<u8>)> = Vec::new();
    let mut segments = Segments::default();
    for (n, passed) in passed.iter().enumerate() {
        let packets = match wire {
            Wire::Fragments if passed.bytes.len() > 300 => fragments(passed, n as u16),
            Wire::Tcp if passed.is_sip => segments.of(passed),
            _ => vec![udp_packet(passed, wire)],
        };
        frames.extend(packets.into_iter().map(|packet| (passed.at, framed(&packet, wire))));
    }
    frames
}

/// The capture, as the bytes of a file.
pub fn captured(passed: &[Passed], wire: Wire) -> Vec<u8> {
    let frames = frames(passed, wire);
    if wire == Wire::PcapNg {
        return pcapng(&frames, &[Clock::default()], |_| 0);
    }
    let datalink = match wire {
        Wire::CookedV1 => DataLink::LINUX_SLL,
        Wire::CookedV2 => DataLink::LINUX_SLL2,
        Wire::Raw => DataLink::RAW,
        _ => DataLink::ETHERNET,
    };
    pcap(&frames, PcapHeader { datalink, ..PcapHeader::default() })
}

/// A pcap file; frames longer than the header's snapshot length are cut to it.
pub fn pcap(frames: &[(Duration, Vec<u8>)], header: PcapHeader) -> Vec<u8> {
    let snaplen = header.snaplen as usize;
    let mut writer = PcapWriter::with_header(Vec::new(), header).expect("a capture");
    for (at, frame) in frames {
        let kept = &frame[..frame.len().min(snaplen)];
        writer.write_packet(&PcapPacket::new(*at, frame.len() as u32, kept)).expect("a packet");
    }
    writer.into_writer()
}

/// How an interface of a pcapng file counts time.
#[derive(Clone, Copy, Default)]
pub struct Clock {
    /// The resolution as the file says it; microseconds if it says nothing.
    pub resolution: Option<u8>,
    /// Seconds that belong to every time.
    pub offset_s: u64,
}

impl Clock {
    fn units(self, at: Duration) -> u64 {
        let nanos = (at - Duration::from_secs(self.offset_s)).as_nanos();
        let per_second: u128 = match self.resolution {
            None => 1_000_000,
            Some(power) if power & 0x80 == 0 => 10_u128.pow(u32::from(power)),
            Some(power) => 1 << (power & 0x7f),
        };
        (nanos * per_second / 1_000_000_000) as u64
    }
}

/// A pcapng file with an interface for each clock; `interface` says which one a frame came by.
pub fn pcapng(frames: &[(Duration, Vec<u8>)], clocks: &[Clock], interface: impl Fn(usize) -> usize) -> Vec<u8> {
    let mut writer = PcapNgWriter::new(Vec::new()).expect("a capture");
    for clock in clocks {
        let mut options: Vec<InterfaceDescriptionOption<'_>> =
            clock.resolution.map(InterfaceDescriptionOption::IfTsResol).into_iter().collect();
        options.extend((clock.offset_s > 0).then_some(InterfaceDescriptionOption::IfTsOffset(clock.offset_s)));
        let interface = InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0xffff, options };
        writer.write_pcapng_block(interface).expect("an interface");
    }
    for (n, (at, frame)) in frames.iter().enumerate() {
        let interface_id = interface(n) as u32;
        let block = EnhancedPacketBlock {
            interface_id,
            // The writer stores what it is given as it is.
            timestamp: Duration::from_nanos(clocks[interface_id as usize].units(*at)),
            original_len: frame.len() as u32,
            data: frame.into(),
            options: Vec::new(),
        };
        writer.write_pcapng_block(block).expect("a packet");
    }
    writer.into_inner()
}

/// Whether a tool is installed; prints what is left out if it is not.
pub fn is_there(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("SKIPPED: {tool} is not here; what it would check is not checked (Debian: tshark, librsvg2-bin)");
    }
    there
}

/// What tshark prints.
pub fn tshark(file: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark").arg("-r").arg(file).args(arguments).output().expect("tshark");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
