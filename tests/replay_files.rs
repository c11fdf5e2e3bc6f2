//! Recordings that are cut, damaged, full, foreign or of another build.

mod common;
mod town;

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld::components::kernel::{PluginDifference, RecordApp};
use ringworld::components::record::Record;
use ringworld::config::{RecordMedia, RecordSettings};
use ringworld::engine::{Engine, Plugins};
use ringworld::replay::{Damage, Ending, Player, Recorder, ReplayError, ReplayOptions, Unlike};
use ringworld::systems::callengine::CallEnginePlugin;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use town::{Town, config, packet, scratch, settings};

/// Plays to the end or to the error.
fn play(path: &Path) -> (u64, Option<ReplayError>) {
    let mut player = match Player::open(path) {
        Ok(player) => player,
        Err(error) => return (0, Some(error)),
    };
    loop {
        match player.step() {
            Ok(Some(_)) => {}
            Ok(None) => return (player.tick(), None),
            Err(error) => return (player.tick(), Some(error)),
        }
    }
}

#[test]
fn what_is_left_of_a_cut_file_can_be_replayed() {
    let path = scratch("cut");
    let (town, _) = Town::record_day(&path, RecordMedia::Full);
    let whole = fs::read(&path).expect("the recording");
    let end = town.engine.now().0;
    let (mut reached, mut some_were_read) = (0, 0);
    for eighth in 1..64 {
        let length = whole.len() * eighth / 64;
        fs::write(&path, &whole[..length]).expect("a file");
        let (tick, error) = play(&path);
        match error {
            Some(ReplayError::Damaged { readable_to, damage: Damage::Truncated | Damage::NoEnd, offset }) => {
                assert!(readable_to == tick && offset <= length as u64, "{length}: {readable_to}, {tick}, {offset}");
                some_were_read += u32::from(tick > 0);
            }
            other => panic!("cut at {length} of {}: {other:?}", whole.len()),
        }
        assert!((reached..end).contains(&tick) || tick == reached, "more bytes must not give fewer ticks");
        reached = tick;
    }
    assert!(some_were_read > 30, "{some_were_read} of 63");
    // Without its footer alone, everything but the end is there.
    fs::write(&path, &whole[..whole.len() - 1]).expect("a file");
    let (tick, error) = play(&path);
    assert_eq!(tick, end);
    let sentence = error.expect("an error").to_string();
    assert!(sentence.contains(&format!("can be replayed up to tick {end}")), "{sentence}");
    fs::remove_file(path).expect("the recording");
}

#[test]
fn damage_anywhere_is_found_and_never_replayed() {
    let path = scratch("damage");
    let (town, _) = Town::record_day(&path, RecordMedia::Full);
    let whole = fs::read(&path).expect("the recording");
    for step in 0..97 {
        let at = step * (whole.len() - 1) / 96;
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (step % 8);
        fs::write(&path, &damaged).expect("a file");
        let (tick, error) = play(&path);
        let is_told = match &error {
            Some(ReplayError::NotARecording { .. } | ReplayError::Version { .. }) => at < 8,
            Some(ReplayError::Damaged { readable_to, .. }) => at >= 8 && *readable_to == tick,
            _ => false,
        };
        assert!(is_told && tick <= town.engine.now().0, "bit {} of byte {at}: {error:?}", step % 8);
    }
    fs::remove_file(path).expect("the recording");
}

#[test]
fn other_files_are_refused_with_a_sentence() {
    let path = scratch("foreign");
    for (content, expected) in [
        (&b""[..], "is not a recording"),
        (b"RIFF....WAVEfmt ", "is not a recording"),
        (b"RWLOG\r\n\x07 and more", "has format version 7"),
        (b"RWLOG\r\n\x02", "nothing of it can be replayed"),
        (b"RWLOG\r\n\x02\xff\xff\xff\xff\xff\xff\xff\xff01234567", "nothing of it can be replayed"),
    ] {
        fs::write(&path, content).expect("a file");
        let error = Player::open(&path).err().expect("an error").to_string();
        assert!(error.contains(expected), "{error}");
    }
    fs::remove_file(&path).expect("the file");
    let error = Player::open(&path).err().expect("an error").to_string();
    assert!(error.contains("can't read") && error.contains("foreign"), "{error}");
}

#[derive(Resource, Record, Default)]
struct Gauge {
    reading: u32,
}

#[derive(Resource, Record, Default)]
struct WiderGauge {
    reading: u64,
}

/// A plugin of one name, with the schemas of several versions.
struct Weather(fn(&mut App));

impl Plugin for Weather {
    fn build(&self, app: &mut App) {
        self.0(app);
    }
}

fn gauge(plugins: &mut Plugins) {
    plugins.add(Weather(|app| {
        app.record_resource(Gauge::default(), "weather.gauge");
    }));
}

fn wider_gauge(plugins: &mut Plugins) {
    plugins.add(Weather(|app| {
        app.record_resource(WiderGauge::default(), "weather.gauge");
    }));
}

fn no_gauge(plugins: &mut Plugins) {
    plugins.add(Weather(|_| {}));
}

/// The same schemas, but another order of the list.
fn gauge_before_routing(plugins: &mut Plugins) {
    plugins.disable::<CallEnginePlugin>();
    gauge(plugins);
    plugins.add(CallEnginePlugin);
}

