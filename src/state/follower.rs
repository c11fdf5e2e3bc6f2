//! A world that lives by the journal of another, a little behind it, and is encoded in its place.

use super::folder::{Place, WorldFolder};
use super::keeper::Health;
use super::recover::restore;
use crate::engine::{Extend, WorldConfig};
use crate::replay::{Feed, Header, Heir, Start, Step, Tail};
use nix::time::{ClockId, clock_gettime};
use ringworld_components::kernel::EncodeBuffers;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How far its thread stands back when cores are short: a tenth of what a world's thread gets.
const NICE: i32 = 10;

/// How long it sleeps when nothing new is written.
const PAUSE: Duration = Duration::from_millis(20);

/// The thread of a follower.
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
        let of_thread = stop.clone();
        let thread = std::thread::Builder::new().name(format!("follower-{}", base.world)).spawn(move || {
            // Where it is not allowed, the follower runs like the others.
            let _ = rustix::process::nice(NICE);
            let told = health.clone();
            if let Err(why) = follow(base, &folder, (&extend, &feed), &health, &of_thread) {
                told.fail(format!("no more snapshots are made: {why}; the journal goes on"));
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
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

fn follow(
    base: Header,
    folder: &WorldFolder,
    (extend, feed): (&Extend, &Option<Feed>),
    health: &Health,
    stop: &AtomicBool,
) -> Result<(), String> {
    let settings = base.settings().map_err(|error| error.to_string())?;
    let world = WorldConfig { settings, ..base.world_config().map_err(|error| error.to_string())? };
    let engine = restore(&base, &world, extend).map_err(|error| error.to_string())?;
    let mut heir = Heir::new(engine, &world.settings);
    let mut buffers = EncodeBuffers::default();
    let mut written = Instant::now();
    // A process that was parked and goes on has left it already.
    if !folder.snapshots().map_err(|error| error.to_string())?.contains(&place_of(&base)) {
        write(&base, folder, health);
    }
    base.start.iter().for_each(|start| offer(feed, start));
    drop(base);
    let Some(mut header) = next_journal(&mut heir, folder, world.epoch, stop)? else { return Ok(()) };
    while !stop.load(Ordering::Acquire) {
        match heir.step() {
            Ok(Step::Lived) => health.followed.store(heir.engine().now().0, Ordering::Relaxed),
            Ok(Step::Nothing) => std::thread::sleep(PAUSE),
            Ok(Step::End) => {
                sync(&folder.journal(place_of(&header)));
                match next_journal(&mut heir, folder, world.epoch, stop)? {
                    Some(next) => header = next,
                    None => return Ok(()),
                }
                if snapshot(&heir, &header, folder, feed, health, &mut buffers) {
                    let apart = std::mem::replace(&mut written, Instant::now()).elapsed();
                    let apart_ms = u64::try_from(apart.as_millis()).unwrap_or(u64::MAX);
                    health.apart_ms_max.fetch_max(apart_ms, Ordering::Relaxed);
                }
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

/// Waits for the journal that goes on where the world stands; `None` if told to stop.
fn next_journal(
    heir: &mut Heir,
    folder: &WorldFolder,
    epoch: u16,
    stop: &AtomicBool,
) -> Result<Option<Header>, String> {
    let path = folder.journal(Place { epoch, tick: heir.engine().now().0 });
    while !stop.load(Ordering::Acquire) {
        if let Some((tail, header)) = Tail::open(&path).map_err(|error| error.to_string())? {
            if !heir.follow(tail, &header) {
                return Err(format!("{} does not go on where the one before it ends", path.display()));
            }
            return Ok(Some(header));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(None)
}

/// Encodes and writes the world; false if the disk does not take it.
fn snapshot(
    heir: &Heir,
    header: &Header,
    folder: &WorldFolder,
    feed: &Option<Feed>,
    health: &Health,
    buffers: &mut EncodeBuffers,
) -> bool {
    let (engine, began, before) = (heir.engine(), Instant::now(), processor_time());
    let start = Start { tick: engine.now().0, snapshot: engine.snapshot_with(buffers), chain: engine.chain() };
    let encode_us = u64::try_from(processor_time().saturating_sub(before).as_micros()).unwrap_or(u64::MAX);
    health.encode_us_max.fetch_max(encode_us, Ordering::Relaxed);
    let whole = Header { start: Some(start), ..header.clone() };
    let is_written = write(&whole, folder, health);
    health.snapshot_us.store(micros(began), Ordering::Relaxed);
    if let Some(start) = whole.start {
        offer(feed, &start);
        buffers.take_back(start.snapshot);
    }
    is_written
}

/// Writes a snapshot. If the disk does not take it the older one stays, with all that follows it: false then.
fn write(whole: &Header, folder: &WorldFolder, health: &Health) -> bool {
    let place = place_of(whole);
    if let Err(error) = folder.write_snapshot(place, whole) {
        tracing::error!("a snapshot can't be written: {error}; the one before it is kept");
        return false;
    }
    health.snapshots.fetch_add(1, Ordering::Relaxed);
    health.snapshot_tick.store(place.tick, Ordering::Relaxed);
    if let Err(error) = folder.prune() {
        tracing::warn!("{error}");
    }
    true
}

fn offer(feed: &Option<Feed>, start: &Start) {
    if let Some(feed) = feed {
        feed.offer(start);
    }
}

/// What this thread has used so far: the time on the wall would tell what others were given meanwhile.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn place_of(header: &Header) -> Place {
    Place { epoch: header.epoch, tick: header.start.as_ref().map_or(0, |start| start.tick) }
}

/// Power may fail from now on. Only what is whole is synced: the thread that appends never waits for it.
fn sync(path: &std::path::Path) {
    if let Err(error) = File::open(path).and_then(|file| file.sync_data()) {
        tracing::warn!("{} can't be synced: {error}", path.display());
    }
}
