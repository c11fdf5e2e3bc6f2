//! Captures of every kind become the same call: both families, every link layer, every file format, and files in which
//! something is missing. Where tshark is installed it must find as many messages and packets as the import does.

mod common;
mod town;
mod wire_tap;

use pcap_file::pcap::PcapHeader;
use pcap_file::{Endianness, TsResolution};
use ringworld::components::edge::Transport;
use ringworld::config::Config;
use ringworld::import::{Report, import};
use std::time::Duration;
use town::scratch;
use wire_tap::call::record_call;
use wire_tap::{Clock, Passed, Wire, captured, frames, is_there, pcap, pcapng, tapped, tshark};

const V4: (&str, &str) = ("10.0.0.1:5060", "10.0.0.2:5070");
const V6: (&str, &str) = ("[2001:db8::1]:5060", "[2001:db8::2]:5070");

/// The messages of the call: INVITE, 200, ACK, BYE, 200; and its packets, each way.
const MESSAGES: u64 = 5;
const PACKETS: u64 = 45;

fn call(name: &str, transport: Transport, (host, peer): (&str, &str)) -> Vec<Passed> {
    let path = scratch(name);
    record_call(&path, transport, host, peer);
    let passed = tapped(&path, host);
    std::fs::remove_file(path).expect("the recording");
    passed
}

/// Imports a capture and compares what it found with what tshark finds.
fn imported(name: &str, capture: &[u8], host: &str) -> Report {
    imported_beside(name, capture, host, is_there("tshark"))
}

fn imported_beside(name: &str, capture: &[u8], host: &str, tshark_reads: bool) -> Report {
    let (file, out) = (scratch(name).with_extension("pcap"), scratch(&format!("{name}-out")));
    std::fs::write(&file, capture).expect("a capture");
    let report = import(&file, host.parse().expect("an address"), &Config::default(), &out).expect("an import");
    println!("{name}: {report}");
    std::fs::remove_file(out).expect("the recording");
    if tshark_reads {
        let whole = ["-o", "tcp.reassemble_out_of_order:TRUE"];
        // A frame may hold several messages; of what was sent again tshark tells only the first.
        let seen = ["-Y", "sip", "-T", "fields", "-e", "sip.CSeq"];
        let messages = tshark(&file, &[&whole[..], &seen].concat());
        let messages = messages.lines().flat_map(|line| line.split(',')).filter(|cseq| !cseq.is_empty()).count() as u64;
        assert_eq!(messages, report.account.sip_to_us + report.account.sip_from_us, "{name}");
        let packets = tshark(&file, &["-Y", "rtp"]).lines().count() as u64;
        let account = &report.account;
        assert_eq!(packets, account.packets_used + account.packets_unused + account.packets_from_us, "{name}");
    }
    std::fs::remove_file(file).expect("the capture");
    report
}

fn is_whole(name: &str, report: &Report) {
    let account = &report.account;
    assert_eq!((report.differences.len(), report.not_repeated.len(), report.alike), (0, 0, 2), "{name}");
    assert_eq!((account.sip_to_us, account.sip_used, account.sip_from_us), (3, 3, 2), "{name}");
    assert_eq!(
        (account.packets_used, account.packets_unused, account.packets_from_us),
        (PACKETS, 0, PACKETS),
        "{name}"
    );
    assert_eq!((account.malformed, account.not_ip, account.fragments_lost, account.gaps), (0, 0, 0, 0), "{name}");
    assert_eq!((account.damaged.as_ref(), account.clock_jumps, account.cut_short), (None, 0, 0), "{name}");
}

