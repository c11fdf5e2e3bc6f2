//! What a state folder holds leads to the same world, whenever the process is killed, and damage is always reported.

mod common;
mod town;

use ringworld::components::kernel::{MigrateApp, Registry, RestoreError};
use ringworld::engine::{ChainDigest, Engine, Extend, WorldConfig};
use ringworld::prelude::*;
use ringworld::state::{Keeper, Recovered, StateError, recover};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use town::{Plan, Town, config, everyday_life, transcoders};

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("state-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a folder");
    path
}

fn stock() -> Extend {
    Arc::new(|_| {})
}

fn first_life() -> WorldConfig {
    WorldConfig { epoch: 1, ..config() }
}

/// A town that is kept in `folder`.
fn kept(folder: &Path) -> Town {
    kept_with(folder, everyday_life())
}

fn kept_with(folder: &Path, plans: Vec<Plan>) -> Town {
    let mut town = Town::new(Engine::new(&first_life()), plans);
    let keeper = Keeper::start(folder, &first_life(), &town.engine, None, stock(), None);
    town.keeper = Some(keeper.expect("a keeper"));
    town
}

/// The process of the town is killed: nothing is ended in order.
fn kill(town: &mut Town) {
    drop(town.keeper.take());
}

fn recovered(folder: &Path) -> Recovered {
    recover(folder, &config(), &stock()).expect("a folder in order").expect("a world")
}

/// Recovers the town in a new life.
fn revive(town: &mut Town, folder: &Path, recovered: Recovered) {
    let Recovered { engine, world, last_seen_ms, .. } = recovered;
    let keeper = Keeper::start(folder, &world, &engine, Some(last_seen_ms), stock(), None);
    (town.engine, town.keeper) = (engine, Some(keeper.expect("a keeper")));
    // Idle ticks at the end of the former life are run again.
    let now = town.engine.now().0;
    town.digests.retain(|(tick, _)| *tick <= now);
    town.reopen_ports();
}

