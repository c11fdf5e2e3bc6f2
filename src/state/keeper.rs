//! Keeps the journal of a world, on the thread that runs it.

use super::StateError;
use super::build::build_id;
use super::folder::{Place, WorldFolder};
use super::follower::Follower;
use crate::config::RecordMedia;
use crate::engine::{Engine, Extend, WorldConfig};
use crate::replay::{Feed, Header, Journal, Start};
use ringworld_components::edge::{Input, Outputs};
use ringworld_components::kernel::{EncodeBuffers, TICK};
use ringworld_components::planted;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Ticks of one journal: four seconds, so that snapshots lie less than five apart though the follower lags a little.
const JOURNAL_TICKS: u64 = 800;

/// A journal ends earlier when its ticks have taken the world this long: so long, about, a start takes to replay them
/// again.
const LIVING_MAX: Duration = Duration::from_millis(250);

/// But not before they have taken so many times as long as a snapshot does, to bound the cost of snapshots.
const SNAPSHOT_SHARE: u32 = 3;

/// The state of a state folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSummary {
    /// Snapshots written.
    pub snapshots: u64,
    /// The tick of the last one.
    pub snapshot_tick: u64,
    /// The most processor time that one took to encode, in microseconds.
    pub encode_us_max: u64,
    /// The longest time between two of them, in milliseconds. A world in which nothing happens needs none.
    pub apart_ms_max: u64,
    /// How many ticks the follower is behind.
    pub lag_ticks: u64,
    /// Bytes of journals written.
    pub journal_bytes: u64,
    /// Why a restart would lose something, if it would.
    pub failed: Option<String>,
}

impl StateSummary {
    /// Adds that of another world: the worse one counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.snapshots += other.snapshots;
        self.snapshot_tick = self.snapshot_tick.min(other.snapshot_tick);
        self.encode_us_max = self.encode_us_max.max(other.encode_us_max);
        self.apart_ms_max = self.apart_ms_max.max(other.apart_ms_max);
        self.lag_ticks = self.lag_ticks.max(other.lag_ticks);
        self.journal_bytes += other.journal_bytes;
        if self.failed.is_none() {
            self.failed.clone_from(&other.failed);
        }
    }
}

/// What the keeper and its follower share.
#[derive(Default)]
pub(super) struct Health {
    pub followed: AtomicU64,
    pub snapshots: AtomicU64,
    pub snapshot_tick: AtomicU64,
    pub encode_us_max: AtomicU64,
    pub apart_ms_max: AtomicU64,
    /// What the last snapshot took, to encode and to write.
    pub snapshot_us: AtomicU64,
    /// The memory that snapshots are encoded in, by one of the two at a time: when the keeper does, the follower is
    /// stopped.
    buffers: Mutex<EncodeBuffers>,
    failed: Mutex<Option<String>>,
}

impl Health {
    /// Something went wrong that a restart would suffer from. The first reason is kept.
    pub fn fail(&self, why: String) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            tracing::error!("{why}");
            *failed = Some(why);
        }
    }

    /// Whether a journal is long enough that began at a tick and whose ticks took so long.
    fn is_over(&self, began: u64, now: u64, lived: Duration) -> bool {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let snapshot = Duration::from_micros(load(&self.snapshot_us));
        // A follower that has not yet written the snapshot with which it began would only fall back further.
        let is_followed = load(&self.followed) > began;
        now >= began + JOURNAL_TICKS || (is_followed && lived >= LIVING_MAX.max(SNAPSHOT_SHARE * snapshot))
    }

    /// The world as it stands.
    pub fn encode(&self, engine: &Engine) -> Start {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        Start { tick: engine.now().0, snapshot: engine.snapshot_with(&mut buffers), chain: engine.chain() }
    }

    /// Takes a snapshot that is of no more use.
    pub fn take_back(&self, start: Start) {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).take_back(start.snapshot);
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
    /// Bytes of the journals before it.
    bytes_before: u64,
    /// When the tick at hand began, and how long those of the journal took.
    began: Duration,
    lived: Duration,
    /// Whether the disk takes nothing at the moment.
    is_stuck: bool,
    follower: Follower,
    extend: Extend,
    /// Where else the follower's snapshots go.
    feed: Option<Feed>,
    health: Arc<Health>,
    /// The time of day at which the world stopped, before its first tick in this life, in milliseconds since 1970.
    last_seen_ms: u64,
}

