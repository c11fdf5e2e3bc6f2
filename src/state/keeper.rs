//! Keeps the journal of a world, on the thread that runs it.

use super::StateError;
use super::build::build_id;
use super::folder::{Place, WorldFolder};
use super::follower::Follower;
use crate::config::RecordMedia;
use crate::engine::{Engine, Extend, WorldConfig};
use crate::replay::{Header, Journal, Start};
use ringworld_components::edge::{Input, Outputs};
use ringworld_components::kernel::TICK;
use ringworld_components::planted;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Ticks of one journal: four seconds, so that snapshots lie less than five apart though the follower lags a little.
const JOURNAL_TICKS: u64 = 800;

/// How a state folder fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSummary {
    /// Snapshots written.
    pub snapshots: u64,
    /// The tick of the last one.
    pub snapshot_tick: u64,
    /// How long the longest took to encode, in microseconds.
    pub encode_us_max: u64,
    /// How many ticks the follower is behind.
    pub lag_ticks: u64,
    /// Why a restart would not find everything, if it would not.
    pub failed: Option<String>,
}

impl StateSummary {
    /// Adds that of another world: the worse one counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.snapshots += other.snapshots;
        self.snapshot_tick = self.snapshot_tick.min(other.snapshot_tick);
        self.encode_us_max = self.encode_us_max.max(other.encode_us_max);
        self.lag_ticks = self.lag_ticks.max(other.lag_ticks);
        if self.failed.is_none() {
            self.failed.clone_from(&other.failed);
        }
    }
}

/// What the keeper and its follower know of each other.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub followed: AtomicU64,
    pub snapshots: AtomicU64,
    pub snapshot_tick: AtomicU64,
    pub encode_us_max: AtomicU64,
    failed: Mutex<Option<String>>,
}

