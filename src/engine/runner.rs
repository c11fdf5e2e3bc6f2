//! The thread of a world: waits for the next tick, drains the rings, advances the world, hands over what it puts out.

use super::Engine;
use super::summary::{Summary, TickTimes};
use super::switch::unix_ms;
use super::watch::{Watch, Wish};
use crate::net::{Pacer, WorldEdge};
use crate::replay::Recorder;
use crossbeam::channel::{Sender, TrySendError};
use ringworld_components::call::{Draining, Living};
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

/// How far the world's time of day may be from that of the machine before it is told.
const ANCHOR_MS_MAX: u64 = 1_000;

/// What the thread of a world shares with those who hold the switch.
#[derive(Default)]
pub(super) struct Shared {
    stopping: AtomicBool,
    drained: AtomicBool,
    sessions: AtomicU64,
    status: Mutex<Summary>,
    replies: Mutex<BTreeMap<u64, Sender<Reply>>>,
    subscribers: Mutex<Vec<Sender<Event>>>,
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

    pub fn subscribe(&self, tell: Sender<Event>) {
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

/// A world and everything its thread needs.
pub(super) struct Runner {
    engine: Engine,
    edge: WorldEdge,
    recorder: Option<Recorder>,
    watch: Watch,
    shared: Arc<Shared>,
    pool_share: usize,
    times: TickTimes,
    summary: Summary,
}

impl Runner {
    pub fn new(
        engine: Engine,
        edge: WorldEdge,
        recorder: Option<Recorder>,
        watch: Watch,
        shared: Arc<Shared>,
        pool_share: usize,
    ) -> Self {
        let (times, summary) = (TickTimes::default(), Summary::default());
        Self { engine, edge, recorder, watch, shared, pool_share, times, summary }
    }

    /// Runs until it is told to stop, and tells what was.
    pub fn run(mut self) -> Summary {
        let mut pacer = Pacer::new(TICK);
        let mut inputs = Vec::new();
        let (mut owed, mut published, mut next_due) = (0u64, 0u64, Now(0));
        self.summary.start = self.engine.census();
        self.summary.buffers.start = self.edge.buffers_in_use();
        while !self.shared.stopping.load(Ordering::Acquire) {
            self.edge.publish_deadline(pacer.next_deadline_ns());
            let due = pacer.wait();
            self.edge.publish_deadline(pacer.next_deadline_ns());
            let began = Instant::now();
            self.edge.drain(&mut inputs, INPUTS_PER_TICK_MAX);
            owed += u64::from(due.ticks) + due.skipped;
            let wishes = std::mem::take(&mut *lock(&self.shared.wishes));
            wishes.into_iter().for_each(|wish| self.watch.serve(&self.engine, wish));
            // A tick in which nothing can happen is not run; the next one makes up for it.
            if inputs.is_empty() && self.engine.now().0 + owed < next_due.0 && owed < QUIET_TICKS_MAX {
                continue;
            }
            let elapsed = u32::try_from(std::mem::take(&mut owed)).unwrap_or(u32::MAX);
            if let Err(message) = self.tick(elapsed, std::mem::take(&mut inputs)) {
                self.break_off(&message);
                return self.summary;
            }
            next_due = self.engine.next_due();
            self.times.add(began.elapsed());
            if self.engine.now().0 >= published + STATUS_TICKS {
                published = self.engine.now().0;
                self.publish(&pacer);
                inputs.extend(self.anchor_again());
            }
        }
        self.publish(&pacer);
        self.summary.defects = self.engine.unregistered().iter().map(|what| format!("{what:?}")).collect();
        self.summary.recordings.extend(self.recorder.take().map(|recorder| recorder.finish(&self.engine)));
        self.summary
    }

    /// A system panicked: what led to it is written out, and nothing more is done with this world.
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
        let mut outputs = self.engine.tick_or_break(elapsed, inputs)?;
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
        let sessions = self.engine.world().resource::<Living>().sessions;
        self.shared.sessions.store(u64::from(sessions), Ordering::Release);
        if self.engine.world().resource::<Draining>().0 {
            self.shared.drained.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// A slow subscriber loses events, and one that is gone is forgotten.
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

    /// The ticks count monotonic time, the clocks of people are set now and then, and a machine may have slept: what the
    /// world then needs to be told.
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

    fn publish(&mut self, pacer: &Pacer) {
        let census = self.engine.census();
        self.summary.observe(census, self.engine.counters(), self.engine.media_counters(), &self.times);
        self.summary.ticks_late = pacer.late();
        self.summary.ticks_skipped = pacer.skipped();
        self.summary.buffers.observe(self.edge.buffers_in_use());
        self.watch.look(&self.engine, pacer.late() + pacer.skipped());
        self.summary.alarms = self.watch.alarms().to_vec();
        let pool = self.engine.pool();
        (self.summary.pool_free, self.summary.pool_misses) = (pool.free() as u64, pool.misses);
        *lock(&self.shared.status) = self.summary.clone();
    }
}