impl Keeper {
    /// Begins to keep a world before its first tick of this life, with a snapshot of it. A world that was recovered was
    /// last seen where it stands at this time of day, in milliseconds since 1970. The snapshots of its follower go to
    /// `feed`, too.
    pub fn start(
        folder: &Path,
        world: &WorldConfig,
        engine: &Engine,
        last_seen_ms: Option<u64>,
        extend: Extend,
        feed: Option<Feed>,
    ) -> Result<Self, StateError> {
        Self::start_in(WorldFolder::new(folder), world, engine, last_seen_ms, extend, feed)
    }

    /// As [`Keeper::start`], in a folder on any ground.
    pub(crate) fn start_in(
        folder: WorldFolder,
        world: &WorldConfig,
        engine: &Engine,
        last_seen_ms: Option<u64>,
        extend: Extend,
        feed: Option<Feed>,
    ) -> Result<Self, StateError> {
        let lived_ms = engine.now().0.saturating_mul(TICK.as_millis() as u64);
        let last_seen_ms = last_seen_ms.unwrap_or_else(|| folder.ground().unix_ms());
        let mut header = Header::new(world, RecordMedia::Full);
        header.began_unix_ms = last_seen_ms.saturating_sub(lived_ms);
        header.build = build_id().to_owned();
        header.know(engine);
        let health = Arc::new(Health::default());
        let (journal, follower) = begin(&folder, &mut header, engine, (&extend, &feed), &health)?;
        Ok(Self {
            folder,
            header,
            journal: Some(journal),
            bytes_before: 0,
            began: Duration::ZERO,
            lived: Duration::ZERO,
            is_stuck: false,
            follower,
            extend,
            feed,
            health,
            last_seen_ms,
        })
    }

    /// Ends the journal with a snapshot at its end: the world stops, and another process may go on with it.
    pub fn park(&mut self, engine: &Engine) -> Result<(), String> {
        self.follower.stop();
        self.last_seen_ms = self.folder.ground().unix_ms();
        let Some(journal) = &mut self.journal else { return Err("the journal has failed".to_owned()) };
        let place = Place { epoch: self.header.epoch, tick: engine.now().0 };
        let whole = Header { start: Some(self.health.encode(engine)), ..self.header.clone() };
        let written = journal.end(engine).and_then(|()| self.folder.pass_snapshot(place, &whole));
        written.map_err(|error| format!("the snapshot can't be written: {error}"))
    }

    /// Goes on where the world was stopped: no other process has taken it over, whatever one may have written.
    pub fn resume(&mut self, engine: &Engine) {
        let begun = self.folder.remove_after(self.header.epoch).and_then(|()| {
            let mut header = self.header.clone();
            begin(&self.folder, &mut header, engine, (&self.extend, &self.feed), &self.health)
                .map(|begun| (header, begun))
        });
        match begun {
            Ok((header, (journal, follower))) => {
                (self.header, self.journal, self.follower) = (header, Some(journal), follower);
            }
            Err(error) => self.give_up(&error.to_string()),
        }
    }

    /// How many ticks have passed since the world was last stopped, by the time of day.
    pub fn missed_ticks(&self) -> u64 {
        if planted!(DowntimeLost) {
            return 0;
        }
        self.folder.ground().unix_ms().saturating_sub(self.last_seen_ms) / TICK.as_millis() as u64
    }

    /// Runs a tick. Its outputs are returned only when all that led to them is with the system: a kill at any time
    /// loses nothing that a peer has seen.
    ///
    /// # Errors
    /// As [`Engine::tick_or_break`].
    pub fn live(&mut self, engine: &mut Engine, elapsed: u32, inputs: Vec<Input>) -> Result<Outputs, String> {
        self.inputs(elapsed, &inputs);
        let outputs = engine.tick_or_break(elapsed, inputs)?;
        self.end_of_tick(engine, !outputs.control.is_empty() || !outputs.rtp.is_empty());
        Ok(outputs)
    }

    /// Writes down the inputs of the coming tick.
    pub fn inputs(&mut self, elapsed: u32, inputs: &[Input]) {
        if let Some(journal) = &mut self.journal {
            self.began = self.folder.ground().elapsed();
            journal.inputs(elapsed, inputs);
        }
    }

