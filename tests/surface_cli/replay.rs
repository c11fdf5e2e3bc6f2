//! `ringworld replay` and `ringworld diff`: whole, cut, damaged and foreign files.

use super::process::{Folder, code, complaint, ringworld};
use super::town::{Plan, Town, config};
use ringworld::config::RecordMedia;
use ringworld::engine::Engine;
use std::path::Path;
use std::process::Output;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A recorded day in town.
fn record(file: &str) -> Vec<u8> {
    Town::record_day(Path::new(file), RecordMedia::Full);
    std::fs::read(file).unwrap()
}

#[test]
fn a_whole_recording_replays_and_tells_what_it_was() {
    let folder = Folder::new("replay");
    let file = folder.file("day.rwlog");
    record(&file);
    let output = ringworld(&["replay", &file]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    for part in
        ["signalling and packets are as recorded, at every tick", "to tick 1226", "calls 15 in, 1 out", "times as fast"]
    {
        assert!(told(&output).contains(part), "{part}: {}", told(&output));
    }
    let threaded = ringworld(&["replay", &file, "--multi-threaded"]);
    assert_eq!(code(&threaded), 0, "{}", complaint(&threaded));

    let events = ringworld(&["replay", &file, "--to", "300", "--events"]);
    assert_eq!(code(&events), 0, "{}", complaint(&events));
    let lines = told(&events);
    assert!(lines.contains("hears digit 7 of") && lines.contains("(to tick 300"), "{lines}");
    let connected = lines.lines().find(|line| line.contains("Initializing -> Connected")).unwrap();
    let name = connected.split_whitespace().find(|word| word.starts_with('#')).unwrap();
    let tick = connected.split_whitespace().next().unwrap();

    let inspected = ringworld(&["replay", &file, "--to", tick, "--inspect", name]);
    assert_eq!(code(&inspected), 0, "{}", complaint(&inspected));
    let text = told(&inspected);
    assert!(text.contains(&format!("entity {name} at tick {tick}:")) && text.contains("  call.session\n"), "{text}");
    assert!(text.contains("    state    Connected\n"), "{text}");
    let absent = ringworld(&["replay", &file, "--inspect", "#ffffff"]);
    assert_eq!(code(&absent), 1);
    assert!(complaint(&absent).contains("there is no entity #ffffff at tick 1226"), "{}", complaint(&absent));
    assert_eq!(code(&ringworld(&["replay", &file, "--inspect", "no-id"])), 2);
}

#[test]
fn of_a_cut_or_damaged_recording_is_said_what_could_be_read() {
    let folder = Folder::new("damaged");
    let file = folder.file("day.rwlog");
    let whole = record(&file);
    let mut bent = whole.clone();
    bent[whole.len() * 3 / 4] ^= 4;
    for content in [&whole[..whole.len() * 3 / 4], &whole[..whole.len() - 1], &bent] {
        std::fs::write(&file, content).unwrap();
        let output = ringworld(&["replay", &file]);
        let complaint = complaint(&output);
        assert_eq!(code(&output), 1, "{complaint}");
        let (_, tick) = complaint.trim().rsplit_once("it can be replayed up to tick ").expect("how far it goes");
        assert!(tick.parse::<u64>().unwrap() > 100, "{complaint}");
        assert!(told(&output).contains(&format!("(to tick {tick}")), "{}", told(&output));
        assert!(!told(&output).contains("as recorded"), "{}", told(&output));
        let to = ringworld(&["replay", &file, "--to", "100"]);
        assert_eq!(code(&to), 0, "what is whole can be replayed: {}", String::from_utf8_lossy(&to.stderr));
    }
    std::fs::write(&file, "RIFF....WAVEfmt ").unwrap();
    let output = ringworld(&["replay", &file]);
    assert_eq!(code(&output), 2);
    assert!(complaint(&output).contains("is not a recording"), "{}", complaint(&output));
    let output = ringworld(&["replay", &folder.file("missing.rwlog")]);
    assert_eq!(code(&output), 2);
    assert!(complaint(&output).contains("missing.rwlog"), "{}", complaint(&output));
}

#[test]
fn a_difference_is_named_by_its_first_tick_and_entity() {
    let folder = Folder::new("diff");
    let [a, b] = [("a.rwlog", 60), ("b.rwlog", 80)].map(|(name, end)| {
        let file = folder.file(name);
        let mut town = Town::new(Engine::new(&config()), vec![Plan::new("echo").lasting(3, end).talking()]);
        town.record(Path::new(&file), &config(), RecordMedia::Full);
        town.live(100);
        town.stop_recording();
        file
    });
    let same = ringworld(&["diff", &a, &a]);
    assert_eq!(code(&same), 0, "{}", complaint(&same));
    assert!(told(&same).contains("the recordings are the same to their end at tick"), "{}", told(&same));
    let other = ringworld(&["diff", &a, &b]);
    assert_eq!(code(&other), 1);
    for part in ["tick 60 is the first that differs", "its inputs differ", "the first entity that differs: #"] {
        assert!(told(&other).contains(part), "{part}: {}", told(&other));
    }
    let missing = ringworld(&["diff", &a, &folder.file("missing.rwlog")]);
    assert_eq!(code(&missing), 2);
    assert!(complaint(&missing).contains("missing.rwlog"), "{}", complaint(&missing));
}
