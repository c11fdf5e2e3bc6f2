//! Replays a recording, and compares.

use super::chunks::FileChunks;
use super::entry::{Entry, Inlet, TickEntry};
use super::error::{Damage, ReplayError};
use super::header::{Footer, Header};
use super::reader::Reader;
use crate::config::{RecordMedia, sip_limits};
use crate::engine::{Chain, ChainDigest, Engine, Extend, WorldConfig};
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{MultiThreadedExecutor, Schedule};
use ringworld_components::edge::{Input, Output, Outputs};
use ringworld_components::kernel::{Phase, Tick};
use std::path::Path;
use std::sync::Arc;

/// How a recording is played.
#[derive(Clone)]
pub struct ReplayOptions {
    /// Makes the list of plugins that the recorded world had.
    pub extend: Extend,
    /// Which executor runs the systems.
    pub executor: Executor,
    /// Changes the schedule before the first tick: tests shuffle it.
    pub edit_schedule: Arc<dyn Fn(&mut Schedule) + Send + Sync>,
    /// Whether what comes out is compared with what was recorded.
    pub verify: bool,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            extend: Arc::new(|_| {}),
            executor: Executor::SingleThreaded,
            edit_schedule: Arc::new(|_| {}),
            verify: true,
        }
    }
}

/// Which executor runs the systems of a tick; the result must not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Executor {
    /// As in a running switch.
    #[default]
    SingleThreaded,
    /// Systems that don't touch the same data run at the same time.
    MultiThreaded,
}

/// What a replay can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// Signalling and packets.
    ControlAndMedia,
    /// Signalling only: the recording holds no payloads, and its facts replace the media.
    Control,
}

/// One tick, as it was replayed.
#[derive(Debug)]
pub struct TickReport {
    /// The tick that the world is at now.
    pub tick: u64,
    /// How far it advanced; more than 1 if ticks had been skipped.
    pub elapsed: u32,
    /// How many inputs it took in.
    pub inputs: u32,
    /// How many of them were packets.
    pub packets_in: u32,
    /// How many packets it put out.
    pub packets_out: u32,
    /// What else it put out.
    pub control: Vec<Output>,
    /// A digest of its inputs, where nothing is verified: to compare one recording with another.
    pub(super) taken: ChainDigest,
}

/// Observes a recording while it is played: what the world takes in, and what it puts out.
pub trait Witness {
    /// The world is about to advance by `elapsed` ticks with these inputs.
    fn takes(&mut self, engine: &Engine, elapsed: u32, inputs: &[Input]);
    /// The world has advanced, and this is what it puts out.
    fn gives(&mut self, engine: &Engine, outputs: &Outputs);
}

/// A witness that ignores everything.
struct Unwatched;

impl Witness for Unwatched {
    fn takes(&mut self, _: &Engine, _: u32, _: &[Input]) {}
    fn gives(&mut self, _: &Engine, _: &Outputs) {}
}

/// A recording and the world that replays it.
///
/// ```no_run
/// use ringworld::replay::Player;
///
/// let mut player = Player::open("monday.rwlog".as_ref())?;
/// while let Some(report) = player.step()? {
///     println!("tick {}: {} inputs", report.tick, report.inputs);
/// }
/// # Ok::<(), ringworld::replay::ReplayError>(())
/// ```
pub struct Player {
    pub(super) reader: Reader,
    header: Header,
    config: WorldConfig,
    inlet: Inlet,
    pub(super) options: ReplayOptions,
    pub(super) engine: Engine,
    /// The chain as it was recorded.
    pub(super) recorded: Chain,
    /// Idle ticks still to be run.
    idle: u64,
    /// A tick that was read already.
    ahead: Option<Box<TickEntry>>,
    ticks: u64,
    /// The last tick at which the whole world was seen to be as recorded.
    pub(super) same_at: u64,
    pub(super) facts: Vec<u8>,
}

