//! The flight recorder: the last minute of a world, always in memory, written out when something goes wrong.
//!
//! The thread of the world hands over the same chunks that a recording into a file consists of. A keeper packs them
//! into a ring. A recording must begin with a snapshot of the world, and encoding a large world takes longer than there
//! is between two ticks; so the keeper holds an old snapshot, and when the ring has become twice as long as asked for,
//! a follower, a second world on a thread of low priority, is restored from it, replays the older half of the ring, is
//! encoded and dropped. Between these times the recorder costs the memory of the ring and of one packed snapshot, both
//! counted against its limit. If a follower does not come to the recorded digests, the world is not a function of its
//! inputs: that, too, is an alarm.
//!
//! With a state folder another follower runs anyway ([`crate::state`]): it leaves its snapshots here, and the recorder
//! has none of its own unless they fail to come.
//!
//! Where the follower can't keep up, or chunks were lost, the recorder has no beginning, and can't write a recording.
//! It starts again with a snapshot as soon as the world is small enough for its own thread to take one, or when the
//! other follower has the next one.

mod dump;
mod follower;
mod keeper;
mod ring;

pub use dump::FlightDump;
pub use keeper::Feed;

use super::header::{Ending, Header, Start};
use super::scribe::{Scribe, WHOLE_WORLD_ENTITIES_MAX};
use crate::config::{RecordMedia, RecordSettings};
use crate::engine::{Engine, Extend, WorldConfig};
use crossbeam::channel::{Receiver, bounded};
use dump::Folder;
use keeper::{Keeper, Line};
use ringworld_components::edge::Input;
use ringworld_components::kernel::StableIds;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How often a recorder without a beginning checks whether it can start again, in ticks.
const BEGIN_AGAIN_TICKS: u64 = 200;

/// What a flight recorder may use, and what it is for.
#[derive(Clone, Debug)]
pub struct FlightSettings {
    /// How far back a recording reaches at least, if the memory suffices.
    pub window: Duration,
    /// How many bytes it may hold.
    pub bytes_max: usize,
    /// How much of RTP is kept.
    pub media: RecordMedia,
    /// Where recordings are written to.
    pub folder: PathBuf,
}

impl FlightSettings {
    /// What the configuration asks for; `None` if there is to be no flight recorder.
    pub fn of(settings: &RecordSettings) -> Option<Self> {
        (settings.flight_seconds > 0 && settings.flight_mib > 0).then(|| Self {
            window: Duration::from_secs(u64::from(settings.flight_seconds)),
            bytes_max: (settings.flight_mib as usize) << 20,
            media: settings.flight_media,
            folder: settings.flight_folder(),
        })
    }
}

/// The state of a flight recorder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlightSummary {
    /// What its ring and its snapshots take.
    pub bytes: u64,
    /// How many ticks a recording would reach back; none if none could be written at the moment.
    pub ticks: Option<u64>,
    /// How often its beginning has advanced.
    pub moved: u64,
    /// How often it lost its chunks: for want of memory, mostly.
    pub lost: u64,
}

impl FlightSummary {
    /// Adds that of another world: the one that reaches back less counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.ticks = self.ticks.min(other.ticks);
        self.moved += other.moved;
        self.lost += other.lost;
    }
}

/// Records the last minute of a world, on the thread that runs it.
pub struct FlightRecorder {
    scribe: Scribe<Line>,
    /// Whether another follower brings the snapshots.
    is_fed: bool,
    /// Ticks until a recorder without a beginning checks again.
    rest: u64,
}

