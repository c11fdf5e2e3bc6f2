//! What other tools find in a traced call: Wireshark reports no error in the capture of a call over TCP and over IPv6,
//! decodes its RTP as RTP, and counts the losses that the ladder shows.

mod common;
mod town;
mod wire_tap;

use ringworld::components::edge::Transport;
use ringworld::config::RecordMedia;
use ringworld::replay::Player;
use ringworld::trace::{Call, Trace, ladder, svg, trace, write_pcap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use town::{Town, scratch};
use wire_tap::call::record_call;
use wire_tap::{is_there, tshark};

/// The call, traced.
fn call(name: &str, transport: Transport, switch: &str, peer: &str) -> Trace {
    let path = scratch(name);
    record_call(&path, transport, switch, peer);
    let (trace, played) = trace(&mut Player::open(&path).expect("it"), &Call::Id("wire".to_owned()));
    played.expect("the replay agrees");
    std::fs::remove_file(path).expect("the recording");
    trace
}

fn capture_of(trace: &Trace, name: &str) -> PathBuf {
    let (file, mut capture) = (scratch(name).with_extension("pcap"), Vec::new());
    write_pcap(trace, &mut capture).expect("a capture");
    std::fs::write(&file, capture).expect("a file");
    file
}

/// What Wireshark counts: source, destination, SSRC, packets and losses of each stream of RTP.
fn streams(file: &Path) -> Vec<(String, String, u32, u64, i64)> {
    let table = tshark(file, &["-q", "-z", "rtp,streams"]);
    let rows = table.lines().filter(|line| line.contains(" 0x"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_ascii_whitespace().collect();
        let ssrc = u32::from_str_radix(cells[6].trim_start_matches("0x"), 16).expect("an SSRC");
        // The payload is a list with blanks: the counts stand in front of the first bracket.
        let bracket = cells.iter().position(|cell| cell.starts_with('(')).expect("a share of losses");
        let at = |ip: &str, port: &str| SocketAddr::new(ip.parse().expect("it"), port.parse().expect("it")).to_string();
        let (packets, lost) = (cells[bracket - 2].parse().expect("it"), cells[bracket - 1].parse().expect("it"));
        (at(cells[2], cells[3]), at(cells[4], cells[5]), ssrc, packets, lost)
    };
    let mut rows: Vec<_> = rows.map(row).collect();
    rows.sort();
    rows
}

fn told(trace: &Trace) -> Vec<(String, String, u32, u64, i64)> {
    let flows = trace.flows().into_iter();
    let mut rows: Vec<_> =
        flows.map(|flow| (flow.from.to_string(), flow.to.to_string(), flow.ssrc, flow.packets, flow.lost)).collect();
    rows.sort();
    rows
}

/// The ports are none that Wireshark knows, so it must decode everything from the messages themselves.
const WAYS: [(&str, Transport, &str, &str); 4] = [
    ("udp4", Transport::Udp, "10.0.0.1:35060", "10.0.0.2:35070"),
    ("tcp4", Transport::Tcp, "10.0.0.1:35060", "10.0.0.2:35070"),
    ("udp6", Transport::Udp, "[2001:db8::1]:35060", "[2001:db8::2]:35070"),
    ("tcp6", Transport::Tcp, "[2001:db8::1]:35060", "[2001:db8::2]:35070"),
];

#[test]
fn wireshark_reads_the_capture_of_any_call_and_complains_about_nothing() {
    for (name, transport, switch, peer) in WAYS {
        let trace = call(name, transport, switch, peer);
        let text = ladder(&trace);
        println!("{text}");
        let flows = told(&trace);
        assert_eq!(flows.iter().map(|flow| (flow.3, flow.4)).collect::<Vec<_>>(), [(45, 5), (45, 5)], "{name}");
        for flow in trace.flows() {
            assert!(text.contains(&format!("♪  45 packets, 5 lost: {} → {}, ", flow.from, flow.to)), "{text}");
        }
        assert!(
            text.contains(&format!("PCMU, {}", SocketAddr::new(peer.parse::<SocketAddr>().expect("it").ip(), 40_000)))
        );
        if !is_there("tshark") {
            continue;
        }
        let file = capture_of(&trace, name);
        let messages = tshark(&file, &["-Y", "sip", "-T", "fields", "-e", "sip.CSeq.method", "-e", "sip.Status-Code"]);
        let messages: Vec<&str> = messages.lines().map(str::trim_end).collect();
        assert_eq!(messages, ["INVITE", "INVITE\t200", "ACK", "BYE", "BYE\t200"], "{name}");
        let complaints = "tcp.analysis.flags or _ws.malformed or _ws.expert.severity >= 6291456 or ip.checksum.status == 0 \
             or udp.checksum.status == 0 or tcp.checksum.status == 0";
        let checked =
            ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"];
        assert_eq!(tshark(&file, &[&checked[..], &["-Y", complaints]].concat()), "", "{name}");
        let handshakes = tshark(&file, &["-Y", "tcp.flags.syn == 1 and tcp.flags.ack == 1"]).lines().count();
        assert_eq!(handshakes, usize::from(transport == Transport::Tcp), "{name}");
        assert_eq!(tshark(&file, &["-Y", "rtp"]).lines().count(), trace.packets.len(), "{name}");
        assert_eq!(streams(&file), flows, "{name}");
        std::fs::remove_file(file).expect("the capture");
    }
}

#[test]
fn the_losses_of_every_caller_in_town_are_those_that_wireshark_counts() {
    if !is_there("tshark") {
        return;
    }
    let path = scratch("town-flows");
    Town::record_day(&path, RecordMedia::Full);
    for name in ["call-0", "call-1", "call-2", "call-4", "call-8", "call-10"] {
        let (trace, _) = trace(&mut Player::open(&path).expect("it"), &Call::Id(name.to_owned()));
        let file = capture_of(&trace, &format!("flows-{name}"));
        let counted = streams(&file);
        assert!(counted.iter().any(|flow| flow.3 > 20), "{name}: {counted:?}");
        assert_eq!(counted, told(&trace), "{name}");
        assert_eq!(tshark(&file, &["-Y", "rtp"]).lines().count(), trace.packets.len(), "{name}");
        std::fs::remove_file(file).expect("the capture");
    }
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn a_renderer_draws_the_picture_of_a_call_over_ipv6() {
    let picture = svg(&call("picture6", Transport::Tcp, "[2001:db8::1]:35060", "[2001:db8::2]:35070"));
    assert!(picture.contains(">[2001:db8::2]:35070<") && picture.contains("45 packets, 5 lost: "), "{picture}");
    if is_there("rsvg-convert") {
        let file = scratch("picture6").with_extension("svg");
        std::fs::write(&file, picture).expect("a file");
        let output = Command::new("rsvg-convert").arg(&file).output().expect("a renderer");
        assert!(output.status.success() && output.stdout.len() > 5_000, "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::remove_file(file).expect("the picture");
    }
}
