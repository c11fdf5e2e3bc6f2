//! `docs/from-incident-to-test.md`, run: its commands one after the other, what they print, and its test, which must fail
//! with the incident and pass with the fix.

use std::path::PathBuf;
use std::process::Command;

// begin of the guide's test
use ringworld::components::call::Settings;
use ringworld::engine::Extend;
use ringworld::replay::{Player, ReplayOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// How the calls of a recording end under other settings than those that it was made with.
fn outcomes(recording: &str, change: fn(&mut Settings)) -> BTreeMap<String, u64> {
    let extend: Extend = Arc::new(move |plugins| {
        plugins.adjust(move |app| change(&mut app.world_mut().resource_mut::<Settings>()));
    });
    let options = ReplayOptions { extend, verify: false, ..ReplayOptions::default() };
    let mut player = Player::open_with(Path::new(recording), options).expect("a recording of this build");
    while player.step().expect("a whole recording").is_some() {}
    player.engine().counters().outcomes.clone()
}

// Here the guide has `#[test]`.
fn no_caller_that_waits_is_cut_off() {
    let outcomes = outcomes("tests/data/incident.rwlog", |_| ());
    assert_eq!(outcomes.get("not answered in time"), None, "{outcomes:?}");
}
// end of the guide's test

const GUIDE: &str = include_str!("../docs/from-incident-to-test.md");

/// The blocks of the guide: their kind, and what stands in them.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let parts: Vec<&str> = GUIDE.split("```").collect();
    assert!(parts.len() % 2 == 1, "a block is not closed");
    parts.iter().skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

/// Whether `line` is like `pattern`, in which … stands for anything.
fn is_like(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || (last.is_empty() && pattern.contains('…'))
}

#[test]
fn a_pattern_is_like_what_it_stands_for() {
    assert!(is_like("  12 #2 ended", "…#2 ended") && is_like("a-b-c", "a…c") && is_like("abc", "ab…"));
    assert!(!is_like("x#2 ended now", "…#2 ended") && !is_like("ab", "b…") && !is_like("ab", "a"));
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_guide_leads_from_an_incident_to_a_failing_test() {
    let folder = Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guide-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).expect("a folder");
    // A port of its own, so that the guide can be tested beside a switch; a mark between what the blocks print.
    let port = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let (mut script, mut patterns) = (String::from("set -eu\n"), Vec::new());
    for (kind, text) in blocks() {
        match kind {
            "sh" => {
                patterns.push("");
                script.push_str(&format!("echo '== block'\n{text}"));
            }
            "text" => *patterns.last_mut().expect("a command in front of what it prints") = text,
            "rust" => {
                let source = include_str!("guide.rs").replace("// Here the guide has `#[test]`.", "#[test]");
                assert!(
                    source.contains(&format!("// begin of the guide's test\n{text}// end")),
                    "the test differs:\n{text}"
                );
            }
            other => panic!("{other} is no kind of block"),
        }
    }
    let binaries = Path::new(env!("CARGO_BIN_EXE_ringworld")).parent().expect("a folder").display().to_string();
    let path = format!("{binaries}:{}", std::env::var("PATH").unwrap_or_default());
    let mut run = Command::new("bash");
    run.args(["-c", &script.replace("35070", &port.to_string())]).current_dir(&folder.0).env("PATH", path);
    let output = run.output().expect("bash");
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{said}");
    let printed = printed.replace(&port.to_string(), "35070");
    let of_blocks: Vec<&str> = printed.split("== block\n").skip(1).collect();
    assert_eq!(of_blocks.len(), patterns.len());
    for (printed, patterns) in of_blocks.iter().zip(&patterns) {
        let mut lines = printed.lines();
        for pattern in patterns.lines() {
            assert!(lines.any(|line| is_like(line, pattern)), "{pattern:?} is missing or out of order in\n{printed}");
        }
    }
    for file in ["call.svg", "call.pcap"] {
        assert!(std::fs::metadata(folder.0.join(file)).expect("a file").len() > 500);
    }
    // In the checkout, and with the fix.
    std::fs::create_dir_all(folder.0.join("tests/data")).expect("a folder");
    std::fs::copy(folder.0.join("incident.rwlog"), folder.0.join("tests/data/incident.rwlog")).expect("a copy");
    std::env::set_current_dir(&folder.0).expect("a folder");
    let as_it_was = std::panic::catch_unwind(no_caller_that_waits_is_cut_off);
    assert!(as_it_was.is_err(), "the guide's test must fail with the incident");
    let fixed = outcomes("tests/data/incident.rwlog", |settings| settings.timers.ringing_s = 180);
    assert_eq!(fixed.get("not answered in time"), None, "{fixed:?}");
}
