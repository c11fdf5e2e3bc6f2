//! Makes a world ready before its first tick: fresh, or out of a state folder.

use super::runner::Shared;
use super::switch::{StartError, unix_ms};
use super::watch::Watch;
use super::{Engine, Extend, WorldConfig};
use crate::config::Config;
use crate::replay::{FlightRecorder, FlightSettings, RecordError, Recorder};
use crate::state::{Keeper, Recovered, Recovery, StateError, StateFolder, recover};
use ringworld_components::kernel::{Now, StableIds};
use std::path::{Path, PathBuf};

/// A world that is ready to run, and what writes down what it takes in.
pub(super) struct Prepared {
    pub engine: Engine,
    pub recorder: Option<Recorder>,
    pub keeper: Option<Keeper>,
    pub watch: Watch,
    /// If it was taken up from a state folder, how long that took.
    pub recovery: Option<Recovery>,
}

/// What the network, and the code that starts the switch, must know before the network starts.
#[derive(Debug, Default)]
pub(super) struct Beginnings {
    /// The ports that calls are using already.
    pub ports: Vec<u16>,
    /// The age of the world, in milliseconds.
    pub lived_ms: u64,
    /// Which life this is; 0 without a state folder.
    pub epoch: u16,
    /// Calls that go on.
    pub sessions: u64,
    /// What is to be told at the start: what was found damaged, and where a former recording is.
    pub notes: Vec<String>,
}

impl Beginnings {
    /// Those of a world as it stands.
    pub fn of(engine: &Engine) -> Self {
        Self {
            ports: engine.ports_in_use(),
            lived_ms: engine.now().as_millis(),
            epoch: engine.world().resource::<StableIds>().epoch(),
            sessions: engine.census().sessions,
            notes: Vec::new(),
        }
    }
}

/// The folders of the worlds, one each, if there is a state folder.
pub(super) fn state_folders(
    config: &Config,
    count: usize,
    taken: Option<StateFolder>,
) -> Result<(Option<StateFolder>, Vec<Option<PathBuf>>), StateError> {
    let folder = &config.state.folder;
    if folder.as_os_str().is_empty() {
        return Ok((None, vec![None; count]));
    }
    if config.network.sip.iter().any(|listen| listen.address.port() == 0) {
        return Err(StateError::NoPort);
    }
    let taken = match taken {
        Some(taken) => taken,
        None => StateFolder::take(folder)?,
    };
    let worlds = taken.worlds(count)?.into_iter().map(Some).collect();
    Ok((Some(taken), worlds))
}

/// Makes a world ready, on the thread that will run it.
pub(super) fn prepare(
    config: &Config,
    index: usize,
    folder: Option<&Path>,
    extend: &Extend,
    shared: &Shared,
) -> Result<(Prepared, Beginnings), StartError> {
    let fresh = WorldConfig {
        settings: config.settings(),
        secret: random_secret()?,
        world: index as u8,
        epoch: u16::from(folder.is_some()),
        pool_share: config.network.packet_buffers as usize,
        began_unix_ms: unix_ms(),
    };
    let recovered = match folder {
        Some(folder) => recover(folder, &fresh, extend)?,
        None => None,
    };
    let (mut engine, world, last_seen_ms, notes, recovery) = match recovered {
        Some(Recovered { engine, world, last_seen_ms, notes, took }) => {
            (engine, world, Some(last_seen_ms), notes, Some(took))
        }
        None => (Engine::with_plugins(&fresh, |plugins| extend(plugins)), fresh, None, Vec::new(), None),
    };
    shared.announce(engine.undecided());
    let start = |settings| {
        let flight = match folder {
            Some(_) => FlightRecorder::start_fed(&engine, &world, &settings, extend.clone())
                .map(|(flight, feed)| (flight, Some(feed))),
            None => FlightRecorder::start(&engine, &world, &settings, extend.clone()).map(|flight| (flight, None)),
        };
        flight.inspect_err(|error| tracing::warn!(%error, "there is no flight recorder")).ok()
    };
    let (flight, feed) = FlightSettings::of(&config.record).and_then(start).unzip();
    let keeper = match folder {
        Some(folder) => Some(Keeper::start(folder, &world, &engine, last_seen_ms, extend.clone(), feed.flatten())?),
        None => None,
    };
    let (recorder, note) = recorder(config, index, &world, &engine)?;
    let watch = Watch::new(flight, config.record.flight_late_ms, config.network.worlds == 1);
    let missed = keeper.as_ref().map_or(0, Keeper::missed_ticks);
    let lived_ms = Now(engine.now().0.saturating_add(missed)).as_millis();
    let notes = notes.into_iter().chain(note).collect();
    let beginnings = Beginnings { lived_ms, notes, ..Beginnings::of(&engine) };
    Ok((Prepared { engine, recorder, keeper, watch, recovery }, beginnings))
}

/// With several worlds each records into a file of its own. A recording that is there gets another name, which a sentence
/// tells.
fn recorder(
    config: &Config,
    index: usize,
    world: &WorldConfig,
    engine: &Engine,
) -> Result<(Option<Recorder>, Option<String>), StartError> {
    let mut path = config.record.file.clone();
    if path.as_os_str().is_empty() {
        return Ok((None, None));
    }
    if config.network.worlds > 1 {
        path.as_mut_os_string().push(format!(".{index}"));
    }
    let kept = keep_former(&path)
        .map_err(|error| StartError::Record(RecordError { path: path.clone(), error }))?
        .map(|name| format!("the recording that was in {} is now in {}", path.display(), name.display()));
    let created = match engine.now().0 {
        0 => Recorder::create(&path, world, &config.record),
        _ => Recorder::create_at(&path, world, &config.record, engine),
    };
    Ok((Some(created.map_err(StartError::Record)?), kept))
}

/// Gives a file another name, the first free one with a number behind it; `None` if there is no file. A device stays where
/// it is.
fn keep_former(path: &Path) -> std::io::Result<Option<PathBuf>> {
    if !std::fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return Ok(None);
    }
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let free = (1..).map(numbered).find(|name| std::fs::symlink_metadata(name).is_err());
    free.map(|name| std::fs::rename(path, &name).map(|()| name)).transpose()
}

fn random_secret() -> Result<[u8; 32], StartError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| StartError::System(std::io::Error::other(error)))?;
    Ok(secret)
}