    /// Hands the tick to the system, before anything of it leaves; `leaves` says whether anything does.
    pub fn end_of_tick(&mut self, engine: &Engine, leaves: bool) {
        let Some(journal) = &mut self.journal else { return };
        self.lived += self.folder.ground().elapsed().saturating_sub(self.began);
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

    /// Whether it is time for the next journal, when all of a tick has left.
    pub fn is_due(&self, engine: &Engine) -> bool {
        let began = self.header.start.as_ref().map_or(0, |start| start.tick);
        let can_end = |journal: &Journal| !journal.is_empty() && !journal.is_waiting();
        self.health.is_over(began, engine.now().0, self.lived) && self.journal.as_ref().is_some_and(can_end)
    }

    /// Begins the next journal, and has a snapshot written of the world as it stands.
    pub fn begin_next(&mut self, engine: &Engine) {
        let Some(journal) = &mut self.journal else { return };
        let now_ms = engine.now().0.saturating_mul(TICK.as_millis() as u64);
        let header = Header {
            start: Some(Start { tick: engine.now().0, snapshot: Vec::new(), chain: engine.chain() }),
            began_unix_ms: self.folder.ground().unix_ms().saturating_sub(now_ms),
            ..self.header.clone()
        };
        let place = Place { epoch: header.epoch, tick: engine.now().0 };
        // A kill when the next one is begun and this one has not ended must find it whole, idle ticks included.
        if !planted!(IdleUnwritten) && journal.settle().is_err() {
            return;
        }
        // If that fails, the old one goes on, and a new one is tried in the next tick.
        let Ok(next) = self.folder.begin_journal(place, &header) else { return };
        match journal.end(engine) {
            Ok(()) => {
                self.bytes_before += journal.bytes();
                (self.journal, self.header, self.lived) = (Some(next), header, Duration::ZERO);
            }
            Err(error) => self.give_up(&format!("the end of a journal could not be written: {error}")),
        }
    }

    /// Ends in order: with a snapshot, so that another build can take the world up.
    pub fn finish(mut self, engine: &Engine) -> StateSummary {
        self.follower.stop();
        if let Some(mut journal) = self.journal.take() {
            let place = Place { epoch: self.header.epoch, tick: engine.now().0 };
            let whole = Header { start: Some(self.health.encode(engine)), ..self.header.clone() };
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

    #[cfg(feature = "cli")]
    /// Whether the disk has not taken all that a restart would need.
    pub(crate) fn is_behind(&self) -> bool {
        self.journal.as_ref().is_none_or(Journal::is_waiting)
    }

    /// Its state.
    pub fn summary(&self, engine: &Engine) -> StateSummary {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        StateSummary {
            snapshots: load(&self.health.snapshots),
            snapshot_tick: load(&self.health.snapshot_tick),
            encode_us_max: load(&self.health.encode_us_max),
            apart_ms_max: load(&self.health.apart_ms_max),
            lag_ticks: engine.now().0.saturating_sub(load(&self.health.followed)),
            journal_bytes: self.bytes_before + self.journal.as_ref().map_or(0, Journal::bytes),
            failed: self.health.failed(),
        }
    }

    /// The journal is of no use any more: reports it, here and for the next start.
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

/// Begins a journal of the world as it stands, and a follower behind it. Where an older snapshot leads to the same
/// world the follower writes the next one: no start waits for it.
fn begin(
    folder: &WorldFolder,
    header: &mut Header,
    engine: &Engine,
    (extend, feed): (&Extend, &Option<Feed>),
    health: &Arc<Health>,
) -> Result<(Journal, Follower), StateError> {
    let place = Place { epoch: header.epoch, tick: engine.now().0 };
    let whole = Header { start: Some(health.encode(engine)), ..header.clone() };
    if folder.snapshots()?.is_empty() {
        folder.write_snapshot(place, &whole).map_err(StateError::io(folder.snapshot(place), "writing"))?;
    }
    header.start = Some(Start { tick: engine.now().0, snapshot: Vec::new(), chain: engine.chain() });
    let journal = folder.begin_journal(place, header).map_err(StateError::io(folder.journal(place), "creating"))?;
    health.followed.store(place.tick, Ordering::Relaxed);
    let follower = Follower::start(whole, folder.clone(), extend.clone(), feed.clone(), health.clone())
        .map_err(StateError::io(folder.path(), "starting a thread for"))?;
    Ok((journal, follower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_ends_after_its_time_or_when_its_ticks_took_long_and_a_snapshot_is_worth_it() {
        let health = Health::default();
        let ms = Duration::from_millis;
        assert!(!health.is_over(1_000, 1_799, ms(200)) && health.is_over(1_000, 1_800, ms(0)));
        health.followed.store(1_000, Ordering::Relaxed);
        assert!(!health.is_over(1_000, 1_100, ms(300)), "its first snapshot is still to be written");
        health.followed.store(1_001, Ordering::Relaxed);
        assert!(health.is_over(1_000, 1_100, ms(300)));
        health.snapshot_us.store(200_000, Ordering::Relaxed);
        assert!(!health.is_over(1_000, 1_100, ms(300)) && health.is_over(1_000, 1_100, ms(600)));
    }
}