#[test]
fn both_families_come_over_every_wire() {
    for (family, ends) in [("v4", V4), ("v6", V6)] {
        let passed = call(family, Transport::Udp, ends);
        for wire in [
            Wire::Ethernet,
            Wire::Vlan,
            Wire::QinQ,
            Wire::CookedV1,
            Wire::CookedV2,
            Wire::Raw,
            Wire::Fragments,
            Wire::Extensions,
            Wire::PcapNg,
            Wire::Tcp,
        ] {
            let name = format!("{family}-{wire:?}");
            let report = imported(&name, &captured(&passed, wire), ends.0);
            is_whole(&name, &report);
            let account = &report.account;
            let large = passed.iter().filter(|passed| passed.bytes.len() > 300).count() as u64;
            assert!(large >= 2);
            assert_eq!(account.reassembled, if wire == Wire::Fragments { large } else { 0 }, "{name}");
            assert!(account.fragments >= 3 * account.reassembled, "{name}");
            assert_eq!(account.connections, u64::from(wire == Wire::Tcp), "{name}");
            assert_eq!(account.segments_again > 0, wire == Wire::Tcp, "{name}");
        }
    }
}

#[test]
fn files_count_time_in_units_and_orders_of_all_kinds() {
    let passed = call("clocks", Transport::Udp, V4);
    let frames = frames(&passed, Wire::Ethernet);
    for (name, endianness, ts_resolution) in [
        ("big-micro", Endianness::Big, TsResolution::MicroSecond),
        ("big-nano", Endianness::Big, TsResolution::NanoSecond),
        ("little-nano", Endianness::Little, TsResolution::NanoSecond),
    ] {
        let header = PcapHeader { endianness, ts_resolution, ..PcapHeader::default() };
        let report = imported(name, &pcap(&frames, header), V4.0);
        is_whole(name, &report);
        assert_eq!(report.began_unix_ms, passed[0].at.as_millis() as u64, "{name}");
        assert_eq!(report.account.out_of_order, 0, "{name}");
    }
    // The peer's packets by one interface, the host's by another, the rest by a third; each has its own resolution.
    let clocks = [
        Clock { resolution: Some(9), offset_s: 0 },
        Clock { resolution: Some(0x80 | 20), offset_s: 0 },
        Clock { resolution: None, offset_s: 1_600_000_000 },
        Clock { resolution: Some(3), offset_s: 0 },
    ];
    let report = imported("interfaces", &pcapng(&frames, &clocks, |n| n % 4), V4.0);
    is_whole("interfaces", &report);
    assert_eq!(report.began_unix_ms, passed[0].at.as_millis() as u64);
    // Interfaces hand over their frames in turns, so that those of one stand behind later ones of another.
    let (one, other): (Vec<_>, Vec<_>) = frames.iter().cloned().partition(|(at, _)| at.subsec_millis() % 2 == 0);
    let mut turns = Vec::new();
    for (one, other) in one.chunks(8).zip(other.chunks(8)) {
        turns.extend_from_slice(one);
        turns.extend_from_slice(other);
    }
    let rest = one.len().min(other.len()).div_ceil(8) * 8;
    turns.extend(one.iter().skip(rest).chain(other.iter().skip(rest)).cloned());
    assert_eq!(turns.len(), frames.len());
    let report = imported("turns", &pcap(&turns, PcapHeader::default()), V4.0);
    is_whole("turns", &report);
    assert!(report.account.out_of_order > 20, "{}", report.account);
}

#[test]
fn a_clock_that_was_set_does_not_make_the_recording_years_long() {
    let passed = call("set", Transport::Udp, V4);
    let mut frames = frames(&passed, Wire::Ethernet);
    let half = frames.len() / 2;
    // The host's clock was wrong until the middle of the call, by half a century.
    frames[..half].iter_mut().for_each(|(at, _)| *at -= Duration::from_secs(1_600_000_000));
    let report = imported("set", &pcap(&frames, PcapHeader::default()), V4.0);
    let account = &report.account;
    assert_eq!((account.clock_jumps, account.sip_used), (1, 3), "{account}");
    assert!(report.to_string().contains("1 times the clock of the capture jumped"), "{report}");
    // And back by an hour: the call goes on without a gap.
    let mut back = wire_tap::frames(&passed, Wire::Ethernet);
    back[half..].iter_mut().for_each(|(at, _)| *at -= Duration::from_secs(3_600));
    let report = imported("back", &pcap(&back, PcapHeader::default()), V4.0);
    assert_eq!((report.account.clock_jumps, report.differences.len()), (1, 0), "{report}");
    assert_eq!(report.account.packets_used, PACKETS);
}

