//! One call of a recording: as a ladder, as a picture, and as a capture that other tools can read.

mod common;
mod town;

use pcap_file::pcap::PcapReader;
use ringworld::components::kernel::StableId;
use ringworld::config::RecordMedia;
use ringworld::engine::Engine;
use ringworld::replay::Player;
use ringworld::trace::{Call, Trace, What, calls, ladder, svg, trace, write_pcap};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use town::{Town, config, scratch};

fn recorded(name: &str, media: RecordMedia) -> PathBuf {
    let path = scratch(name);
    Town::record_day(&path, media);
    path
}

fn traced(path: &Path, call: &Call) -> Trace {
    let (trace, played) = trace(&mut Player::open(path).expect("a recording"), call);
    played.expect("the replay agrees");
    trace
}

fn by_call_id(path: &Path, call_id: &str) -> Trace {
    traced(path, &Call::Id(call_id.to_owned()))
}

fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing or out of order in\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn the_list_of_a_recording_has_every_call_of_it_with_its_end() {
    let path = recorded("list", RecordMedia::Full);
    let (listed, played) = calls(&mut Player::open(&path).expect("a recording"));
    played.expect("the replay agrees");
    let ids: BTreeSet<&str> = listed.iter().map(|call| call.call_id.as_str()).collect();
    let seen = by_call_id(&path, "no-such-id").others;
    assert_eq!(ids, seen.iter().map(String::as_str).collect(), "every Call-ID is in the list");
    assert!(listed.is_sorted_by_key(|call| call.began));
    let of = |call_id: &str| listed.iter().find(|call| call.call_id == call_id).expect("a call");
    let held = of("call-2");
    assert_eq!((held.is_incoming, held.from.as_str()), (true, "sip:caller2@10.0.1.2:5070"));
    assert_eq!(
        (held.to.as_str(), held.ended.as_ref().map(|(_, how)| how.as_str())),
        ("sip:echo@10.0.0.1", Some("peer hung up"))
    );
    assert!(held.answered.is_some_and(|at| at >= held.began));
    let busy = of("call-5");
    assert_eq!((busy.answered, busy.ended.as_ref().map(|(_, how)| how.as_str())), (None, Some("rejected (486)")));
    let open = listed.iter().filter(|call| call.ended.is_none()).count();
    let placed: Vec<_> = listed.iter().filter(|call| !call.is_incoming).collect();
    assert!(placed.len() == 1 && placed[0].to.contains("callee@"), "{placed:?}");
    // The command prints the same.
    let output = Command::new(env!("CARGO_BIN_EXE_ringworld")).arg("calls").arg(&path).output().expect("the command");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    in_order(
        &text,
        &[
            "  in   #",
            "  call-2\n",
            "sip:caller2@10.0.1.2:5070 -> sip:echo@10.0.0.1: answered after ",
            ", peer hung up\n",
        ],
    );
    assert_eq!(text.matches(", goes on\n").count(), open, "{text}");
    assert!(
        text.ends_with(&format!("{} call(s); `ringworld trace FILE --call ID` shows one\n", listed.len())),
        "{text}"
    );
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn a_held_call_is_a_ladder_with_its_states_and_media() {
    let path = recorded("ladder", RecordMedia::Full);
    let call = by_call_id(&path, "call-2");
    let text = ladder(&call);
    println!("{text}");
    in_order(
        &text,
        &[
            "call call-2, session #",
            "10.0.1.2:5070",
            "ringworld 10.0.0.1:5060",
            "0.025 s  ├",
            " INVITE sip:echo@10.0.0.1 ",
            "PCMU PCMA telephone-event, 10.0.1.2:30004",
            "◀",
            " 200 OK to INVITE ",
            "●  Initializing → Connected",
            "♪  port 100",
            "♪  agreed: PCMU of 20 ms, sendrecv, with 10.0.1.2:30004",
            " ACK sip:",
            "♪  first packet, from 10.0.1.2:30004",
            "0.500 s  ├",
            "sendonly, PCMU PCMA telephone-event, 10.0.1.2:30004",
            "●  Connected → OnHold",
            "♪  agreed: PCMU of 20 ms, recvonly, with",
            "●  OnHold → Connected",
            " BYE sip:",
            " 200 OK to BYE ",
            "●  ended: peer hung up",
            "released; ",
        ],
    );
    // The session of the caller leads to the same call.
    let session = *call.sessions.first().expect("a session");
    assert_eq!(ladder(&traced(&path, &Call::Session(session))), text);
    assert!(traced(&path, &Call::Session(StableId(0x99_9999))).is_empty());
    assert!(by_call_id(&path, "no-such-id").is_empty());
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn a_call_that_the_switch_placed_shows_the_commands_of_the_api() {
    let path = recorded("placed", RecordMedia::Full);
    let mut player = Player::open(&path).expect("a recording");
    let mut placed = None;
    while placed.is_none() {
        let report = player.step().expect("the replay agrees").expect("a call is placed");
        placed = report.control.iter().find_map(|output| match output {
            ringworld::components::edge::Output::Reply(reply) => reply.result.as_ref().ok().copied(),
            _ => None,
        });
    }
    let call = traced(&path, &Call::Session(placed.expect("a session")));
    let text = ladder(&call);
    println!("{text}");
    in_order(
        &text,
        &[
            "10.0.0.3:5080",
            "asked to place a call to sip:callee@10.0.0.3:5080",
            "◀",
            " INVITE sip:callee@10.0.0.3:5080 ",
            " 200 OK to INVITE ",
            "asked to send digits 12",
            "asked to hold",
            "sendonly",
            "asked to resume",
            "asked to hang up",
            " BYE ",
            "ended: hung up",
        ],
    );
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn digits_rooms_and_refusals_are_told_with_and_without_payloads() {
    for media in [RecordMedia::Full, RecordMedia::Off] {
        let path = recorded("facts", media);
        in_order(&ladder(&by_call_id(&path, "call-1")), &["heard digit 7, ", "released"]);
        in_order(&ladder(&by_call_id(&path, "call-10")), &["enters room \"a\"", "released"]);
        in_order(&ladder(&by_call_id(&path, "call-5")), &["486 Busy Here", "ended: rejected (486)", " ACK "]);
        in_order(&ladder(&by_call_id(&path, "call-9")), &["no RTP for too long", "◀", " BYE ", "ended: no RTP"]);
        let source = if media == RecordMedia::Full { "first packet, from" } else { "packets come from" };
        in_order(&ladder(&by_call_id(&path, "call-0")), &[source]);
        std::fs::remove_file(path).expect("the recording");
    }
}

fn tool(name: &str) -> Option<Command> {
    let there = Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("SKIPPED: {name} is not here; what it would check is not checked (Debian: tshark, librsvg2-bin)");
    }
    there.then(|| Command::new(name))
}

#[test]
fn the_picture_is_one_that_a_renderer_takes() {
    let path = recorded("picture", RecordMedia::Full);
    let call = by_call_id(&path, "call-2");
    let picture = svg(&call);
    std::fs::remove_file(path).expect("the recording");
    // What does not fit into a line beside the last lane goes on in the next one.
    let notes: Vec<&str> = picture.lines().filter(|line| line.contains("class=\"note ")).collect();
    let notes: Vec<&str> = notes.iter().filter_map(|line| line.split(['<', '>']).nth(2)).collect();
    assert!(notes.iter().all(|note| note.chars().count() <= 54), "{notes:#?}");
    let (all, mut long) = (notes.join(" "), 0);
    for text in call.steps.iter().filter_map(|step| match &step.what {
        What::State(text) | What::Media(text) | What::Command(text) => Some(text),
        What::Sip(_) => None,
    }) {
        long += usize::from(text.chars().count() > 54);
        assert!(all.contains(text.as_str()), "{text} is cut in {notes:#?}");
    }
    assert!(long > 0, "a line about lost packets is long");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    for part in [
        "Call call-2",
        "ringworld",
        "10.0.1.2:5070",
        ">INVITE sip:echo@10.0.0.1<",
        "Connected → OnHold",
        "class=\"flow\"",
    ] {
        assert!(picture.contains(part), "{part}:\n{picture}");
    }
    let file = scratch("picture").with_extension("svg");
    std::fs::write(&file, &picture).expect("a file");
    if let Some(mut render) = tool("rsvg-convert") {
        let output = render.arg(&file).output().expect("a renderer");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.starts_with(b"\x89PNG") && output.stdout.len() > 5_000);
    }
    std::fs::remove_file(file).expect("the picture");
}

#[test]
fn the_capture_holds_every_message_and_packet_at_its_time() {
    let path = recorded("capture", RecordMedia::Full);
    let call = by_call_id(&path, "call-2");
    std::fs::remove_file(path).expect("the recording");
    let mut capture = Vec::new();
    write_pcap(&call, &mut capture).expect("a capture");
    let mut reader = PcapReader::new(capture.as_slice()).expect("a capture");
    let (mut sip, mut rtp, mut last) = (Vec::new(), 0, std::time::Duration::ZERO);
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect("a packet");
        assert!(packet.timestamp >= last, "packets stand in order");
        last = packet.timestamp;
        let sliced = etherparse::SlicedPacket::from_ethernet(&packet.data).expect("a frame");
        let Some(etherparse::TransportSlice::Udp(udp)) = sliced.transport else { panic!("no UDP") };
        if udp.destination_port() == 5060 || udp.source_port() == 5060 {
            sip.push(udp.payload().to_vec());
        } else {
            assert_eq!(udp.payload()[0], 0x80);
            rtp += 1;
        }
    }
    let messages: Vec<Vec<u8>> = call.messages().map(|message| message.bytes.to_vec()).collect();
    assert_eq!(sip, messages);
    assert_eq!(rtp, call.packets.len());
    assert!(rtp > 100 && sip.len() == 11, "{rtp} packets, {} messages", sip.len());
    let file = scratch("capture").with_extension("pcap");
    std::fs::write(&file, &capture).expect("a file");
    if let Some(mut read) = tool("tshark") {
        read.arg("-r").arg(&file).args(["-T", "fields", "-e", "sip.CSeq.method", "-e", "sip.Status-Code", "-Y", "sip"]);
        let output = read.output().expect("tshark");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text.lines().filter(|line| line.starts_with("INVITE")).count(), 6, "{text}");
        assert_eq!(text.lines().filter(|line| line.trim_end() == "BYE\t200").count(), 1, "{text}");
        let output = Command::new("tshark").arg("-r").arg(&file).args(["-Y", "rtp"]).output().expect("tshark");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), rtp);
    }
    std::fs::remove_file(file).expect("the capture");
}

