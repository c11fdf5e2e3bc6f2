//! The thread of a world: waits for the next tick, drains the rings, advances the world, hands over what it puts out.

use super::Engine;
use super::prepare::{Beginnings, Prepared};
use super::summary::{Summary, TickTimes};
use super::switch::unix_ms;
use super::watch::{Watch, Wish};
use crate::net::{Leftovers, Pacer, WorldEdge};
use crate::replay::Recorder;
use crate::state::Keeper;
use crossbeam::channel::{Receiver, Sender, TrySendError};
use ringworld_components::call::{Draining, SessionCount};
use ringworld_components::edge::{Command, Event, Input, Operation, Output, Reply};
use ringworld_components::kernel::{Now, TICK, WallTime};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Inputs of one kind that a tick takes in at most; what is more waits in its ring.
const INPUTS_PER_TICK_MAX: usize = 8192;

/// Ticks that are skipped at most when nothing happens: a fifth of a second, so that the status stays fresh.
const QUIET_TICKS_MAX: u64 = 40;

/// Ticks between two updates of the published status: a fifth of a second.
const STATUS_TICKS: u64 = 40;

/// How far the world's time of day may be from that of the machine before it is corrected.
const ANCHOR_MS_MAX: u64 = 1_000;

/// What the thread of a world shares with the holders of the switch.
#[derive(Default)]
pub(super) struct Shared {
    stopping: AtomicBool,
    parking: AtomicBool,
    drained: AtomicBool,
    sessions: AtomicU64,
    status: Mutex<Summary>,
    replies: Mutex<BTreeMap<u64, Sender<Reply>>>,
    subscribers: Mutex<Vec<Sender<Event>>>,
    /// What the first subscriber gets first: calls of an earlier life that are still undecided.
    undecided: Mutex<Vec<Event>>,
    wishes: Mutex<Vec<Wish>>,
    failure: Mutex<Option<String>>,
}

impl Shared {
    pub fn expect(&self, number: u64, tell: Sender<Reply>) {
        lock(&self.replies).insert(number, tell);
    }

    pub fn forget(&self, number: u64) {
        lock(&self.replies).remove(&number);
    }

    pub fn announce(&self, undecided: Vec<Event>) {
        *lock(&self.undecided) = undecided;
    }

    pub fn subscribe(&self, tell: Sender<Event>) {
        for event in std::mem::take(&mut *lock(&self.undecided)) {
            // A subscriber with room for fewer events decides about fewer calls: each call has its deadline.
            let _ = tell.try_send(event);
        }
        lock(&self.subscribers).push(tell);
    }

    /// Asks for the flight recording.
    pub fn wish(&self, wish: Wish) {
        lock(&self.wishes).push(wish);
    }

    /// Why the world has stopped by itself, if it has.
    pub fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub fn park(&self) {
        self.parking.store(true, Ordering::Release);
    }

    pub fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Acquire)
    }

    pub fn has_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire)
    }

    pub fn status(&self) -> Summary {
        lock(&self.status).clone()
    }
}

/// A panic of another holder does not make what it held useless: all are plain values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the thread of a world gets its end of the network, and reports that it has stopped for a hand-over.
pub(super) struct Berth {
    pub edges: Receiver<WorldEdge>,
    pub parked: Sender<Parked>,
}

/// A world that has stopped for another process to take over, or to go on if none does.
pub(super) struct Parked {
    pub beginnings: Beginnings,
    /// What it has not taken in.
    pub leftovers: Leftovers,
    /// Why no process can take over, if that is so.
    pub failed: Option<String>,
}

/// A world and everything its thread needs.
pub(super) struct Runner {
    engine: Engine,
    edge: WorldEdge,
    berth: Berth,
    recorder: Option<Recorder>,
    keeper: Option<Keeper>,
    watch: Watch,
    shared: Arc<Shared>,
    pool_share: usize,
    pacer: Pacer,
    times: TickTimes,
    summary: Summary,
}

