//! A second world that replays the journal of another, a little behind it, and is encoded in its place.

use super::folder::{Place, WorldFolder};
use super::keeper::Health;
use super::recover::restore;
use crate::engine::{Extend, WorldConfig};
use crate::replay::{Feed, Header, Heir, Start, Step};
use nix::time::{ClockId, clock_gettime};
use ringworld_components::planted;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How low its thread ranks when cores are short: a tenth of what a world's thread gets.
const NICE: i32 = 10;

/// How long it sleeps when nothing new is written.
const PAUSE: Duration = Duration::from_millis(20);

/// A follower that can be stopped.
pub(super) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Follows from the snapshot in `base` on. What it encodes is offered to `feed`, too.
    pub fn start(
        base: Header,
        folder: WorldFolder,
        extend: Extend,
        feed: Option<Feed>,
        health: Arc<Health>,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let pursuit = Pursuit { base, folder: folder.clone(), extend, feed, health, stop: stop.clone() };
        let thread = folder.ground().follow(pursuit)?;
        Ok(Self { stop, thread })
    }

    /// Stops, and waits until it has.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A thread that panicked has reported it.
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
    feed: Option<Feed>,
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
        // Where it is not allowed, the follower runs like the others.
        let _ = rustix::process::nice(NICE);
        let (health, stop) = (self.health.clone(), self.stop.clone());
        let followed = self.begin().and_then(|mut follows| {
            while !stop.load(Ordering::Acquire) {
                if !follows.step()? {
                    std::thread::park_timeout(PAUSE);
                }
            }
            Ok(())
        });
        if let Err(why) = followed {
            health.fail(format!("no more snapshots are made: {why}; the journal goes on"));
        }
    }

    /// Restores the world that follows, and writes down what it was restored from.
    pub fn begin(self) -> Result<Follows, String> {
        let settings = self.base.settings().map_err(|error| error.to_string())?;
        let world = WorldConfig { settings, ..self.base.world_config().map_err(|error| error.to_string())? };
        let engine = restore(&self.base, &world, &self.extend).map_err(|error| error.to_string())?;
        let heir = Heir::new(engine, &world.settings);
        let Self { base, folder, feed, health, .. } = self;
        let (epoch, written) = (world.epoch, Instant::now());
        let follows = Follows { heir, epoch, journal: None, has_ended: false, written, folder, feed, health };
        // A process that resumed after a hand-over has left it already.
        if !follows.folder.snapshots().map_err(|error| error.to_string())?.contains(&place_of(&base)) {
            follows.write(&base);
        }
        if let Some(start) = base.start {
            follows.offer(&start);
            follows.health.take_back(start);
        }
        Ok(follows)
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
    /// When the last snapshot was written.
    written: Instant,
    folder: WorldFolder,
    feed: Option<Feed>,
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
            if self.snapshot(&header) {
                let apart = std::mem::replace(&mut self.written, Instant::now()).elapsed();
                let apart_ms = u64::try_from(apart.as_millis()).unwrap_or(u64::MAX);
                self.health.apart_ms_max.fetch_max(apart_ms, Ordering::Relaxed);
            }
        }
        self.journal = Some(header);
        Ok(true)
    }

    /// Encodes and writes the world; false if the disk does not take it.
    fn snapshot(&mut self, header: &Header) -> bool {
        let (began, before) = (Instant::now(), processor_time());
        let start = self.health.encode(self.heir.engine());
        let encode_us = u64::try_from(processor_time().saturating_sub(before).as_micros()).unwrap_or(u64::MAX);
        self.health.encode_us_max.fetch_max(encode_us, Ordering::Relaxed);
        let whole = Header { start: Some(start), ..header.clone() };
        let is_written = self.write(&whole);
        self.health.snapshot_us.store(micros(began), Ordering::Relaxed);
        if let Some(start) = whole.start {
            self.offer(&start);
            self.health.take_back(start);
        }
        is_written
    }

    /// Writes a snapshot. If the disk does not take it the older one stays, with all that follows it: false then.
    fn write(&self, whole: &Header) -> bool {
        let place = place_of(whole);
        if let Err(error) = self.folder.write_snapshot(place, whole) {
            tracing::error!("a snapshot can't be written: {error}; the one before it is kept");
            return false;
        }
        self.health.snapshots.fetch_add(1, Ordering::Relaxed);
        self.health.snapshot_tick.store(place.tick, Ordering::Relaxed);
        if let Err(error) = self.folder.prune() {
            tracing::warn!("{error}");
        }
        true
    }

    fn offer(&self, start: &Start) {
        if let Some(feed) = &self.feed {
            feed.offer(start);
        }
    }

    /// Power may fail from now on. Only what is whole is synced: the thread that appends never waits for it.
    fn sync(&self, path: &Path) {
        if let Err(error) = self.folder.ground().sync(path) {
            tracing::warn!("{} can't be synced: {error}", path.display());
        }
    }
}

/// What this thread has used so far: the time on the wall would include what other threads used meanwhile.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn place_of(header: &Header) -> Place {
    Place { epoch: header.epoch, tick: header.start.as_ref().map_or(0, |start| start.tick) }
}