impl FlightRecorder {
    /// Starts the flight recorder of a world, between two ticks. A world that has run before is encoded at once.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(engine: &Engine, world: &WorldConfig, settings: &FlightSettings, extend: Extend) -> io::Result<Self> {
        Self::begin(engine, world, settings, extend, false)
    }

    /// Starts that of a world that has a follower already, which is to leave its snapshots in the feed. Nothing is
    /// encoded here.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start_fed(
        engine: &Engine,
        world: &WorldConfig,
        settings: &FlightSettings,
        extend: Extend,
    ) -> io::Result<(Self, Feed)> {
        let recorder = Self::begin(engine, world, settings, extend, true)?;
        let feed = recorder.scribe.sink().feed();
        Ok((recorder, feed))
    }

    fn begin(
        engine: &Engine,
        world: &WorldConfig,
        settings: &FlightSettings,
        extend: Extend,
        is_fed: bool,
    ) -> io::Result<Self> {
        let header = Header::new(world, settings.media);
        let folder = Folder::of(&settings.folder, world.world);
        let line = Keeper::start(settings, folder, extend, is_fed)?;
        let mut scribe = Scribe::new(header, line, false);
        scribe.write_header(engine);
        let mut recorder = Self { scribe, is_fed, rest: 0 };
        if engine.now().0 > 0 {
            recorder.begin_again(engine);
        }
        Ok(recorder)
    }

    /// Writes down the inputs of the coming tick. Called before it.
    pub fn inputs(&mut self, elapsed: u32, inputs: &[Input]) {
        self.scribe.inputs(elapsed, inputs);
    }

    /// Writes down the outputs of the tick. Called after it.
    pub fn end_of_tick(&mut self, engine: &Engine) {
        if !self.is_blind() {
            self.scribe.end_of_tick(engine);
            return;
        }
        self.rest = self.rest.saturating_sub(1);
        if self.rest == 0 {
            self.rest = BEGIN_AGAIN_TICKS;
            if self.is_fed || engine.world().resource::<StableIds>().living() <= WHOLE_WORLD_ENTITIES_MAX {
                self.begin_again(engine);
            }
        }
    }

    /// Lets a piece of the recording end here, between two ticks: where a snapshot will be offered.
    pub fn cut(&mut self, engine: &Engine) {
        if !self.is_blind() {
            self.scribe.flush(engine);
        }
    }

    /// Whether nothing can be written out at the moment.
    pub fn is_blind(&self) -> bool {
        self.scribe.is_over() || self.scribe.sink().is_lost()
    }

    /// What the follower found wrong since the last call: a world that is not a function of its inputs.
    pub fn take_finding(&self) -> Option<String> {
        self.scribe.sink().take_finding()
    }

    /// How many bytes the ring and the snapshot take.
    pub fn bytes(&self) -> usize {
        self.scribe.sink().bytes()
    }

    /// Its state.
    pub fn summary(&self, engine: &Engine) -> FlightSummary {
        let summary = self.scribe.sink().summary(engine.now().0);
        FlightSummary { ticks: summary.ticks.filter(|_| !self.is_blind()), ..summary }
    }

    /// Has everything written out, between two ticks. The answer comes when that is done; the caller need not wait.
    pub fn write_out(&mut self, engine: &Engine, reason: &str) -> Receiver<FlightDump> {
        if !self.is_blind() {
            self.scribe.flush(engine);
        }
        self.ask(engine, reason, Ending::Finished)
    }

    /// Has everything written out when the world broke in a tick, after [`FlightRecorder::inputs`].
    pub fn write_out_broken(&mut self, engine: &Engine, reason: &str) -> Receiver<FlightDump> {
        if !self.is_blind() {
            self.scribe.break_off(engine);
        }
        self.ask(engine, reason, Ending::Panicked)
    }

    fn ask(&self, engine: &Engine, reason: &str, ending: Ending) -> Receiver<FlightDump> {
        let (tell, told) = bounded(1);
        let is_asked = !self.is_blind() && self.scribe.sink().dump(reason, ending, engine.now().0, tell.clone());
        if !is_asked {
            let why = "the flight recorder lost what it had and waits until the world is small enough to begin again";
            let _ = tell.try_send(Err(why.to_owned()));
        }
        told
    }

    fn begin_again(&mut self, engine: &Engine) {
        let snapshot = if self.is_fed { Vec::new() } else { engine.snapshot() };
        let start = Start { tick: engine.now().0, snapshot, chain: engine.chain() };
        if self.scribe.sink().begin(start, self.scribe.ticks()) {
            self.scribe.begin_again(engine);
        }
    }
}
