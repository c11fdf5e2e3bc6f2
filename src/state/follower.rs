//! A world that lives by the journal of another, a little behind it, and is encoded in its place.

use super::folder::{Place, WorldFolder};
use super::keeper::Health;
use super::recover::restore;
use crate::engine::{Extend, WorldConfig};
use crate::replay::{Header, Heir, Start, Step};
use ringworld_components::planted;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long it sleeps when nothing new is written.
const PAUSE: Duration = Duration::from_millis(20);

/// A follower that can be stopped.
pub(super) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Follows from the snapshot in `base` on.
    pub fn start(base: Header, folder: WorldFolder, extend: Extend, health: Arc<Health>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = folder.clone().ground().follow(Pursuit { base, folder, extend, health, stop: stop.clone() })?;
        Ok(Self { stop, thread })
    }

    /// Stops, and waits until it has.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop();
    }
}

/// All that a follower needs, to be taken to where it runs: restoring the world takes its time.
pub(crate) struct Pursuit {
    base: Header,
    folder: WorldFolder,
    extend: Extend,
    health: Arc<Health>,
    stop: Arc<AtomicBool>,
}

impl Pursuit {
    /// What its thread is called.
    pub fn name(&self) -> String {
        format!("follower-{}", self.base.world)
    }

    /// Follows until it is told to stop.
    pub fn run(self) {
        let (health, stop) = (self.health.clone(), self.stop.clone());
        let followed = self.begin().and_then(|mut follows| {
            while !stop.load(Ordering::Acquire) {
                if !follows.step()? {
                    std::thread::sleep(PAUSE);
                }
            }
            Ok(())
        });
        if let Err(why) = followed {
            health.fail(format!("no more snapshots are made: {why}; the journal goes on"));
        }
    }

    /// Restores the world that follows.
    pub fn begin(self) -> Result<Follows, String> {
        let settings = self.base.settings().map_err(|error| error.to_string())?;
        let world = WorldConfig { settings, ..self.base.world_config().map_err(|error| error.to_string())? };
        let engine = restore(&self.base, &world, &self.extend).map_err(|error| error.to_string())?;
        let heir = Heir::new(engine, &world.settings);
        let Self { folder, health, .. } = self;
        Ok(Follows { heir, epoch: world.epoch, journal: None, has_ended: false, folder, health })
    }
}

/// A follower at work.
pub(crate) struct Follows {
    heir: Heir,
    epoch: u16,
    /// What the journal at hand begins with; none while the next one is awaited.
    journal: Option<Header>,
    /// Whether a journal has ended before the one that is awaited: it is worth a snapshot.
    has_ended: bool,
    folder: WorldFolder,
    health: Arc<Health>,
}

impl Follows {
    /// Goes one step further, a tick at most. False if nothing more is written so far.
    pub fn step(&mut self) -> Result<bool, String> {
        let Some(header) = &self.journal else { return self.next_journal() };
        match self.heir.step().map_err(|error| error.to_string())? {
            Step::Lived => self.health.followed.store(self.heir.engine().now().0, Ordering::Relaxed),
            Step::Nothing => return Ok(false),
            Step::End => {
                self.sync(&self.folder.journal(place_of(header)));
                (self.journal, self.has_ended) = (None, true);
            }
        }
        Ok(true)
    }

    /// Begins the journal that goes on where the world stands, if it is there.
    fn next_journal(&mut self) -> Result<bool, String> {
        let place = Place { epoch: self.epoch, tick: self.heir.engine().now().0 };
        let Some((tail, header)) = self.folder.read_journal(place).map_err(|error| error.to_string())? else {
            return Ok(false);
        };
        if !self.heir.follow(tail, &header) {
            let path = self.folder.journal(place);
            return Err(format!("{} does not go on where the one before it ends", path.display()));
        }
        if self.has_ended {
            if planted!(SnapshotLate) {
                let _ = self.heir.step();
            }
            self.snapshot(&header);
        }
        self.journal = Some(header);
        Ok(true)
    }

    /// Encodes and writes the world. If the disk does not take it the older one stays, with all that follows it.
    fn snapshot(&self, header: &Header) {
        let (engine, began) = (self.heir.engine(), Instant::now());
        let start = Start { tick: engine.now().0, snapshot: engine.snapshot(), chain: engine.chain() };
        let encode_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.health.encode_us_max.fetch_max(encode_us, Ordering::Relaxed);
        let whole = Header { start: Some(start), ..header.clone() };
        if let Err(error) = self.folder.write_snapshot(place_of(header), &whole) {
            return tracing::error!("a snapshot can't be written: {error}; the one before it is kept");
        }
        self.health.snapshots.fetch_add(1, Ordering::Relaxed);
        self.health.snapshot_tick.store(engine.now().0, Ordering::Relaxed);
        if let Err(error) = self.folder.prune() {
            tracing::warn!("{error}");
        }
    }

    /// Power may fail from now on. Only what is whole is synced: the thread that appends never waits for it.
    fn sync(&self, path: &Path) {
        if let Err(error) = self.folder.ground().sync(path) {
            tracing::warn!("{} can't be synced: {error}", path.display());
        }
    }
}

fn place_of(header: &Header) -> Place {
    Place { epoch: header.epoch, tick: header.start.as_ref().map_or(0, |start| start.tick) }
}
