//! Writes down what a world takes in, chunk by chunk, for a sink that takes the chunks.

use super::entry;
use super::file::{CHUNK_BYTES, HEADER, TICKS};
use super::header::{Header, Start};
use super::writer::{Chunk, Mark};
use crate::config::RecordMedia;
use crate::engine::{Chain, ChainDigest, Engine};
use bevy_ecs::prelude::*;
use ringworld_components::edge::Input;
use ringworld_components::kernel::{StableId, StableIds};
use ringworld_components::media::MediaFacts;
use ringworld_components::record::{Encoder, Record};

/// Ticks between two digests of the whole world.
const CHECKPOINT_TICKS: u64 = 2_000;

/// Above this many entities the whole world is neither digested nor encoded between two ticks: it would take
/// milliseconds, and the chains are compared at every tick anyway.
pub(super) const WHOLE_WORLD_ENTITIES_MAX: usize = 5_000;

/// Ticks after which a chunk in which something happened is closed, so that little is lost with the process.
const CHUNK_TICKS: u64 = 200;

/// Ticks after which a chunk is closed in which nothing happened.
const IDLE_CHUNK_TICKS: u64 = 2_000;

/// Takes the chunks.
pub(super) trait Sink {
    /// Hands a chunk over, and returns an empty buffer; false if the taker is too far behind.
    fn send(&self, chunk: Chunk) -> (bool, Vec<u8>);
    /// Whether nothing more is taken.
    fn is_over(&self) -> bool;
}

/// Encodes the ticks of a world, on the thread that runs it.
pub(super) struct Scribe<S> {
    media: RecordMedia,
    /// Taken with the first tick, when the world's plugins are known.
    header: Option<Box<Header>>,
    sink: S,
    /// Whether the whole world is digested now and then.
    has_checkpoints: bool,
    /// Nothing more is recorded: the sink takes no more, or `failed` says why.
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

impl<S: Sink> Scribe<S> {
    /// Of a fresh world.
    pub fn new(header: Header, sink: S, has_checkpoints: bool) -> Self {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        buffer.push(TICKS);
        Self {
            media: header.media,
            header: Some(Box::new(header)),
            sink,
            has_checkpoints,
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
        }
    }

    /// Of a world that has run before.
    pub fn begin_at(&mut self, engine: &Engine) {
        let (tick, chain) = (engine.now().0, engine.chain());
        self.chain = Chain::resume(chain);
        if let Some(header) = &mut self.header {
            header.start = Some(Start { tick, snapshot: engine.snapshot(), chain });
        }
    }

    /// Forgets what is not handed over yet, and goes on where the world is now.
    pub fn begin_again(&mut self, engine: &Engine) {
        self.chain = Chain::resume(engine.chain());
        self.buffer.truncate(1);
        (self.idle, self.open_tick, self.chunk_ticks, self.is_chunk_idle) = (0, None, 0, true);
        (self.is_over, self.failed) = (false, None);
    }

    /// The sink that takes the chunks.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Whether nothing more is recorded.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// How many ticks were recorded.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Ends, and gives back the sink, with the reason if the end came early.
    pub fn finish(self) -> (S, Option<String>) {
        (self.sink, self.failed)
    }

    /// Writes down the inputs of the coming tick. Called before it.
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

    /// Writes down the outputs of the tick. Called after it.
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

    /// Closes the tick that was given its inputs but did not complete: the world broke in it.
    pub fn break_off(&mut self, engine: &Engine) {
        if !self.is_over {
            self.write_header(engine);
            self.facts.clear();
            self.ticks += 1;
            self.close(ChainDigest::default(), false);
            self.flush(engine);
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
        let is_due = self.has_checkpoints && self.ticks.is_multiple_of(CHECKPOINT_TICKS) && !self.is_chunk_idle;
        if is_due && engine.world().resource::<StableIds>().living() <= WHOLE_WORLD_ENTITIES_MAX {
            self.write_idle();
            entry::encode_checkpoint(&engine.digest(), &mut Encoder::new(&mut self.buffer));
        }
    }

    /// Hands the header over, if that was not done yet.
    pub fn write_header(&mut self, engine: &Engine) {
        let Some(mut header) = self.header.take() else { return };
        header.know(engine);
        let mut raw = vec![HEADER];
        header.encode(&mut Encoder::new(&mut raw));
        self.hand_over(raw, Mark { tick: header.start.map_or(0, |start| start.tick), ticks: 0 });
    }

    /// Closes the chunk and hands it over.
    pub fn flush(&mut self, engine: &Engine) {
        self.write_idle();
        (self.chunk_ticks, self.is_chunk_idle) = (0, true);
        if self.buffer.len() > 1 {
            let raw = std::mem::take(&mut self.buffer);
            self.buffer = self.hand_over(raw, Mark { tick: engine.now().0, ticks: self.ticks });
            self.buffer.push(TICKS);
        }
    }

    /// Gives a chunk to the sink, and returns an empty buffer for the next one.
    fn hand_over(&mut self, raw: Vec<u8>, mark: Mark) -> Vec<u8> {
        let (sent, empty) = self.sink.send(Chunk { raw, mark });
        if !sent {
            self.failed = Some("the disk can't keep up with the inputs".to_owned());
        }
        self.is_over = !sent || self.sink.is_over();
        empty
    }
}

/// The facts of the tick's media, which the next tick will act upon; nothing if there are none.
pub(super) fn encode_facts(engine: &Engine, into: &mut Vec<u8>) {
    into.clear();
    let world = engine.world();
    let Some(facts) = world.get_resource::<MediaFacts>().filter(|facts| !facts.0.is_empty()) else { return };
    let id_of = |bits| {
        let entity = Entity::try_from_bits(bits).and_then(|entity| world.get_entity(entity).ok());
        entity.and_then(|entity| entity.get::<StableId>()).map_or(0, |id| id.0)
    };
    facts.encode(&mut Encoder::with_names(into, &id_of));
}