/// Waits until the follower has made so many snapshots.
fn wait_for_snapshots(town: &Town, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let summary = || town.keeper.as_ref().expect("a keeper").summary(&town.engine);
    while summary().snapshots < count {
        assert!(Instant::now() < deadline && summary().failed.is_none(), "{:?}", summary());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs until that tick or past it.
fn live_to(town: &mut Town, tick: u64) {
    while town.engine.now().0 < tick {
        town.tick();
    }
}

/// The digests of a town that was not killed, but began a second epoch at the same tick.
fn undisturbed(plans: Vec<Plan>, woken_at: u64, to: u64) -> Vec<(u64, ChainDigest)> {
    let mut town = Town::new(Engine::new(&first_life()), plans);
    live_to(&mut town, woken_at);
    town.engine.begin_epoch(2, config().settings);
    town.reopen_ports();
    live_to(&mut town, to);
    town.digests
}

/// The recovered world is where the town was, except for idle ticks at the end, which had no outputs.
fn assert_same(back: &Recovered, town: &Town) {
    let mut engine = Engine::new(&first_life());
    engine.resume_chain(back.engine.chain());
    for _ in back.engine.now().0..town.engine.now().0 {
        engine.tick(1, Vec::new());
    }
    assert_eq!(engine.chain(), town.engine.chain(), "recovered at {:?} of {:?}", back.engine.now(), town.engine.now());
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).expect("a file");
    let at = at(bytes.len());
    bytes[at] ^= 0x10;
    fs::write(path, bytes).expect("a file");
}

#[test]
fn a_kill_in_the_middle_of_transcoding_is_no_alarm() {
    // The follower runs the same ticks with codecs of its own, and compares every one.
    for killed_at in [30, 101, 150, 222, 299] {
        let folder = folder(&format!("transcoding-{killed_at}"));
        let mut town = kept_with(&folder, transcoders());
        live_to(&mut town, killed_at);
        kill(&mut town);
        let back = recovered(&folder);
        assert_same(&back, &town);
        assert!(back.notes.is_empty(), "{:?}", back.notes);
        let woken_at = back.engine.now().0;
        revive(&mut town, &folder, back);
        live_to(&mut town, killed_at + 900);
        wait_for_snapshots(&town, 1);
        assert_eq!(
            town.digests,
            undisturbed(transcoders(), woken_at, killed_at + 900),
            "killed after {killed_at} ticks"
        );
        kill(&mut town);
        fs::remove_dir_all(&folder).expect("the folder");
    }
}

#[test]
fn a_killed_town_lives_on_as_if_nothing_had_been() {
    // In the first journal, behind a snapshot of the follower, and at the last tick of a journal.
    for killed_at in [3, 42, 55, 160, 400, 801, 950] {
        let folder = folder(&format!("kill-{killed_at}"));
        let mut town = kept(&folder);
        live_to(&mut town, killed_at);
        if killed_at > 802 {
            wait_for_snapshots(&town, 1);
        }
        let before = town.digest();
        kill(&mut town);
        let back = recovered(&folder);
        assert_same(&back, &town);
        assert!(back.notes.is_empty() && back.world.epoch == 2, "{:?}", back.notes);
        assert_ne!(back.engine.digest(), before, "ids of a new epoch");
        let woken_at = back.engine.now().0;
        revive(&mut town, &folder, back);
        live_to(&mut town, killed_at + 400);
        assert_eq!(
            town.digests,
            undisturbed(everyday_life(), woken_at, killed_at + 400),
            "killed after {killed_at} ticks"
        );
        kill(&mut town);
        fs::remove_dir_all(folder).expect("the folder");
    }
}

#[test]
fn a_town_can_be_killed_again_and_again() {
    let folder = folder("again");
    let mut town = kept(&folder);
    for life in 1..=12 {
        town.live(100);
        kill(&mut town);
        let back = recovered(&folder);
        assert_same(&back, &town);
        assert_eq!(back.world.epoch, life + 1);
        revive(&mut town, &folder, back);
    }
    assert!(town.engine.counters().calls_in >= 14, "{:?}", town.engine.counters());
    assert_eq!(town.engine.unregistered(), []);
    kill(&mut town);
    assert!(files(&folder, "snapshot").len() <= 2, "old files are removed: {:?}", files(&folder, ""));
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn an_orderly_end_leaves_a_snapshot_and_nothing_to_replay() {
    let folder = folder("orderly");
    let mut town = kept(&folder);
    town.live(300);
    let summary = town.keeper.take().expect("a keeper").finish(&town.engine);
    assert_eq!(summary.failed, None);
    for journal in files(&folder, "journal") {
        fs::remove_file(journal).expect("a journal");
    }
    assert_eq!(recovered(&folder).engine.chain(), town.engine.chain());
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn a_torn_end_of_the_journal_loses_the_ticks_that_were_torn_and_no_more() {
    let folder = folder("torn");
    let mut town = kept(&folder);
    town.live(200);
    kill(&mut town);
    let journal = files(&folder, "journal").pop().expect("a journal");
    let whole = fs::read(&journal).expect("the journal");
    for cut in [1, 30, 5_000, whole.len() - 100] {
        fs::write(&journal, &whole[..whole.len() - cut]).expect("the journal");
        let back = recovered(&folder);
        let now = back.engine.now().0;
        assert!(now < town.engine.now().0 || cut == 1, "{cut} bytes less");
        let lived = town.digests.iter().find(|(tick, _)| *tick == now).map(|(_, chain)| *chain);
        assert_eq!(back.engine.chain(), lived.unwrap_or_default(), "{cut} bytes less");
    }
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn a_damaged_journal_is_told_of_put_aside_and_used_up_to_the_damage() {
    let folder = folder("damaged-journal");
    let mut town = kept(&folder);
    town.live(200);
    kill(&mut town);
    let journal = files(&folder, "journal").pop().expect("a journal");
    flip(&journal, |length| length / 2);
    let back = recovered(&folder);
    let now = back.engine.now().0;
    assert!(now > 5 && now < town.engine.now().0, "tick {now}");
    assert!(town.digests.contains(&(now, back.engine.chain())));
    assert!(matches!(&back.notes[..], [note] if note.contains("damaged") && note.contains(&format!("tick {now}"))));
    assert!(!journal.exists() && files(&folder, "journal.damaged").len() == 1, "{:?}", files(&folder, ""));
    revive(&mut town, &folder, back);
    kill(&mut town);
    assert!(recovered(&folder).notes.is_empty(), "told once");
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn any_damage_in_the_last_ticks_of_a_journal_is_told_of() {
    let folder = folder("damaged-end");
    let mut town = kept(&folder);
    town.live(60);
    kill(&mut town);
    let journal = files(&folder, "journal").pop().expect("a journal");
    let whole = fs::read(&journal).expect("the journal");
    // Lengths, checksums and what they are of: a length that is damaged looks like a tick that was not written to its end.
    for back in 1..=150 {
        fs::write(&journal, &whole).expect("the journal");
        flip(&journal, |length| length - back);
        let told = recovered(&folder).notes;
        assert!(matches!(&told[..], [note] if note.contains("damaged")), "{back} bytes before the end: {told:?}");
    }
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn a_damaged_snapshot_is_told_of_and_the_one_before_it_leads_to_the_same_world() {
    let folder = folder("damaged-snapshot");
    let mut town = kept(&folder);
    town.live(900);
    wait_for_snapshots(&town, 1);
    kill(&mut town);
    let snapshots = files(&folder, "snapshot");
    assert_eq!(snapshots.len(), 2);
    flip(&snapshots[1], |length| length - 20);
    let back = recovered(&folder);
    assert_same(&back, &town);
    assert!(matches!(&back.notes[..], [note] if note.contains("damaged")), "{:?}", back.notes);
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn without_a_usable_snapshot_nothing_is_begun_anew() {
    let folder = folder("no-snapshot");
    let mut town = kept(&folder);
    town.live(50);
    kill(&mut town);
    for snapshot in files(&folder, "snapshot") {
        flip(&snapshot, |length| length / 2);
    }
    for _ in 0..2 {
        let Err(error) = recover(&folder, &config(), &stock()) else { panic!("a world out of nothing") };
        assert!(matches!(error, StateError::NoSnapshot { .. }), "{error}");
        assert!(error.to_string().contains("begin anew"), "{error}");
    }
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn a_journal_that_is_missing_is_a_gap_and_not_a_leap() {
    let folder = folder("gap");
    let mut town = kept(&folder);
    town.live(900);
    wait_for_snapshots(&town, 1);
    kill(&mut town);
    fs::remove_file(files(&folder, "snapshot").pop().expect("a snapshot")).expect("removed");
    fs::remove_file(&files(&folder, "journal")[0]).expect("removed");
    let Err(error) = recover(&folder, &config(), &stock()) else { panic!("ticks were leapt over") };
    assert!(matches!(error, StateError::Gap { .. }), "{error}");
    fs::remove_dir_all(folder).expect("the folder");
}

/// A component that another build records.
#[derive(Component, Record, Debug)]
struct Foreign(u32);

struct ForeignPlugin;

impl Plugin for ForeignPlugin {
    fn build(&self, app: &mut App) {
        app.record::<Foreign>("foreign.thing");
    }
}

#[test]
fn another_schema_is_refused_by_name_and_taken_up_with_a_migration() {
    let folder = folder("schema");
    let with_foreign: Extend = Arc::new(|plugins| {
        plugins.add(ForeignPlugin);
    });
    let mut engine = Engine::with_plugins(&first_life(), |plugins| with_foreign(plugins));
    engine.tick(1, Vec::new());
    let keeper = Keeper::start(&folder, &first_life(), &engine, None, with_foreign.clone(), None).expect("a keeper");
    assert_eq!(keeper.finish(&engine).failed, None);
    let Err(error) = recover(&folder, &config(), &stock()) else { panic!("another schema was taken") };
    assert!(matches!(error, StateError::Schema { .. }), "{error}");
    assert!(error.to_string().contains("::ForeignPlugin") && error.to_string().contains("migration"), "{error}");
    let StateError::Schema { error: RestoreError::Plugins { theirs, .. }, .. } = error else { panic!("{error}") };
    let without: Extend = Arc::new(move |plugins| {
        plugins.adjust(move |app| {
            app.migrate_plugins(theirs);
        });
    });
    let Err(error) = recover(&folder, &config(), &without) else { panic!("another schema was taken") };
    assert!(matches!(error, StateError::Schema { .. }), "{error}");
    assert!(error.to_string().contains("foreign.thing") && error.to_string().contains("migration"), "{error}");
    let shape = engine.world().resource::<Registry>().names();
    let shape = shape.iter().find(|(name, _)| *name == "foreign.thing").expect("a name").1;
    let migrating: Extend = Arc::new(move |plugins| {
        plugins.adjust(move |app| {
            app.migrate_plugins(theirs).migrate_removed("foreign.thing", shape);
        });
    });
    let back = recover(&folder, &config(), &migrating).expect("a migration").expect("a world");
    assert_eq!(back.engine.now(), engine.now());
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn a_disk_that_takes_no_journal_is_an_error_at_the_start() {
    let folder = folder("full");
    std::os::unix::fs::symlink("/dev/full", folder.join("00001-000000000000.journal")).expect("a link");
    let engine = Engine::new(&first_life());
    let Err(error) = Keeper::start(&folder, &first_life(), &engine, None, stock(), None) else { panic!("a full disk") };
    assert!(error.to_string().contains("No space left"), "{error}");
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn a_disk_that_fills_up_stops_snapshots_and_nothing_is_lost() {
    let folder = folder("fills-up");
    let mut town = kept(&folder);
    // Neither the next journal nor the next snapshot can be written.
    for tick in 800..900 {
        std::os::unix::fs::symlink("/dev/full", folder.join(format!("00001-{tick:012}.journal"))).expect("a link");
    }
    live_to(&mut town, 890);
    kill(&mut town);
    for link in files(&folder, "journal").into_iter().filter(|path| path.is_symlink()) {
        fs::remove_file(link).expect("a link");
    }
    assert_same(&recovered(&folder), &town);
    fs::remove_dir_all(folder).expect("the folder");
}