impl Runner {
    pub fn new(world: Prepared, edge: WorldEdge, berth: Berth, shared: Arc<Shared>, pool_share: usize) -> Self {
        let Prepared { engine, recorder, keeper, watch, recovery } = world;
        let summary = Summary { recovery, ..Summary::default() };
        let (pacer, times) = (Pacer::new(TICK), TickTimes::default());
        Self { engine, edge, berth, recorder, keeper, watch, shared, pool_share, pacer, times, summary }
    }

    /// Runs until it is told to stop, or has been taken over, and returns the summary.
    pub fn run(mut self) -> Summary {
        self.summary.start = self.engine.census();
        self.summary.buffers.start = self.edge.buffers_in_use();
        loop {
            if let Err(message) = self.live() {
                self.break_off(&message);
                return self.summary;
            }
            if self.shared.stopping.load(Ordering::Acquire) {
                break;
            }
            if !self.stand_by() {
                // What the folder holds belongs to another process now.
                self.keeper = None;
                break;
            }
        }
        self.summary.defects = self.engine.unregistered().iter().map(|what| format!("{what:?}")).collect();
        self.summary.defects.extend(self.engine.leaks().iter().map(|leak| format!("leaked: {leak}")));
        if let Some(keeper) = self.keeper.take() {
            self.summary.state = Some(keeper.finish(&self.engine));
        }
        self.summary.recordings.extend(self.recorder.take().map(|recorder| recorder.finish(&self.engine)));
        self.summary
    }

    /// Leaves a snapshot and waits: with an edge the world goes on, without one another process has taken over.
    fn stand_by(&mut self) -> bool {
        let parked = match &mut self.keeper {
            Some(keeper) => keeper.park(&self.engine),
            None => Err("without a state folder no process can take over".to_owned()),
        };
        let (beginnings, leftovers) = (Beginnings::of(&self.engine), self.edge.leftovers());
        let parked = Parked { beginnings, leftovers, failed: parked.err() };
        self.shared.parking.store(false, Ordering::Release);
        let _ = self.berth.parked.send(parked);
        let Ok(edge) = self.berth.edges.recv() else { return false };
        self.edge = edge;
        if let Some(keeper) = &mut self.keeper {
            keeper.resume(&self.engine);
        }
        true
    }

