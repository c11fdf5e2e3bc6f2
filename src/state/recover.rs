//! Restores a world from a state folder.

use super::StateError;
use super::build::build_id;
use super::folder::{Place, WorldFolder};
use crate::engine::{Engine, Extend, WorldConfig};
use crate::replay::{Header, Heir, Step, Tail, TailError};
use ringworld_components::kernel::{RestoreError, TICK};
use ringworld_components::planted;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// A world that was recovered and goes on.
pub struct Recovered {
    /// The world, in its new life.
    pub engine: Engine,
    /// What it is made from now.
    pub world: WorldConfig,
    /// The time of day at which it stopped, in milliseconds since 1970.
    pub last_seen_ms: u64,
    /// What was found damaged, in sentences.
    pub notes: Vec<String>,
    /// How long it took.
    pub took: Recovery,
}

impl Recovered {
    /// Begins the world's new life.
    pub(crate) fn woken(mut self) -> Self {
        self.engine.begin_epoch(self.world.epoch, self.world.settings.clone());
        self
    }
}

/// How long it took to take a world up again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// To read, unpack and restore the snapshot, in microseconds.
    pub restore_us: u64,
    /// Ticks replayed behind it.
    pub ticks: u64,
    /// The time that this took, in microseconds.
    pub live_us: u64,
}

/// Recovers the world in `folder`, to go on as `world` says; `None` if there is none yet.
///
/// # Errors
/// What is there can't be used, and to begin anew would lose it silently.
pub fn recover(folder: &Path, world: &WorldConfig, extend: &Extend) -> Result<Option<Recovered>, StateError> {
    Ok(recover_asleep(&WorldFolder::new(folder), world, extend)?.map(Recovered::woken))
}

/// As [`recover`], from a folder on any ground, and without a new life: the world is as it was when last written down.
pub(crate) fn recover_asleep(
    folder: &WorldFolder,
    world: &WorldConfig,
    extend: &Extend,
) -> Result<Option<Recovered>, StateError> {
    let mut notes: Vec<String> = folder.failure().into_iter().collect();
    let (snapshots, last) = (folder.snapshots()?, folder.last_epoch()?);
    let epoch = planted!(EpochStays ? last, last.wrapping_add(1));
    let mut unusable: Option<String> = None;
    for &place in snapshots.iter().rev() {
        let began = Instant::now();
        let path = folder.snapshot(place);
        let read = match folder.read_snapshot(place) {
            // It may be whole for the build that wrote it, and is kept for that.
            Err(error @ TailError::Version { .. }) => return Err(StateError::Format { path, why: error.to_string() }),
            read => read.map_err(|error| error.to_string()),
        };
        let usable = read.and_then(|header| {
            let settings = header.settings().unwrap_or_else(|_| world.settings.clone());
            let then = WorldConfig { settings, secret: header.secret.key(), epoch: header.epoch, ..world.clone() };
            match restore(&header, &then, extend) {
                Ok(engine) => Ok(Ok((header, then, engine))),
                Err(error @ (RestoreError::Schema { .. } | RestoreError::Plugins { .. })) => {
                    Ok(Err(StateError::Schema { path: path.clone(), error }))
                }
                Err(error) => Err(error.to_string()),
            }
        });
        match usable {
            Ok(found) => {
                let (header, then, engine) = found?;
                let mut heir = Heir::new(engine, &then.settings);
                let restored = Instant::now();
                let last = live_on(&mut heir, header, place, folder, &mut notes)?;
                let took = Recovery {
                    restore_us: micros(restored - began),
                    ticks: heir.engine().now().0 - place.tick,
                    live_us: micros(restored.elapsed()),
                };
                let world = WorldConfig { epoch, ..world.clone() };
                return Ok(Some(Recovered { notes, took, ..stands(heir, &last, world) }));
            }
            Err(why) => {
                let aside = folder.put_aside(&path).map_err(StateError::io(&path, "renaming"))?;
                notes.push(format!("{} is damaged ({why}) and put aside as {}", path.display(), aside.display()));
                unusable.get_or_insert(why);
            }
        }
    }
    if snapshots.is_empty() && folder.journals()?.is_empty() {
        return Ok(None);
    }
    let why = unusable.unwrap_or_else(|| "there is none".to_owned());
    Err(StateError::NoSnapshot { folder: folder.path().to_owned(), why })
}

