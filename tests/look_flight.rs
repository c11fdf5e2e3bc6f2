//! The flight recorder: what it writes out is an ordinary recording of the last ticks, whatever the world did before.

mod common;
mod town;

use ringworld::config::RecordMedia;
use ringworld::engine::{Engine, Extend};
use ringworld::prelude::*;
use ringworld::replay::{Claims, FlightRecorder, FlightSettings, Player, ReplayError, ReplayOptions};
use ringworld::state::{Keeper, recover};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use town::{Town, config, everyday_life};

/// A folder of its own, deleted at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("flight-{name}-{}", std::process::id())))
    }

    fn settings(&self, window: Duration) -> FlightSettings {
        FlightSettings { window, bytes_max: 8 << 20, media: RecordMedia::Full, folder: self.0.clone() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn nothing() -> Extend {
    Arc::new(|_| {})
}

fn flying(settings: &FlightSettings, extend: Extend) -> Town {
    let engine = Engine::with_plugins(&config(), |plugins| extend(plugins));
    let flight = FlightRecorder::start(&engine, &config(), settings, extend).expect("a flight recorder");
    let mut town = Town::new(engine, everyday_life());
    town.flight = Some(flight);
    town
}

fn write_out(town: &mut Town) -> Result<PathBuf, String> {
    let flight = town.flight.as_mut().expect("a flight recorder");
    flight.write_out(&town.engine, "on demand").recv().expect("an answer")
}

/// Plays to the end, and says where the recording begins.
fn replays_to(path: &Path, town: &Town, claims: Claims) -> u64 {
    let mut player = Player::open(path).expect("a recording");
    let began = player.tick();
    assert_eq!(player.claims(), claims);
    while player.step().expect("the replay agrees").is_some() {}
    assert_eq!(player.tick(), town.engine.now().0);
    assert_eq!(player.engine().digest().control, town.digest().control);
    if claims == Claims::ControlAndMedia {
        assert_eq!(player.engine().digest(), town.digest());
    }
    assert_eq!(player.footer().map(|footer| footer.ticks), Some(player.ticks()));
    began
}

#[test]
fn what_is_written_out_replays_to_the_world_of_that_moment() {
    let folder = Folder::new("young");
    let mut town = flying(&folder.settings(Duration::from_secs(60)), nothing());
    for _ in 0..3 {
        town.live(150);
        let path = write_out(&mut town).expect("a recording");
        assert_eq!(replays_to(&path, &town, Claims::ControlAndMedia), 0);
    }
    assert_eq!(std::fs::read_dir(&folder.0).expect("the folder").count(), 3);
}

#[test]
fn a_follower_moves_the_beginning_and_the_window_stays_covered() {
    for (media, claims) in [(RecordMedia::Full, Claims::ControlAndMedia), (RecordMedia::Off, Claims::Control)] {
        let folder = Folder::new(&format!("moved-{claims:?}"));
        let settings = FlightSettings { media, ..folder.settings(Duration::from_millis(1_500)) };
        let mut town = flying(&settings, nothing());
        let deadline = Instant::now() + Duration::from_secs(60);
        let began = loop {
            town.live(100);
            let path = write_out(&mut town).expect("a recording");
            let began = replays_to(&path, &town, claims);
            std::fs::remove_file(path).expect("the recording");
            if began > 0 {
                break began;
            }
            assert!(Instant::now() < deadline && town.engine.now().0 < 5_000, "the beginning never moved");
        };
        assert!(town.engine.now().0 - began >= 300, "{began} is less than a window before {:?}", town.engine.now());
        // And again, from a snapshot that a follower made.
        let moved_again = loop {
            town.live(100);
            let path = write_out(&mut town).expect("a recording");
            let again = replays_to(&path, &town, claims);
            std::fs::remove_file(path).expect("the recording");
            if again > began {
                break again;
            }
            assert!(Instant::now() < deadline && town.engine.now().0 < 9_000, "the beginning moved once only");
        };
        assert!(moved_again > began && town.flight.as_ref().expect("a recorder").take_finding().is_none());
    }
}

#[test]
fn a_world_in_the_middle_of_its_life_can_be_taken_up() {
    let folder = Folder::new("middle");
    let mut town = Town::new(Engine::new(&config()), everyday_life());
    town.live(170);
    let settings = folder.settings(Duration::from_secs(60));
    town.flight = Some(FlightRecorder::start(&town.engine, &config(), &settings, nothing()).expect("a recorder"));
    let began = town.engine.now().0;
    town.live(200);
    let path = write_out(&mut town).expect("a recording");
    assert_eq!(replays_to(&path, &town, Claims::ControlAndMedia), began);
}

/// Runs on, with the follower of the state folder close behind, until a recording begins after `tick`; returns where it
/// begins, which is at one of the follower's snapshots.
fn live_until_it_begins_after(tick: u64, town: &mut Town, claims: Claims) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut snapshots = vec![town.engine.now().0];
    loop {
        town.live(100);
        let state = |town: &Town| town.keeper.as_ref().expect("a keeper").summary(&town.engine);
        while state(town).lag_ticks > 150 {
            assert!(Instant::now() < deadline && state(town).failed.is_none(), "{:?}", state(town));
            std::thread::sleep(Duration::from_millis(1));
        }
        snapshots.push(state(town).snapshot_tick);
        if let Ok(path) = write_out(town) {
            let began = replays_to(&path, town, claims);
            std::fs::remove_file(path).expect("the recording");
            if began > tick {
                assert!(snapshots.contains(&began), "no other follower made this snapshot: {began} {snapshots:?}");
                return began;
            }
        }
        assert!(Instant::now() < deadline, "the beginning never moved");
    }
}

#[test]
fn the_follower_of_a_state_folder_moves_the_beginning_in_this_life_and_in_the_next() {
    for (media, claims) in [(RecordMedia::Full, Claims::ControlAndMedia), (RecordMedia::Off, Claims::Control)] {
        let folder = Folder::new(&format!("fed-{claims:?}"));
        let (state, window) = (folder.0.join("world-0"), Duration::from_secs(5));
        std::fs::create_dir_all(&state).expect("a folder");
        let settings = FlightSettings { media, ..folder.settings(window) };
        let first = WorldConfig { epoch: 1, ..config() };
        let mut town = Town::new(Engine::new(&first), everyday_life());
        let (flight, feed) =
            FlightRecorder::start_fed(&town.engine, &first, &settings, nothing()).expect("a flight recorder");
        let keeper = Keeper::start(&state, &first, &town.engine, None, nothing(), Some(feed)).expect("a keeper");
        (town.flight, town.keeper) = (Some(flight), Some(keeper));
        let began = live_until_it_begins_after(0, &mut town, claims);
        assert!(town.engine.now().0 - began >= 1_000, "{began} is less than a window before {:?}", town.engine.now());
        (town.flight, town.keeper) = (None, None);

        let back = recover(&state, &first, &nothing()).expect("a folder in order").expect("a world");
        let (flight, feed) =
            FlightRecorder::start_fed(&back.engine, &back.world, &settings, nothing()).expect("a flight recorder");
        let now = back.engine.now().0;
        town.engine = back.engine;
        town.flight = Some(flight);
        let why = write_out(&mut town).expect_err("there is no snapshot");
        assert!(why.contains("waits for the next snapshot"), "{why}");
        let last_seen = Some(back.last_seen_ms);
        let keeper = Keeper::start(&state, &back.world, &town.engine, last_seen, nothing(), Some(feed));
        town.keeper = Some(keeper.expect("a keeper"));
        town.reopen_ports();
        assert!(live_until_it_begins_after(now - 1, &mut town, claims) >= now);
        assert!(town.flight.as_ref().expect("a recorder").take_finding().is_none());
    }
}

#[test]
fn memory_is_bounded_and_a_recorder_that_lost_all_begins_again() {
    let folder = Folder::new("small");
    let settings = FlightSettings { bytes_max: 60 << 10, ..folder.settings(Duration::from_secs(3_600)) };
    let mut town = flying(&settings, nothing());
    let (mut refused, mut written) = (0, 0);
    for _ in 0..60 {
        town.live(50);
        let answer = write_out(&mut town);
        let flight = town.flight.as_ref().expect("a recorder");
        assert!(flight.bytes() <= 60 << 10, "{} bytes", flight.bytes());
        match answer {
            Ok(path) => {
                replays_to(&path, &town, Claims::ControlAndMedia);
                written += 1;
            }
            Err(why) => {
                assert!(why.contains("waits until"), "{why}");
                refused += 1;
            }
        }
    }
    println!("{written} written, {refused} refused");
    assert!(written >= 10, "{written} written, {refused} refused");
}

fn break_at_tick_150(now: Res<Now>) {
    assert!(now.0 < 150, "tick {} is one too many", now.0);
}

#[test]
fn a_panic_is_caught_and_its_recording_panics_at_the_same_tick() {
    let folder = Folder::new("panic");
    let extend: Extend = Arc::new(|plugins| {
        plugins.add(|app: &mut App| {
            app.add_systems(Tick, break_at_tick_150.in_set(Phase::Behaviour));
        });
    });
    let mut engine = Engine::with_plugins(&config(), |plugins| extend(plugins));
    let settings = folder.settings(Duration::from_secs(60));
    let mut flight = FlightRecorder::start(&engine, &config(), &settings, extend.clone()).expect("a recorder");
    let said = (1..200).find_map(|_| {
        flight.inputs(1, &[]);
        let broken = engine.tick_or_break(1, Vec::new()).err();
        if broken.is_none() {
            flight.end_of_tick(&engine);
        }
        broken
    });
    assert_eq!(said.as_deref(), Some("tick 150 is one too many"));
    let path = flight.write_out_broken(&engine, "panic").recv().expect("an answer").expect("a recording");
    let options = ReplayOptions { extend, ..ReplayOptions::default() };
    let mut player = Player::open_with(&path, options).expect("a recording");
    let error = player.run_to(u64::MAX).expect_err("it breaks again");
    assert!(
        matches!(&error, ReplayError::Panicked { tick: 150, message } if message == "tick 150 is one too many"),
        "{error}"
    );
}

static REFUSES: AtomicBool = AtomicBool::new(true);

/// A system with hidden state: what it does is not a function of the world's inputs.
fn refuse_as_a_global_says(mut offered: MessageReader<CallOffered>, mut operations: Operations) {
    for offered in offered.read() {
        if REFUSES.load(Ordering::Relaxed) {
            operations.write(Operation::reject(offered.session, 480));
        }
    }
}

#[test]
fn a_world_that_is_no_function_of_its_inputs_is_found_out() {
    let folder = Folder::new("hidden");
    let extend: Extend = Arc::new(|plugins| {
        plugins.add(|app: &mut App| {
            app.add_systems(Tick, refuse_as_a_global_says.in_set(Phase::Behaviour));
        });
    });
    let mut town = flying(&folder.settings(Duration::from_millis(500)), extend);
    town.live(150);
    REFUSES.store(false, Ordering::Relaxed);
    let deadline = Instant::now() + Duration::from_secs(60);
    let finding = loop {
        town.live(50);
        if let Some(finding) = town.flight.as_ref().and_then(FlightRecorder::take_finding) {
            break finding;
        }
        assert!(Instant::now() < deadline, "nothing was found");
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(finding.contains("is the first that differs") && finding.contains(".rwlog"), "{finding}");
}

#[test]
fn a_signal_writes_the_flight_recording_of_a_running_switch() {
    use std::io::BufRead;
    let folder = Folder::new("signal");
    std::fs::create_dir_all(&folder.0).expect("a folder");
    let file = folder.0.join("switch.toml");
    let text = format!("[record]\nflight_dir = {:?}\n", folder.0.display().to_string());
    std::fs::write(&file, text).expect("a configuration");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringworld"));
    command.args(["run", "--config"]).arg(&file);
    command.args(["--sip", "udp:127.0.0.1:0", "--rtp-ports", "24040-24099"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("a switch");
    let mut lines = std::io::BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "ready"));
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    for _ in 0..2 {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1).expect("a signal");
        let line = lines.next().expect("a line");
        let path = line.strip_prefix("the flight recording is in ").expect("a path");
        let replayed =
            Command::new(env!("CARGO_BIN_EXE_ringworld")).arg("replay").arg(path).output().expect("a replay");
        assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    }
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("a signal");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}