    fn is_told(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire) || self.shared.parking.load(Ordering::Acquire)
    }

    /// Runs tick after tick until it is told to stop or to wait for a hand-over; the error is the message of a panic.
    fn live(&mut self) -> Result<(), String> {
        self.pacer.resume();
        let mut inputs = Vec::new();
        // The time in which no process ran the world is an input like any other.
        let mut owed = self.keeper.as_ref().map_or(0, Keeper::missed_ticks);
        let (mut published, mut next_due) = (0u64, Now(0));
        while !self.is_told() {
            self.edge.publish_deadline(self.pacer.next_deadline_ns());
            let due = self.pacer.wait();
            self.edge.publish_deadline(self.pacer.next_deadline_ns());
            let began = Instant::now();
            self.edge.drain(&mut inputs, INPUTS_PER_TICK_MAX);
            owed += u64::from(due.ticks) + due.skipped;
            let wishes = std::mem::take(&mut *lock(&self.shared.wishes));
            wishes.into_iter().for_each(|wish| self.watch.serve(&self.engine, wish));
            // A tick in which nothing can happen is not run; the next one advances by more.
            if inputs.is_empty() && self.engine.now().0 + owed < next_due.0 && owed < QUIET_TICKS_MAX {
                continue;
            }
            let elapsed = u32::try_from(std::mem::take(&mut owed)).unwrap_or(u32::MAX);
            self.tick(elapsed, std::mem::take(&mut inputs))?;
            next_due = self.engine.next_due();
            self.times.add(began.elapsed());
            if self.engine.now().0 >= published + STATUS_TICKS {
                published = self.engine.now().0;
                self.publish();
                inputs.extend(self.anchor_again());
            }
        }
        self.publish();
        Ok(())
    }

    /// A system panicked: what led to the panic is written out, and this world does not run again.
    fn break_off(&mut self, message: &str) {
        let what = self.watch.broken(&self.engine, message);
        self.summary.recordings.extend(self.recorder.take().map(|recorder| recorder.break_off(&self.engine)));
        self.summary.defects.push(format!("a world panicked: {message}"));
        self.summary.alarms = self.watch.alarms().to_vec();
        *lock(&self.shared.status) = self.summary.clone();
        *lock(&self.shared.failure) = Some(what);
    }

    fn tick(&mut self, elapsed: u32, inputs: Vec<Input>) -> Result<(), String> {
        self.watch.inputs(elapsed, &inputs);
        if let Some(recorder) = &mut self.recorder {
            recorder.inputs(elapsed, &inputs);
        }
        let mut outputs = match &mut self.keeper {
            Some(keeper) => keeper.live(&mut self.engine, elapsed, inputs)?,
            None => self.engine.tick_or_break(elapsed, inputs)?,
        };
        self.watch.end_of_tick(&self.engine);
        if let Some(recorder) = &mut self.recorder {
            recorder.end_of_tick(&self.engine);
        }
        for output in &outputs.control {
            match output {
                Output::Event(event) => self.tell(event),
                Output::Reply(reply) => self.reply(reply),
                _ => {}
            }
        }
        self.edge.send(outputs.control.drain(..), outputs.rtp.drain(..));
        self.edge.balance(&mut self.engine.pool(), self.pool_share);
        if let Some(keeper) = self.keeper.as_mut().filter(|keeper| keeper.is_due(&self.engine)) {
            self.watch.cut(&self.engine);
            keeper.begin_next(&self.engine);
        }
        let sessions = self.engine.world().resource::<SessionCount>().sessions;
        self.shared.sessions.store(u64::from(sessions), Ordering::Release);
        if self.engine.world().resource::<Draining>().0 {
            self.shared.drained.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// A slow subscriber loses events, and one that has closed its channel is removed.
    fn tell(&mut self, event: &Event) {
        let lost = &mut self.summary.events_lost;
        lock(&self.shared.subscribers).retain(|subscriber| match subscriber.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                *lost += 1;
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        });
    }

    /// The ticks count monotonic time, the time of day is set now and then, and a machine may have slept: what the
    /// world must then be told.
    fn anchor_again(&self) -> Option<Input> {
        let time = WallTime(unix_ms());
        let parted = time.0.abs_diff(self.engine.time().0) > ANCHOR_MS_MAX;
        let operation = Operation::Reanchor { time };
        parted.then_some(Input::Command(Command { number: 0, operation }))
    }

    fn reply(&self, reply: &Reply) {
        if let Some(tell) = lock(&self.shared.replies).remove(&reply.number) {
            let _ = tell.try_send(reply.clone());
        }
    }

    fn publish(&mut self) {
        let census = self.engine.census();
        self.summary.observe(census, self.engine.counters(), self.engine.media_counters(), &self.times);
        self.summary.ticks_late = self.pacer.late();
        self.summary.ticks_skipped = self.pacer.skipped();
        self.summary.buffers.observe(self.edge.buffers_in_use());
        let lost_ticks = self.pacer.late() + self.pacer.skipped();
        self.watch.look(&self.engine, lost_ticks, self.edge.buffers_in_use());
        self.summary.alarms = self.watch.alarms().to_vec();
        let pool = self.engine.pool();
        (self.summary.pool_free, self.summary.pool_misses) = (pool.free() as u64, pool.misses);
        self.summary.flight = self.watch.flight(&self.engine);
        self.summary.state = self.keeper.as_ref().map(|keeper| keeper.summary(&self.engine));
        *lock(&self.shared.status) = self.summary.clone();
    }
}