fn unlike(path: &Path, extend: fn(&mut Plugins)) -> (Unlike, String) {
    let options = ReplayOptions { extend: Arc::new(extend), ..Default::default() };
    match Player::open_with(path, options) {
        Err(error @ ReplayError::Unlike { .. }) => {
            let sentence = error.to_string();
            match error {
                ReplayError::Unlike { unlike, .. } => (unlike, sentence),
                _ => unreachable!("matched above"),
            }
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

#[test]
fn a_changed_schema_is_refused_by_name() {
    let path = scratch("schema");
    let mut town = Town::new(Engine::with_plugins(&config(), gauge), Vec::new());
    town.record(&path, &config(), RecordMedia::Full);
    town.live(10);
    town.stop_recording();
    let options = ReplayOptions { extend: Arc::new(gauge), ..Default::default() };
    let player = Player::open_with(&path, options).expect("the same plugins");
    let weather = "replay_files::Weather".to_owned();
    assert_eq!(player.header().plugins.last(), Some(&weather));
    let recorded = fs::read(&path).expect("the recording");
    let (changed, sentence) = unlike(&path, wider_gauge);
    assert_eq!(changed, Unlike::Shape { name: "weather.gauge".into() });
    assert!(sentence.contains("\"weather.gauge\" has another shape"), "{sentence}");
    let (missing, sentence) = unlike(&path, no_gauge);
    assert_eq!(missing, Unlike::Missing { name: "weather.gauge".into() });
    assert!(sentence.contains("it holds \"weather.gauge\""), "{sentence}");
    let (missing, sentence) = unlike(&path, |_| {});
    assert_eq!(missing, Unlike::Plugins(PluginDifference::Missing { plugin: weather.clone() }));
    assert!(sentence.contains("with the plugin replay_files::Weather, which this world does not have"), "{sentence}");
    let (moved, sentence) = unlike(&path, gauge_before_routing);
    assert!(matches!(moved, Unlike::Plugins(PluginDifference::Order { .. })), "{moved:?}");
    assert!(sentence.contains("CallEnginePlugin"), "{sentence}");
    assert!(fs::read(&path).expect("the recording") == recorded, "a refusal leaves the recording as it is");
    let mut plain = Town::new(Engine::new(&config()), Vec::new());
    plain.record(&path, &config(), RecordMedia::Full);
    plain.live(10);
    plain.stop_recording();
    let (added, _) = unlike(&path, gauge);
    assert_eq!(added, Unlike::Plugins(PluginDifference::Added { plugin: weather }));
    fs::remove_file(path).expect("the recording");
}

#[test]
fn a_full_recording_ends_at_a_whole_tick_and_the_world_goes_on() {
    let path = scratch("full-file");
    let mut engine = Engine::new(&config());
    let limits = RecordSettings { mib_max: 1, ..settings(RecordMedia::Full) };
    let mut recorder = Recorder::create(&path, &config(), &limits).expect("a recorder");
    let mut noise = 1u64;
    for now in 0..3_000 {
        let mut payload = vec![0x80, 0];
        payload.extend(
            std::iter::repeat_with(|| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                noise as u8
            })
            .take(600),
        );
        let inputs = vec![packet(10_000, "10.0.0.9:4000", now * 5_000, &payload)];
        recorder.inputs(1, &inputs);
        engine.tick(1, inputs);
        recorder.end_of_tick(&engine);
        if now % 300 == 0 {
            // The disk gets time to write: the test is about its size.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    let summary = recorder.finish(&engine);
    let last = summary.truncated_at.expect("the size cap was reached");
    assert!(summary.failed.is_none() && (1_000..2_999).contains(&last), "{summary:?}");
    let length = fs::metadata(&path).expect("the recording").len();
    assert!(length <= 1 << 20 && length == summary.bytes && length > 900_000, "{length}");
    let mut player = Player::open(&path).expect("a recording");
    while player.step().expect("the replay agrees").is_some() {}
    assert_eq!((player.tick(), player.footer().map(|footer| footer.ending)), (last, Some(Ending::SizeCap)));
    fs::remove_file(path).expect("the recording");
}

#[test]
fn a_recording_that_cannot_be_written_says_where_and_what_to_do() {
    let nowhere = Path::new("/proc/nowhere/x.rwlog");
    let error = Recorder::create(nowhere, &config(), &settings(RecordMedia::Full)).err().expect("an error");
    assert!(error.to_string().contains("/proc/nowhere/x.rwlog"), "{error}");
    assert!(error.to_string().contains("--record"), "{error}");
    let nothing = RecordSettings { mib_max: 0, ..settings(RecordMedia::Full) };
    let error = Recorder::create(&scratch("zero"), &config(), &nothing).err().expect("an error");
    assert!(error.to_string().contains("mib_max"), "{error}");
}

#[test]
#[cfg(unix)]
fn only_the_owner_can_read_the_secret_in_a_recording() {
    use std::os::unix::fs::PermissionsExt;
    let path = scratch("private");
    let recorder = Recorder::create(&path, &config(), &settings(RecordMedia::Full)).expect("a recorder");
    recorder.finish(&Engine::new(&config()));
    assert_eq!(fs::metadata(&path).expect("the recording").permissions().mode() & 0o777, 0o600);
    fs::remove_file(path).expect("the recording");
}
