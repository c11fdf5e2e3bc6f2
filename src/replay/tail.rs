//! Replays a journal while it is being written, or after its writer was killed.

use super::entry::{Entry, Inlet};
use super::file::{FOOTER, FRAME_BYTES, Frame, HEADER, MAGIC, RAW_BYTES_MAX, TICKS, VERSION};
use super::header::Header;
use crate::config::{RecordMedia, sip_limits};
use crate::engine::{Chain, ChainDigest, Engine};
use ringworld_components::call::Settings;
use ringworld_components::edge::Input;
use ringworld_components::record::{DecodeError, Decoder, Record};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Runs what has been logged once, when it happened.
pub(super) fn unlogged<T>(run: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(&tracing::Dispatch::none(), run)
}

/// How much is read at once, in bytes.
const READ_BYTES: usize = 1 << 18;

/// What comes next in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A tick was replayed.
    Lived,
    /// Nothing more is written so far.
    Nothing,
    /// This file ends here, in order.
    End,
}

/// Why a journal can't be followed any further.
#[derive(Debug)]
pub(crate) enum TailError {
    /// The file can't be read.
    Io(io::Error),
    /// It has another format than this build reads.
    Version { found: u8 },
    /// It is damaged at this byte.
    Damaged { offset: u64, error: DecodeError },
    /// The world's digests differ from those that were written down.
    Diverged { tick: u64 },
}

impl fmt::Display for TailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it can't be read: {error}"),
            Self::Version { found } => write!(f, "its format is version {found}, and this build reads {VERSION}"),
            Self::Damaged { offset, error } => write!(f, "it is damaged at byte {offset}: {error}"),
            Self::Diverged { tick } => write!(f, "the same inputs led to something else at tick {tick}"),
        }
    }
}

/// A file that may still be growing.
pub(crate) trait ReadAt {
    /// Reads what there is from this byte on, and returns how much that was: nothing at the end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }
}

/// A journal's file, chunk by chunk, as far as it is whole.
pub(crate) struct Tail {
    file: Box<dyn ReadAt + Send>,
    /// Where the next chunk begins in the file.
    offset: u64,
    index: u64,
    /// What was read, and how much of it was used.
    bytes: Vec<u8>,
    used: usize,
}

impl Tail {
    /// Reads the header of a file that was opened; `None` if that is not yet there as a whole, or if there is no file
    /// yet.
    pub fn open(file: io::Result<Box<dyn ReadAt + Send>>) -> Result<Option<(Self, Header)>, TailError> {
        let file = match file {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TailError::Io(error)),
        };
        let mut tail = Self { file, offset: 0, index: 0, bytes: Vec::new(), used: 0 };
        tail.fill(MAGIC.len())?;
        if tail.bytes.len() < MAGIC.len() {
            return Ok(None);
        }
        if !tail.bytes.starts_with(&MAGIC) {
            let version = tail.bytes.get(..MAGIC.len()).and_then(|magic| magic.strip_prefix(&MAGIC[..MAGIC.len() - 1]));
            return Err(match version {
                Some(&[found]) => TailError::Version { found },
                _ => tail.damaged(DecodeError::Invalid("it is no journal")),
            });
        }
        (tail.used, tail.offset) = (MAGIC.len(), MAGIC.len() as u64);
        let Some(chunk) = tail.chunk()? else { return Ok(None) };
        match chunk.split_first() {
            Some((&HEADER, body)) => {
                let header = Header::decode(&mut Decoder::new(body)).map_err(|error| tail.damaged(error))?;
                Ok(Some((tail, header)))
            }
            _ => Err(tail.damaged(DecodeError::Invalid("the first chunk is no header"))),
        }
    }

    /// Whether any tick stands in what follows. To be asked right after [`Tail::open`].
    pub fn has_ticks(&mut self) -> Result<bool, TailError> {
        Ok(self.chunk()?.is_some_and(|chunk| chunk.first() == Some(&TICKS)))
    }

    /// The next whole chunk; `None` if it is not there as a whole.
    fn chunk(&mut self) -> Result<Option<Vec<u8>>, TailError> {
        self.fill(FRAME_BYTES)?;
        let Some(frame) = self.bytes.get(self.used..).and_then(|rest| rest.first_chunk::<FRAME_BYTES>()) else {
            return Ok(None);
        };
        let frame = Frame::from_bytes(frame)
            .ok_or_else(|| self.damaged(DecodeError::Invalid("the checksum of a chunk's frame is wrong")))?;
        let length = frame.packed as usize;
        if length > RAW_BYTES_MAX {
            return Err(self.damaged(DecodeError::Range));
        }
        self.fill(FRAME_BYTES + length)?;
        let from = self.used + FRAME_BYTES;
        let Some(packed) = self.bytes.get(from..from + length) else { return Ok(None) };
        if !frame.fits(self.index, packed) {
            return Err(self.damaged(DecodeError::Invalid("a checksum is wrong")));
        }
        // What a snapshot's chunk begins with, once packed, is no kind of chunk.
        let raw = match packed.first() {
            Some(&(HEADER | TICKS | FOOTER)) => packed.to_vec(),
            _ => unpack(packed, frame.raw as usize)
                .ok_or_else(|| self.damaged(DecodeError::Invalid("a chunk can't be unpacked")))?,
        };
        self.used += FRAME_BYTES + length;
        self.offset += (FRAME_BYTES + length) as u64;
        self.index += 1;
        Ok(Some(raw))
    }

    /// Reads on until so many unused bytes are there, or there are no more.
    fn fill(&mut self, wanted: usize) -> Result<(), TailError> {
        while self.bytes.len() - self.used < wanted {
            self.bytes.drain(..self.used);
            self.used = 0;
            let (have, at) = (self.bytes.len(), self.offset + self.bytes.len() as u64);
            self.bytes.resize(have + READ_BYTES.max(wanted - have), 0);
            let read = self.file.read_at(self.bytes.get_mut(have..).unwrap_or_default(), at);
            self.bytes.truncate(have + *read.as_ref().unwrap_or(&0));
            if read.map_err(TailError::Io)? == 0 {
                break;
            }
        }
        Ok(())
    }

    fn damaged(&self, error: DecodeError) -> TailError {
        TailError::Damaged { offset: self.offset, error }
    }
}