#[test]
fn what_a_snapshot_length_cuts_is_not_used_and_counted() {
    let passed = call("snaplen", Transport::Udp, V4);
    // RTP frames of 214 bytes are whole, messages with a description are not.
    let header = PcapHeader { snaplen: 500, ..PcapHeader::default() };
    let (file, out) = (scratch("snaplen").with_extension("pcap"), scratch("snaplen-out"));
    std::fs::write(&file, pcap(&frames(&passed, Wire::Ethernet), header)).expect("a capture");
    let report = import(&file, V4.0.parse().expect("an address"), &Config::default(), &out).expect("an import");
    let (account, text) = (&report.account, report.to_string());
    let cut = passed.iter().filter(|passed| passed.bytes.len() + 42 > 500).count() as u64;
    assert!((1..MESSAGES).contains(&cut), "{cut}");
    assert_eq!((account.cut_short, account.sip_to_us + account.sip_from_us), (cut, MESSAGES - cut), "{text}");
    assert!(text.contains(&format!("{cut} frames were cut short by the capture (its snapshot length)")), "{text}");
    for file in [file, out] {
        std::fs::remove_file(file).expect("a file");
    }
}

#[test]
fn a_file_that_is_damaged_in_the_middle_is_used_up_to_there() {
    let passed = call("damage", Transport::Udp, V4);
    let whole = frames(&passed, Wire::Ethernet);
    let half = whole.len() / 2;
    for (name, file) in [
        ("pcap", pcap as fn(&[(Duration, Vec<u8>)], PcapHeader) -> Vec<u8>),
        ("pcapng", |frames: &[(Duration, Vec<u8>)], _| pcapng(frames, &[Clock::default()], |_| 0)),
    ] {
        let mut capture = file(&whole, PcapHeader::default());
        let at = file(&whole[..half], PcapHeader::default()).len();
        // The header of the next frame is noise: its lengths are far too large.
        capture[at..at + 12].fill(0xf9);
        let (path, out) = (scratch(name).with_extension("pcap"), scratch(&format!("{name}-out")));
        std::fs::write(&path, capture).expect("a capture");
        let report = import(&path, V4.0.parse().expect("an address"), &Config::default(), &out).expect("an import");
        let text = report.to_string();
        assert_eq!(report.account.frames, half as u64, "{name}: {text}");
        assert!(text.contains(&format!("THE FILE IS DAMAGED behind frame {half}: ")), "{name}: {text}");
        // A file that is damaged in the middle of the call still holds the call's beginning.
        assert_eq!((report.account.sip_to_us, report.calls), (2, 1), "{name}: {text}");
        for file in [path, out] {
            std::fs::remove_file(file).expect("a file");
        }
    }
}

#[test]
fn a_gap_in_a_connection_costs_its_message_and_no_other() {
    let passed = call("gap", Transport::Tcp, V4);
    let whole = frames(&passed, Wire::Tcp);
    is_whole("tcp", &imported("tcp", &pcap(&whole, PcapHeader::default()), V4.0));
    // The ACK, in one piece or two, was not captured, but its receiver acknowledged it.
    let ack = whole.iter().position(|(_, frame)| frame.windows(8).any(|window| window == b"ACK sip:")).expect("an ACK");
    let mut gap = whole.clone();
    let lost = gap.remove(ack).1.len() as u64 - 54;
    // tshark would wait for the segment to the end.
    let report = imported_beside("gap", &pcap(&gap, PcapHeader::default()), V4.0, false);
    let account = &report.account;
    assert_eq!((account.gaps, account.bytes_lost), (1, lost), "{account}");
    assert_eq!((account.sip_to_us, account.sip_from_us), (2, 2), "{account}");
    // Captured in the middle of the connection: what came before is not known, what comes is used.
    let late: Vec<_> = whole.iter().skip(ack).cloned().collect();
    let report = imported_beside("late", &pcap(&late, PcapHeader::default()), V4.0, false);
    assert_eq!((report.account.joined_late, report.account.connections), (1, 1), "{}", report.account);
}
