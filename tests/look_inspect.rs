//! A world at any tick of a recording, as readable text.

mod common;
mod town;

use common::{Bench, Caller, status};
use ringworld::components::kernel::{Now, StableId};
use ringworld::config::RecordMedia;
use ringworld::inspect;
use ringworld::replay::Player;
use std::path::Path;
use std::process::{Command, Output};
use town::{Town, scratch};

fn recorded(name: &str) -> std::path::PathBuf {
    let path = scratch(name);
    Town::record_day(&path, RecordMedia::Full);
    path
}

fn run(command: &str, file: &Path, arguments: &[&str]) -> Output {
    let mut run = Command::new(env!("CARGO_BIN_EXE_ringworld"));
    run.arg(command).arg(file).args(arguments).output().expect("the command starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_tree_shows_sessions_with_all_that_belongs_to_them() {
    let path = recorded("tree");
    let mut player = Player::open(&path).expect("a recording");
    player.run_to(150).expect("the replay agrees");
    let shown = inspect::overview(player.engine().world(), player.engine().now());
    println!("{shown}");
    let census = player.engine().census();
    assert!(shown.contains(&format!("sessions: {}\n", census.sessions)), "{shown}");
    assert!(shown.contains(&format!("rooms: {}\n", census.rooms)), "{shown}");
    let all = [
        "session Connected for 7",
        "├─ #",
        ", Call-ID call-0, 10.0.0.1:5060 to 10.0.1.0:5070 over UDP, for echo",
        "dialog confirmed, tags ours rw00",
        "theirs c0, CSeq ours 0 theirs 1",
        "echo, PCMU of 20 ms sendrecv with 10.0.1.0:30000",
        "session OnHold",
        "the peer holds",
        "participant of room \"a\" since",
        "transaction InviteServer INVITE Accepted with",
        "timers: duration deadline in ",
        "placed at 0.4",
    ];
    for part in all {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    // Three are in room a; each sees the two others.
    let rooms: Vec<&str> =
        shown.lines().filter(|line| line.contains("room \"a\" Active") && line.contains("with #")).collect();
    assert_eq!(rooms.len(), 3, "{shown}");
    assert!(rooms.iter().all(|line| line.split("with ").nth(1).is_some_and(|with| with.matches('#').count() == 2)));
    // Everything is there once: as many lines begin an entity as there are entities.
    let drawn = shown.lines().filter(|line| {
        let line = line.trim_start_matches([' ', '│', '├', '└', '─']);
        line.starts_with('#') && !(line.contains(", with #") || line.ends_with(", alone"))
    });
    assert_eq!(drawn.count() as u64, census.entities, "{shown}");
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn a_session_is_shown_with_every_component_in_words() {
    let path = recorded("session");
    let overview = text(&run("inspect", &path, &["--tick", "250"]));
    let line = overview.lines().find(|line| line.contains("sip:caller1@")).expect("the session of that caller");
    let id = line.split(' ').next().expect("an id");
    let output = run("inspect", &path, &["--tick", "250", "--session", id]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output);
    for part in [
        "tick 250, 1.250 s, ",
        "  call.session\n",
        "    state    Connected\n",
        "    created  0.025 s\n",
        "  call.sip_identity\n",
        "  media.stream\n",
        "  timer call.duration_deadline\n    fires at 14400.",
    ] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    assert!(!shown.contains(" b\"") && !shown.contains("Now("), "{shown}");
    let answered = text(&run("inspect", &path, &["--tick", "5", "--session", id]));
    assert!(answered.contains("  sip.invite_usage\n") || answered.contains("      | SIP/2.0 200 OK\n"), "{answered}");
    // Any other entity, under either name; the old way to ask for it gives the same text.
    let stream = shown.lines().find(|line| line.contains("stream on port")).expect("a stream");
    let stream = stream.trim_start_matches([' ', '│', '├', '└', '─']).split(' ').next().expect("an id");
    let alone = text(&run("inspect", &path, &["--tick", "250", "--entity", stream]));
    assert!(alone.contains("  media.stream\n") && !alone.contains("  call.sip_identity\n"), "{alone}");
    let replayed = text(&run("replay", &path, &["--to", "250", "--inspect", stream]));
    let components = alone.split_once("\n\n").and_then(|(_, rest)| rest.split_once("\n\n")).expect("two parts").1;
    assert!(replayed.contains(components), "{replayed}\n{components}");
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn no_dump_of_anything_is_longer_than_one_can_read() {
    let path = recorded("readable");
    let mut player = Player::open(&path).expect("a recording");
    player.run_to(300).expect("the replay agrees");
    let (world, now) = (player.engine().world(), player.engine().now());
    let mut rooms = 0;
    let mut ids: Vec<StableId> = world.iter_entities().filter_map(|entity| entity.get().copied()).collect();
    ids.sort_unstable();
    for id in &ids {
        let shown = inspect::whole(world, *id, now).expect("it is there");
        assert!(shown.lines().count() < 400, "{shown}");
        // Keys, samples and bytes are not written as bare numbers.
        let is_bare = |line: &str| line.trim_start().trim_start_matches("- ").trim().parse::<u8>().is_ok();
        assert!(!shown.lines().any(is_bare), "{shown}");
        let long = |word: &str| word.len() > 20 && word.bytes().all(|byte| byte.is_ascii_digit());
        assert!(!shown.split([' ', '\n', ',']).any(long), "{shown}");
        if shown.starts_with(&format!("{id} room ")) {
            rooms += 1;
            assert!(shown.contains("└─ inside: #"), "{shown}");
        }
    }
    assert!(ids.len() > 40 && rooms == 2, "{} entities, {rooms} rooms", ids.len());
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn a_binding_is_shown_with_the_time_that_is_left() {
    let mut bench = Bench::new();
    let register = Caller::new(7, "alice").request("REGISTER", "").replace("Contact:", "Expires: 600\r\nContact:");
    assert_eq!(status(&bench.exchange(&register)[0]), 200);
    bench.run_ms(10_000);
    let shown = |bench: &Bench| inspect::overview(bench.engine.world(), bench.engine.now());
    let text = shown(&bench);
    let line =
        "registrations: 1\nalice@10.0.0.1 at sip:caller7@10.0.0.2:5070, by 10.0.0.2:5070 over UDP, for 9 min 50 s\n";
    assert!(text.ends_with(line), "{text}");
    bench.run_quiet_s(600);
    assert!(shown(&bench).ends_with("over UDP, expired\n"), "{}", shown(&bench));
    assert!(!inspect::overview(Bench::new().engine.world(), Now(0)).contains("registrations"));
}

#[test]
fn ticks_and_entities_that_do_not_exist_are_named() {
    let path = recorded("nowhere");
    for (arguments, complaint) in [
        (&["--tick", "5000"][..], ", before tick 5000"),
        (&["--tick", "9", "--session", "#999999"], "no entity #999999 at tick 9"),
    ] {
        let output = run("inspect", &path, arguments);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(complaint), "{said}");
    }
    let output = run("inspect", Path::new("/nowhere/x.rwlog"), &[]);
    assert_eq!(output.status.code(), Some(2));
    std::fs::remove_file(path).expect("the recording");
}