fn unpack(packed: &[u8], raw: usize) -> Option<Vec<u8>> {
    if raw > RAW_BYTES_MAX {
        return None;
    }
    zstd::bulk::decompress(packed, raw).ok().filter(|bytes| bytes.len() == raw)
}

/// A world that replays journals.
pub(crate) struct Heir {
    engine: Engine,
    inlet: Inlet,
    tail: Option<Tail>,
    /// The ticks of the chunk at hand, and how many of them were replayed.
    ticks: Vec<u8>,
    at: usize,
    idle: u64,
    recorded: Chain,
}

impl Heir {
    /// A world as it was restored.
    pub fn new(engine: Engine, settings: &Settings) -> Self {
        let recorded = Chain::resume(engine.chain());
        let inlet = Inlet { limits: sip_limits(&settings.sip), media: RecordMedia::Full };
        Self { engine, inlet, tail: None, ticks: Vec::new(), at: 0, idle: 0, recorded }
    }

    /// Goes on with this journal, which must begin where the world stands; false if it does not.
    pub fn follow(&mut self, tail: Tail, header: &Header) -> bool {
        let Some(start) = &header.start else { return false };
        let fits = start.tick == self.engine.now().0 && start.chain == self.engine.chain();
        if fits {
            self.recorded = Chain::resume(start.chain);
            (self.tail, self.at, self.idle) = (Some(tail), 0, 0);
            self.ticks.clear();
        }
        fits
    }

    /// The world.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The world, to begin another life of it or to take it over.
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The world alone.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// Replays one more tick, if it is there.
    pub fn step(&mut self) -> Result<Step, TailError> {
        loop {
            if self.idle > 0 {
                self.idle -= 1;
                self.recorded.add_inputs(1, &[]);
                return self.live(1, Vec::new());
            }
            let Some(tail) = &mut self.tail else { return Ok(Step::Nothing) };
            if self.at < self.ticks.len() {
                let mut from = Decoder::new(self.ticks.get(self.at..).unwrap_or_default());
                let entry = self.inlet.decode(&mut from, &mut self.engine.pool());
                let entry = entry.map_err(|error| tail.damaged(error))?;
                self.at = self.ticks.len() - from.remaining();
                match entry {
                    Entry::Idle { ticks } => self.idle = ticks,
                    Entry::Tick(entry) => {
                        let media = entry.media.unwrap_or(self.recorded.digest().media);
                        self.recorded = Chain::resume(ChainDigest { control: entry.control, media });
                        return self.live(entry.elapsed, entry.inputs);
                    }
                    Entry::Checkpoint(_) => {}
                }
                continue;
            }
            let Some(chunk) = tail.chunk()? else { return Ok(Step::Nothing) };
            match chunk.first() {
                Some(&TICKS) => (self.ticks, self.at) = (chunk, 1),
                Some(&FOOTER) => return Ok(Step::End),
                _ => return Err(tail.damaged(DecodeError::Invalid("an unknown chunk"))),
            }
        }
    }

    fn live(&mut self, elapsed: u32, inputs: Vec<Input>) -> Result<Step, TailError> {
        let outputs = unlogged(|| self.engine.tick(elapsed, inputs));
        let mut pool = self.engine.pool();
        outputs.rtp.into_iter().for_each(|packet| pool.give(packet.0));
        if self.engine.chain() != self.recorded.digest() {
            return Err(TailError::Diverged { tick: self.engine.now().0 });
        }
        Ok(Step::Lived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::WorldConfig;
    use ringworld_components::record::Encoder;

    struct InMemory(Vec<u8>);

    impl ReadAt for InMemory {
        fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
            let rest = self.0.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }

    fn journal() -> Vec<u8> {
        let mut header = vec![HEADER];
        Header::new(&WorldConfig::default(), RecordMedia::Full).encode(&mut Encoder::new(&mut header));
        let mut bytes = MAGIC.to_vec();
        for (index, chunk) in [&header[..], &[TICKS, 1, 2, 3], &[TICKS, 4], &[FOOTER, 5]].into_iter().enumerate() {
            bytes.extend_from_slice(&Frame::of(index as u64, chunk, chunk.len() as u32).to_bytes());
            bytes.extend_from_slice(chunk);
        }
        bytes
    }

    /// How many chunks there are behind the header.
    fn chunks(bytes: Vec<u8>) -> Result<usize, TailError> {
        let Some((mut tail, _)) = Tail::open(Ok(Box::new(InMemory(bytes))))? else { return Ok(0) };
        let mut count = 0;
        while tail.chunk()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn every_bit_that_flips_is_told_of_and_what_was_cut_short_is_no_damage() {
        let whole = journal();
        assert!(matches!(chunks(whole.clone()), Ok(3)));
        for length in 0..whole.len() {
            assert!(matches!(chunks(whole[..length].to_vec()), Ok(0..=2)), "cut to {length} bytes");
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let is_told = match chunks(bytes) {
                Err(TailError::Version { .. }) => bit / 8 == MAGIC.len() - 1,
                told => matches!(told, Err(TailError::Damaged { .. })),
            };
            assert!(is_told, "bit {bit} of {}", whole.len() * 8);
        }
    }
}