/// The world that a header holds.
pub(super) fn restore(header: &Header, world: &WorldConfig, extend: &Extend) -> Result<Engine, RestoreError> {
    let start = header.start.as_ref().ok_or(RestoreError::Format)?;
    let mut engine = Engine::with_plugins(world, |plugins| extend(plugins));
    engine.restore(&start.snapshot, None)?;
    engine.resume_chain(start.chain);
    Ok(engine)
}

/// Replays the journals from `place` on, and returns the last header.
fn live_on(
    heir: &mut Heir,
    first: Header,
    place: Place,
    folder: &WorldFolder,
    notes: &mut Vec<String>,
) -> Result<Header, StateError> {
    let mut last = first;
    let journals: Vec<Place> = folder.journals()?.into_iter().filter(|journal| *journal >= place).collect();
    for (at, &journal) in journals.iter().enumerate() {
        let path = folder.journal(journal);
        let outcome = match folder.read_journal(journal) {
            Ok(Some((tail, header))) => live(heir, tail, header, &mut last, &path)?,
            // Its writer was killed while it began it: the next one, of another life, goes on where this one would
            // have.
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            let tick = heir.engine().now().0;
            notes.push(format!(
                "{}: {error}; the calls are as they were at tick {tick}, and what came after it is lost",
                path.display()
            ));
            for &lost in journals.get(at..).unwrap_or_default() {
                let path = folder.journal(lost);
                folder.put_aside(&path).map_err(StateError::io(&path, "renaming"))?;
            }
            break;
        }
    }
    Ok(last)
}