impl Health {
    /// Something went wrong that a restart would suffer from. The first reason stays.
    pub fn fail(&self, why: String) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            tracing::error!("{why}");
            *failed = Some(why);
        }
    }

    fn failed(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The journal of a running world and its follower.
pub struct Keeper {
    folder: WorldFolder,
    /// What the journal at hand begins with.
    header: Header,
    /// None once it has failed: the calls go on, and would not survive.
    journal: Option<Journal>,
    /// Whether the disk takes nothing at the moment.
    is_stuck: bool,
    follower: Follower,
    extend: Extend,
    health: Arc<Health>,
    /// The time of day at which the world stood where it stands before its first tick, in milliseconds since 1970.
    last_seen_ms: u64,
}

impl Keeper {
    /// Begins to keep a world before its first tick of this life, with a snapshot of it. A world that was recovered was
    /// last seen where it stands at this time of day, in milliseconds since 1970.
    pub fn start(
        folder: &Path,
        world: &WorldConfig,
        engine: &Engine,
        last_seen_ms: Option<u64>,
        extend: Extend,
    ) -> Result<Self, StateError> {
        Self::start_in(WorldFolder::new(folder), world, engine, last_seen_ms, extend)
    }

    /// As [`Keeper::start`], in a folder on any ground.
    pub(crate) fn start_in(
        folder: WorldFolder,
        world: &WorldConfig,
        engine: &Engine,
        last_seen_ms: Option<u64>,
        extend: Extend,
    ) -> Result<Self, StateError> {
        let lived_ms = engine.now().0.saturating_mul(TICK.as_millis() as u64);
        let last_seen_ms = last_seen_ms.unwrap_or_else(|| folder.ground().unix_ms());
        let mut header = Header::new(world, RecordMedia::Full);
        header.began_unix_ms = last_seen_ms.saturating_sub(lived_ms);
        header.build = build_id().to_owned();
        header.know(engine);
        let health = Arc::new(Health::default());
        let (journal, follower) = begin(&folder, &mut header, engine, &extend, &health)?;
        Ok(Self { folder, header, journal: Some(journal), is_stuck: false, follower, extend, health, last_seen_ms })
    }

    /// Ends the journal with a snapshot at its end: the world stops, and another process may go on with it.
    pub fn park(&mut self, engine: &Engine) -> Result<(), String> {
        self.follower.stop();
        self.last_seen_ms = self.folder.ground().unix_ms();
        let Some(journal) = &mut self.journal else { return Err("the journal has failed".to_owned()) };
        let place = Place { epoch: self.header.epoch, tick: engine.now().0 };
        let whole = Header { start: Some(start(engine, engine.snapshot())), ..self.header.clone() };
        let written = journal.end(engine).and_then(|()| self.folder.write_snapshot(place, &whole));
        written.map_err(|error| format!("the snapshot can't be written: {error}"))
    }

    /// Goes on where the world was parked: nobody has taken it over, whatever they may have written.
    pub fn resume(&mut self, engine: &Engine) {
        let begun = self.folder.remove_after(self.header.epoch).and_then(|()| {
            let mut header = self.header.clone();
            begin(&self.folder, &mut header, engine, &self.extend, &self.health).map(|begun| (header, begun))
        });
        match begun {
            Ok((header, (journal, follower))) => {
                (self.header, self.journal, self.follower) = (header, Some(journal), follower);
            }
            Err(error) => self.give_up(&error.to_string()),
        }
    }

    /// How many ticks have passed since the world last stood still, by the time of day.
    pub fn missed_ticks(&self) -> u64 {
        if planted!(DowntimeLost) {
            return 0;
        }
        self.folder.ground().unix_ms().saturating_sub(self.last_seen_ms) / TICK.as_millis() as u64
    }

    /// Lives a tick. What it puts out is had only when all that led to it is with the system: a kill at any moment loses
    /// nothing that anybody has seen.
    ///
    /// # Errors
    /// As [`Engine::tick_or_break`].
    pub fn live(&mut self, engine: &mut Engine, elapsed: u32, inputs: Vec<Input>) -> Result<Outputs, String> {
        self.inputs(elapsed, &inputs);
        let outputs = engine.tick_or_break(elapsed, inputs)?;
        self.end_of_tick(engine, !outputs.control.is_empty() || !outputs.rtp.is_empty());
        Ok(outputs)
    }

    /// Takes down what the coming tick is given.
    pub fn inputs(&mut self, elapsed: u32, inputs: &[Input]) {
        if let Some(journal) = &mut self.journal {
            journal.inputs(elapsed, inputs);
        }
    }

    /// Hands the tick to the system, before anything of it leaves; `leaves` says whether anything does.
    pub fn end_of_tick(&mut self, engine: &Engine, leaves: bool) {
        let Some(journal) = &mut self.journal else { return };
        match journal.end_of_tick(engine, leaves) {
            Ok(()) if self.is_stuck && !journal.is_waiting() => {
                self.is_stuck = false;
                tracing::warn!("the journal of world {} is whole again", self.header.world);
            }
            Err(error) if !self.is_stuck => {
                self.is_stuck = true;
                let world = self.header.world;
                tracing::error!("the journal of world {world} can't be written ({error}); it waits in memory");
            }
            _ => {}
        }
        if journal.is_lost() {
            self.give_up("the disk has taken no more of the journal than fits into memory");
        }
    }

    /// Begins the next journal if it is time. Called when all of the tick has left.
    pub fn after_tick(&mut self, engine: &Engine) {
        let began = self.header.start.as_ref().map_or(0, |start| start.tick);
        let is_due = engine.now().0 >= began + JOURNAL_TICKS;
        let Some(journal) = self.journal.as_mut().filter(|journal| is_due && !journal.is_empty()) else { return };
        if journal.is_waiting() {
            return;
        }
        let now_ms = engine.now().0.saturating_mul(TICK.as_millis() as u64);
        let header = Header {
            start: Some(start(engine, Vec::new())),
            began_unix_ms: self.folder.ground().unix_ms().saturating_sub(now_ms),
            ..self.header.clone()
        };
        let place = Place { epoch: header.epoch, tick: engine.now().0 };
        // A kill when the next one is begun and this one has not ended must find it whole, idle ticks included.
        if journal.settle().is_err() {
            return;
        }
        // Without a new one the old one goes on growing, and is tried again in the next tick.
        let Ok(next) = self.folder.begin_journal(place, &header) else { return };
        match journal.end(engine) {
            Ok(()) => (self.journal, self.header) = (Some(next), header),
            Err(error) => self.give_up(&format!("the end of a journal could not be written: {error}")),
        }
    }

    /// Ends in order: with a snapshot, so that another build can take the world up.
    pub fn finish(mut self, engine: &Engine) -> StateSummary {
        self.follower.stop();
        if let Some(mut journal) = self.journal.take() {
            let place = Place { epoch: self.header.epoch, tick: engine.now().0 };
            let whole = Header { start: Some(start(engine, engine.snapshot())), ..self.header.clone() };
            let written = journal.end(engine).and_then(|()| self.folder.write_snapshot(place, &whole));
            match written {
                Ok(()) => {
                    if let Err(error) = self.folder.prune() {
                        tracing::warn!("{error}");
                    }
                }
                Err(error) => self.health.fail(format!("the last snapshot could not be written: {error}")),
            }
        }
        self.summary(engine)
    }

    /// Whether the disk has not taken all that a restart would need.
    pub(crate) fn is_behind(&self) -> bool {
        self.journal.as_ref().is_none_or(Journal::is_waiting)
    }

    /// How it fares.
    pub fn summary(&self, engine: &Engine) -> StateSummary {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        StateSummary {
            snapshots: load(&self.health.snapshots),
            snapshot_tick: load(&self.health.snapshot_tick),
            encode_us_max: load(&self.health.encode_us_max),
            lag_ticks: engine.now().0.saturating_sub(load(&self.health.followed)),
            failed: self.health.failed(),
        }
    }

    /// The journal is of no use any more: says so, here and for the next start.
    pub(super) fn give_up(&mut self, why: &str) {
        self.journal = None;
        self.folder.mark_failed(why);
        self.health.fail(format!(
            "the journal of world {} has failed: {why}; calls go on, and a restart would find those of tick {}",
            self.header.world,
            self.health.followed.load(Ordering::Relaxed)
        ));
    }
}

/// Writes a snapshot of the world as it stands, and begins a journal and a follower behind it.
fn begin(
    folder: &WorldFolder,
    header: &mut Header,
    engine: &Engine,
    extend: &Extend,
    health: &Arc<Health>,
) -> Result<(Journal, Follower), StateError> {
    let place = Place { epoch: header.epoch, tick: engine.now().0 };
    let whole = Header { start: Some(start(engine, engine.snapshot())), ..header.clone() };
    folder.write_snapshot(place, &whole).map_err(StateError::io(folder.snapshot(place), "writing"))?;
    header.start = Some(start(engine, Vec::new()));
    let journal = folder.begin_journal(place, header).map_err(StateError::io(folder.journal(place), "creating"))?;
    folder.prune()?;
    health.followed.store(place.tick, Ordering::Relaxed);
    let follower = Follower::start(whole, folder.clone(), extend.clone(), health.clone())
        .map_err(StateError::io(folder.path(), "starting a thread for"))?;
    Ok((journal, follower))
}

fn start(engine: &Engine, snapshot: Vec<u8>) -> Start {
    Start { tick: engine.now().0, snapshot, chain: engine.chain() }
}