#[test]
fn the_one_command_of_the_readme_goes_back_into_a_call() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("a README");
    let command = "cargo run --release -- trace tests/data/day_in_town.rwlog --call call-2";
    assert!(readme.lines().any(|line| line == command), "{command:?} is not in the README");
    let mut run = Command::new(env!("CARGO_BIN_EXE_ringworld"));
    let arguments = command.split(" -- ").nth(1).expect("arguments").split(' ');
    let output = run.args(arguments).current_dir(root).output().expect("the command starts");
    let (text, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let again = "where it is refused, RINGWORLD_RERECORD=1 cargo test --test replay_committed";
    assert!(output.status.success(), "{complaint}; {again}");
    in_order(&text, &["call call-2, session #", " INVITE sip:echo@", "Connected → OnHold", "ended: peer hung up"]);
}

#[test]
fn the_command_prints_draws_and_writes() {
    let path = recorded("command", RecordMedia::Full);
    let (picture, capture) = (path.with_extension("svg"), path.with_extension("pcap"));
    let run = |call: &str| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_ringworld"));
        run.arg("trace").arg(&path).args(["--call", call]).arg("--svg").arg(&picture).arg("--pcap").arg(&capture);
        run.output().expect("the command starts")
    };
    let output = run("call-0");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("call call-0, session #") && text.contains("Initializing → Connected"), "{text}");
    for file in [&picture, &capture] {
        assert!(std::fs::metadata(file).expect("a file").len() > 1_000);
        std::fs::remove_file(file).expect("a file");
    }
    // A prefix of a Call-ID is enough if no other begins with it; a whole one may also be a prefix of others.
    let output = run("call-1");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("call call-1, session #"));
    let placed = by_call_id(&path, "no-such-id").others.into_iter().find(|id| !id.starts_with("call-"));
    let placed = placed.expect("the call that the switch placed");
    let output = run(&placed[..placed.len() - 3]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&format!("call {placed}, session #")));
    for (call, code, words) in [
        ("no-such-id", 1, "no call no-such-id in the recording; it holds call-0, call-1, call-10, "),
        ("call-", 1, "call- may be several calls: call-0, call-1, call-10, "),
        ("#999999", 1, "no call #999999 in the recording; it holds call-0, "),
        ("#x", 2, "\"#x\" is neither a Call-ID nor a session like #1f"),
    ] {
        let output = run(call);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{complaint}");
        assert!(complaint.contains(words) && output.stdout.is_empty(), "{complaint}");
    }
    for file in [&picture, &capture] {
        std::fs::remove_file(file).expect("a file");
    }
    std::fs::remove_file(&path).expect("the recording");
    let output = run("call-0");
    assert_eq!(output.status.code(), Some(2), "there is no file");
    let mut quiet = Town::new(Engine::new(&config()), Vec::new());
    quiet.record(&path, &config(), RecordMedia::Full);
    quiet.live(10);
    quiet.stop_recording();
    let output = run("call-0");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint.contains("no call call-0 in the recording: there is no call in it"), "{complaint}");
    std::fs::remove_file(path).expect("the recording");
}
