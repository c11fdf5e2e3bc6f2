//! Writes down what a world takes in, on the thread that runs it.

use super::entry;
use super::error::RecordError;
use super::file::{CHUNK_BYTES, HEADER, TICKS};
use super::header::{Ending, Footer, Header, Start};
use super::writer::{Chunk, Mark, Writer};
use crate::config::{RecordMedia, RecordSettings};
use crate::engine::{Chain, ChainDigest, Engine, WorldConfig};
use bevy_ecs::prelude::*;
use ringworld_components::edge::Input;
use ringworld_components::kernel::{StableId, StableIds};
use ringworld_components::media::FactQueue;
use ringworld_components::record::{Encoder, Record};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// Ticks between two digests of the whole world.
const CHECKPOINT_TICKS: u64 = 2_000;

/// Above this many entities the whole world is digested at its end only: it would take milliseconds, and the chains
/// are compared at every tick anyway.
const CHECKPOINT_ENTITIES_MAX: usize = 5_000;

/// Ticks after which a chunk in which something happened is closed, so that little is lost with the process.
const CHUNK_TICKS: u64 = 200;

/// Ticks after which a chunk is closed in which nothing happened.
const IDLE_CHUNK_TICKS: u64 = 2_000;

/// Records a world. Nothing it meets with stops the world: a recording that can't go on ends, and its summary says why.
pub struct Recorder {
    path: PathBuf,
    media: RecordMedia,
    /// Taken with the first tick, when the world's plugins are known.
    header: Option<Box<Header>>,
    writer: Writer,
    /// Nothing more is recorded: the size cap is reached, or the disk failed, or `failed` says why.
    is_over: bool,
    failed: Option<String>,
    buffer: Vec<u8>,
    facts: Vec<u8>,
    /// The chain that an idle tick would have led to.
    chain: Chain,
    /// Idle ticks that are not yet in the buffer.
    idle: u64,
    /// Where in the buffer the tick that is being run begins; `None` if it may turn out to be idle.
    open_tick: Option<usize>,
    ticks: u64,
    chunk_ticks: u64,
    is_chunk_idle: bool,
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordingSummary {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How many ticks it holds.
    pub ticks: u64,
    /// The last tick that it holds, if it ended early because it had reached its largest size.
    pub truncated_at: Option<u64>,
    /// Why it ended early, if it did for another reason.
    pub failed: Option<String>,
}

impl Recorder {
    /// Starts the recording of a fresh world.
    pub fn create(path: &Path, world: &WorldConfig, settings: &RecordSettings) -> Result<Self, RecordError> {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        buffer.push(TICKS);
        let bytes_max = u64::from(settings.mib_max) << 20;
        if bytes_max == 0 {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "its largest size (record.mib_max) is 0");
            return Err(RecordError { path: path.to_owned(), error });
        }
        Ok(Self {
            path: path.to_owned(),
            media: settings.media,
            header: Some(Box::new(Header::new(world, settings.media))),
            writer: Writer::create(path, bytes_max)?,
            is_over: false,
            failed: None,
            buffer,
            facts: Vec::new(),
            chain: Chain::default(),
            idle: 0,
            open_tick: None,
            ticks: 0,
            chunk_ticks: 0,
            is_chunk_idle: true,
        })
    }

    /// Starts the recording of a world in the middle of its life, between two ticks: it begins with a snapshot.
    pub fn create_at(
        path: &Path,
        world: &WorldConfig,
        settings: &RecordSettings,
        engine: &Engine,
    ) -> Result<Self, RecordError> {
        let mut recorder = Self::create(path, world, settings)?;
        let (tick, chain) = (engine.now().0, engine.chain());
        recorder.chain = Chain::resume(chain);
        if let Some(header) = &mut recorder.header {
            header.start = Some(Start { tick, snapshot: engine.snapshot(), chain });
        }
        Ok(recorder)
    }

    /// Takes down what the coming tick is given. Called before it.
    pub fn inputs(&mut self, elapsed: u32, inputs: &[Input]) {
        if self.is_over {
            return;
        }
        let is_kept = |input: &Input| self.media != RecordMedia::Off || !matches!(input, Input::Rtp(_));
        self.open_tick = None;
        if elapsed != 1 || inputs.iter().any(is_kept) {
            self.open(elapsed, inputs);
        }
    }