/// Replays one journal as far as it is whole; the inner error is a damage.
fn live(
    heir: &mut Heir,
    mut tail: Tail,
    header: Header,
    last: &mut Header,
    path: &Path,
) -> Result<Result<(), TailError>, StateError> {
    if let Some(error) = unlike(&header, heir.engine(), path) {
        return match tail.has_ticks() {
            Ok(false) => Ok(Ok(())),
            Ok(true) => Err(error),
            Err(error) => Ok(Err(error)),
        };
    }
    if header.epoch != last.epoch {
        let settings = header.settings().map_err(|error| TailError::Damaged { offset: 0, error });
        match settings {
            Ok(settings) => heir.engine_mut().begin_epoch(header.epoch, settings),
            Err(error) => return Ok(Err(error)),
        }
    }
    if !heir.follow(tail, &header) {
        return Err(StateError::Gap { path: path.to_owned(), tick: heir.engine().now().0 });
    }
    *last = header;
    loop {
        match heir.step() {
            Ok(Step::Lived) => {}
            // Killed, or ended in order: the next journal must go on from here, if there is one.
            Ok(Step::Nothing | Step::End) => return Ok(Ok(())),
            Err(TailError::Diverged { tick }) => return Err(StateError::Diverged { path: path.to_owned(), tick }),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Why replaying a journal would not come to the same world again.
fn unlike(header: &Header, engine: &Engine, path: &Path) -> Option<StateError> {
    let path = path.to_owned();
    if header.build != build_id() {
        return Some(StateError::OtherBuild { path, theirs: header.build.clone(), ours: build_id().to_owned() });
    }
    header.plugin_difference(engine).map(|difference| StateError::OtherPlugins { path, difference })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn stands(heir: Heir, last: &Header, world: WorldConfig) -> Recovered {
    let engine = heir.into_engine();
    let lived_ms = engine.now().0.saturating_mul(TICK.as_millis() as u64);
    let last_seen_ms = last.began_unix_ms.saturating_add(lived_ms);
    let world = WorldConfig { secret: last.secret.key(), began_unix_ms: last.began_unix_ms, ..world };
    Recovered { engine, world, last_seen_ms, notes: Vec::new(), took: Recovery::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RecordMedia;
    use crate::replay::Start;
    use crate::state::Keeper;
    use std::sync::Arc;

    fn scratch(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("ringworld-recover-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn stock() -> Extend {
        Arc::new(|_| {})
    }

    fn first_life() -> WorldConfig {
        WorldConfig { epoch: 1, ..WorldConfig::default() }
    }

    /// A snapshot of tick 1, and a journal behind it by another build, with a tick in it or none.
    fn left_by_another_build(path: &Path, has_tick: bool) {
        let folder = WorldFolder::new(path);
        let mut engine = Engine::new(&first_life());
        engine.tick(1, Vec::new());
        let start = Start { tick: 1, snapshot: engine.snapshot(), chain: engine.chain() };
        let mut header = Header::new(&first_life(), RecordMedia::Full);
        header.build = "0.0.1+elsewhere".to_owned();
        header.know(&engine);
        let place = Place { epoch: 1, tick: 1 };
        folder.write_snapshot(place, &Header { start: Some(start.clone()), ..header.clone() }).unwrap();
        header.start = Some(Start { snapshot: Vec::new(), ..start });
        let mut journal = folder.begin_journal(place, &header).unwrap();
        if has_tick {
            journal.inputs(7, &[]);
            engine.tick(7, Vec::new());
            journal.end_of_tick(&engine, true).unwrap();
        }
    }

    #[test]
    fn ticks_of_another_build_are_refused_and_its_snapshot_alone_is_not() {
        let path = scratch("build");
        left_by_another_build(&path, true);
        let Err(error) = recover(&path, &WorldConfig::default(), &stock()) else { panic!("ticks of another build") };
        assert!(matches!(error, StateError::OtherBuild { .. }), "{error}");
        assert!(error.to_string().contains("0.0.1+elsewhere") && error.to_string().contains(build_id()), "{error}");
        left_by_another_build(&path, false);
        let back = recover(&path, &WorldConfig::default(), &stock()).unwrap().unwrap();
        assert_eq!((back.engine.now().0, back.world.epoch), (1, 2));
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn another_format_is_refused_and_left_as_it_is() {
        let path = scratch("format");
        left_by_another_build(&path, false);
        let snapshot = WorldFolder::new(&path).snapshot(Place { epoch: 1, tick: 1 });
        let mut bytes = std::fs::read(&snapshot).unwrap();
        bytes[7] -= 1;
        std::fs::write(&snapshot, &bytes).unwrap();
        let Err(error) = recover(&path, &WorldConfig::default(), &stock()) else { panic!("another format") };
        assert!(matches!(error, StateError::Format { .. }), "{error}");
        assert!(error.to_string().contains(&format!("version {}, and this build reads {}", bytes[7], bytes[7] + 1)));
        assert_eq!(std::fs::read(&snapshot).unwrap(), bytes);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_journal_that_had_failed_is_told_of_at_the_next_start_and_once() {
        let path = scratch("failed");
        let mut engine = Engine::new(&first_life());
        let mut keeper = Keeper::start(&path, &first_life(), &engine, None, stock(), None).unwrap();
        engine.tick(1, Vec::new());
        keeper.give_up("the disk is gone");
        let summary = keeper.finish(&engine);
        assert!(summary.failed.is_some_and(|why| why.contains("the disk is gone")));
        let back = recover(&path, &WorldConfig::default(), &stock()).unwrap().unwrap();
        assert!(matches!(&back.notes[..], [note] if note.contains("the disk is gone")), "{:?}", back.notes);
        let again = recover(&path, &WorldConfig::default(), &stock()).unwrap().unwrap();
        assert!(again.notes.is_empty(), "{:?}", again.notes);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn an_empty_folder_holds_no_world() {
        let path = scratch("empty");
        assert!(recover(&path, &WorldConfig::default(), &stock()).unwrap().is_none());
        std::fs::remove_dir_all(path).unwrap();
    }
}