impl Player {
    /// Opens a recording of a world with the stock plugins.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        Self::open_with(path, ReplayOptions::default())
    }

    /// Opens a recording.
    pub fn open_with(path: &Path, options: ReplayOptions) -> Result<Self, ReplayError> {
        let (reader, header) = Reader::open(FileChunks::open(path)?)?;
        Self::over(reader, header, options)
    }

    /// Plays what a reader reads, from where the header says.
    pub(super) fn over(reader: Reader, header: Header, options: ReplayOptions) -> Result<Self, ReplayError> {
        let unlike = |unlike| ReplayError::Unlike { build: header.build.clone(), unlike };
        header.check_inputs().map_err(unlike)?;
        let config = header.world_config().map_err(|error| ReplayError::Damaged {
            offset: 0,
            readable_to: 0,
            damage: Damage::Content(error),
        })?;
        let mut engine = build(&config, &options, claims_of(&header));
        header.check(&engine).map_err(unlike)?;
        let mut chain = ChainDigest::default();
        if let Some(start) = &header.start {
            engine.restore(&start.snapshot, None)?;
            chain = start.chain;
            engine.resume_chain(chain);
        }
        let inlet = Inlet { limits: sip_limits(&config.settings.sip), media: header.media };
        let same_at = engine.now().0;
        Ok(Self {
            reader,
            header,
            config,
            inlet,
            options,
            engine,
            recorded: Chain::resume(chain),
            idle: 0,
            ahead: None,
            ticks: 0,
            same_at,
            facts: Vec::new(),
        })
    }

    /// What the recording begins with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the recording ended with, once all of it was played.
    pub fn footer(&self) -> Option<&Footer> {
        self.reader.footer()
    }

    /// What this replay can show.
    pub fn claims(&self) -> Claims {
        claims_of(&self.header)
    }

    /// The world as it is now.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The tick that the world is at.
    pub fn tick(&self) -> u64 {
        self.engine.now().0
    }

    /// How many ticks were run.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Plays one tick; `None` at the end of the recording.
    ///
    /// # Errors
    /// The first difference between what was recorded and what came out, or what is wrong with the file. Nothing can be
    /// played after either.
    pub fn step(&mut self) -> Result<Option<TickReport>, ReplayError> {
        self.step_before(&mut Unwatched)
    }

    /// As [`Player::step`], with a witness.
    pub fn step_before(&mut self, witness: &mut dyn Witness) -> Result<Option<TickReport>, ReplayError> {
        if self.next_tick()?.is_none() {
            return Ok(None);
        }
        match self.ahead.take() {
            Some(entry) => self.play(*entry, witness).map(Some),
            None => {
                self.idle -= 1;
                self.play_idle(witness).map(Some)
            }
        }
    }

    /// The tick at which the world will be after the next step; `None` at the end of the recording. It may lie more
    /// than one ahead: a switch skips ticks in which nothing happens.
    ///
    /// # Errors
    /// As [`Player::step`].
    pub fn next_tick(&mut self) -> Result<Option<u64>, ReplayError> {
        loop {
            let tick = self.tick();
            if self.idle > 0 {
                return Ok(Some(tick + 1));
            }
            if let Some(entry) = &self.ahead {
                return Ok(Some(tick + u64::from(entry.elapsed)));
            }
            match self.reader.next(&self.inlet, &mut self.engine.pool(), tick)? {
                Some(Entry::Idle { ticks }) => self.idle = ticks,
                Some(Entry::Tick(entry)) => self.ahead = Some(entry),
                Some(Entry::Checkpoint(digest)) => self.compare_world(digest)?,
                None => return self.compare_end().map(|()| None),
            }
        }
    }

    /// Plays as far as the world is not past `tick`: to the state that it had then. Returns whether there is more to
    /// play.
    pub fn run_up_to(&mut self, tick: u64) -> Result<bool, ReplayError> {
        loop {
            match self.next_tick()? {
                None => return Ok(false),
                Some(next) if next > tick => return Ok(true),
                Some(_) => {
                    self.step()?;
                }
            }
        }
    }

    /// Plays until the world is at `tick` or past it, or to the end; returns whether there is more to play.
    pub fn run_to(&mut self, tick: u64) -> Result<bool, ReplayError> {
        while self.tick() < tick {
            if self.step()?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Encodes the world, drops it, and goes on with a fresh one that is restored from the bytes. With a seed, entities
    /// are spawned in another order than they were made in.
    pub fn restart(&mut self, spawn_order: Option<u64>) -> Result<(), ReplayError> {
        let (snapshot, chain) = (self.engine.snapshot(), self.engine.chain());
        self.engine = build(&self.config, &self.options, self.claims());
        match spawn_order {
            Some(seed) => self.engine.restore(&snapshot, Some(&|count| shuffled(count, seed)))?,
            None => self.engine.restore(&snapshot, None)?,
        }
        self.engine.resume_chain(chain);
        Ok(())
    }

    fn play_idle(&mut self, witness: &mut dyn Witness) -> Result<TickReport, ReplayError> {
        self.recorded.add_inputs(1, &[]);
        let taken = self.digest_inputs(1, &[]);
        witness.takes(&self.engine, 1, &[]);
        let outputs = self.tick_or_break(1, Vec::new())?;
        self.facts.clear();
        self.compare(Vec::new())?;
        witness.gives(&self.engine, &outputs);
        Ok(TickReport { taken, ..self.report(1, outputs) })
    }

    fn play(&mut self, entry: TickEntry, witness: &mut dyn Witness) -> Result<TickReport, ReplayError> {
        let packets = entry.inputs.iter().filter(|input| matches!(input, Input::Rtp(_))).count() as u32;
        let inputs = entry.inputs.len() as u32 + entry.headers;
        let media = entry.media.unwrap_or(self.recorded.digest().media);
        self.recorded = Chain::resume(ChainDigest { control: entry.control, media });
        let taken = self.digest_inputs(entry.elapsed, &entry.inputs);
        witness.takes(&self.engine, entry.elapsed, &entry.inputs);
        let outputs = self.tick_or_break(entry.elapsed, entry.inputs)?;
        self.compare(entry.facts)?;
        witness.gives(&self.engine, &outputs);
        Ok(TickReport { inputs, packets_in: packets + entry.headers, taken, ..self.report(entry.elapsed, outputs) })
    }

    fn tick_or_break(&mut self, elapsed: u32, inputs: Vec<Input>) -> Result<Outputs, ReplayError> {
        let tick = self.tick() + u64::from(elapsed);
        self.engine.tick_or_break(elapsed, inputs).map_err(|message| ReplayError::Panicked { tick, message })
    }

    fn digest_inputs(&self, elapsed: u32, inputs: &[Input]) -> ChainDigest {
        let mut chain = Chain::default();
        if !self.options.verify {
            chain.add_inputs(elapsed, inputs);
        }
        chain.digest()
    }

    fn report(&mut self, elapsed: u32, outputs: Outputs) -> TickReport {
        self.ticks += 1;
        let packets_out = outputs.rtp.len() as u32;
        let mut pool = self.engine.pool();
        outputs.rtp.into_iter().for_each(|packet| pool.give(packet.0));
        TickReport {
            tick: self.tick(),
            elapsed,
            inputs: 0,
            packets_in: 0,
            packets_out,
            control: outputs.control,
            taken: ChainDigest::default(),
        }
    }
}

fn claims_of(header: &Header) -> Claims {
    if header.media == RecordMedia::Full { Claims::ControlAndMedia } else { Claims::Control }
}

fn build(config: &WorldConfig, options: &ReplayOptions, claims: Claims) -> Engine {
    let ReplayOptions { extend, executor, edit_schedule, .. } = options.clone();
    Engine::with_plugins(config, |plugins| {
        extend(plugins);
        plugins.adjust(move |app| {
            if claims == Claims::Control {
                app.configure_sets(Tick, Phase::Media.run_if(|| false));
            }
            app.edit_schedule(Tick, |schedule| {
                if executor == Executor::MultiThreaded {
                    schedule.set_executor(MultiThreadedExecutor::new());
                }
                edit_schedule(schedule);
            });
        });
    })
}

/// The numbers below `count` in an order that the seed decides (Fisher-Yates over SplitMix64).
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed;
    for last in (1..count).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        order.swap(last, ((mixed ^ (mixed >> 31)) % (last as u64 + 1)) as usize);
    }
    order
}