    /// Takes down what came out of the tick. Called after it.
    pub fn end_of_tick(&mut self, engine: &Engine) {
        if self.is_over {
            return;
        }
        self.write_header(engine);
        let chain = engine.chain();
        let before = self.chain.digest();
        self.chain.add_inputs(1, &[]);
        encode_facts(engine, &mut self.facts);
        let with_media = self.media == RecordMedia::Full && chain.media != before.media;
        let is_idle = self.open_tick.is_none()
            && self.facts.is_empty()
            && !with_media
            && chain.control == self.chain.digest().control;
        self.ticks += 1;
        self.chunk_ticks += 1;
        if is_idle {
            self.idle += 1;
        } else {
            self.close(chain, with_media);
        }
        self.chain = Chain::resume(chain);
        self.checkpoint(engine);
        let is_due = self.chunk_ticks >= if self.is_chunk_idle { IDLE_CHUNK_TICKS } else { CHUNK_TICKS };
        if is_due || self.buffer.len() >= CHUNK_BYTES {
            self.flush(engine);
        }
    }

    /// Ends the recording, and waits until all is written.
    pub fn finish(mut self, engine: &Engine) -> RecordingSummary {
        if !self.is_over {
            self.write_header(engine);
            self.flush(engine);
        }
        let footer = self.failed.is_none().then(|| Footer {
            tick: engine.now().0,
            ticks: self.ticks,
            ending: Ending::Finished,
            digest: Some(engine.digest()),
        });
        let written = self.writer.finish(footer);
        RecordingSummary {
            path: self.path,
            bytes: written.bytes,
            ticks: written.mark.ticks,
            truncated_at: (written.ending == Ending::SizeCap).then_some(written.mark.tick),
            failed: written.failed.or(self.failed),
        }
    }

    /// Begins the tick's entry.
    fn open(&mut self, elapsed: u32, inputs: &[Input]) {
        self.write_idle();
        self.open_tick = Some(self.buffer.len());
        let to = &mut Encoder::new(&mut self.buffer);
        to.byte(entry::tick_tag(false));
        entry::encode_inputs(elapsed, inputs, self.media, to);
    }

    /// Ends the tick's entry.
    fn close(&mut self, chain: ChainDigest, with_media: bool) {
        if self.open_tick.is_none() {
            self.open(1, &[]);
        }
        if let Some(tag) = self.open_tick.take().and_then(|at| self.buffer.get_mut(at)) {
            *tag = entry::tick_tag(with_media);
        }
        entry::encode_results(&self.facts, chain, with_media, &mut Encoder::new(&mut self.buffer));
        self.is_chunk_idle = false;
    }

    fn write_idle(&mut self) {
        if self.idle > 0 {
            entry::encode_idle(self.idle, &mut Encoder::new(&mut self.buffer));
            self.idle = 0;
        }
    }

    fn checkpoint(&mut self, engine: &Engine) {
        let is_due = self.ticks.is_multiple_of(CHECKPOINT_TICKS) && !self.is_chunk_idle;
        if is_due && engine.world().resource::<StableIds>().living() <= CHECKPOINT_ENTITIES_MAX {
            self.write_idle();
            entry::encode_checkpoint(&engine.digest(), &mut Encoder::new(&mut self.buffer));
        }
    }

    fn write_header(&mut self, engine: &Engine) {
        let Some(mut header) = self.header.take() else { return };
        header.know(engine);
        let mut raw = vec![HEADER];
        header.encode(&mut Encoder::new(&mut raw));
        self.hand_over(raw, Mark { tick: header.start.map_or(0, |start| start.tick), ticks: 0 });
    }

    /// Closes the chunk and hands it to the writer.
    fn flush(&mut self, engine: &Engine) {
        self.write_idle();
        (self.chunk_ticks, self.is_chunk_idle) = (0, true);
        if self.buffer.len() > 1 {
            let raw = std::mem::take(&mut self.buffer);
            self.buffer = self.hand_over(raw, Mark { tick: engine.now().0, ticks: self.ticks });
            self.buffer.push(TICKS);
        }
    }

    /// Gives a chunk to the writer, and returns an empty buffer for the next one.
    fn hand_over(&mut self, raw: Vec<u8>, mark: Mark) -> Vec<u8> {
        let (sent, empty) = self.writer.send(Chunk { raw, mark });
        if !sent {
            self.failed = Some("the disk can't keep up with the inputs".to_owned());
        }
        self.is_over = !sent || self.writer.is_over();
        empty
    }
}

/// The facts of the tick's media, which the next tick will act upon; nothing if there are none.
pub(super) fn encode_facts(engine: &Engine, into: &mut Vec<u8>) {
    into.clear();
    let world = engine.world();
    let Some(facts) = world.get_resource::<FactQueue>().filter(|facts| !facts.0.is_empty()) else { return };
    let id_of = |bits| {
        let entity = Entity::try_from_bits(bits).and_then(|entity| world.get_entity(entity).ok());
        entity.and_then(|entity| entity.get::<StableId>()).map_or(0, |id| id.0)
    };
    facts.encode(&mut Encoder::with_names(into, &id_of));
}
