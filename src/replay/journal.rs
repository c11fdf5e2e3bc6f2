//! The journal of a state folder: a recording in which every tick is with the system before any output of it leaves.
//!
//! It has the layout of a recording, but its chunks are not packed, and there is one for every tick that matters:
//! packing is for a thread that no tick waits for.

use super::entry;
use super::file::{FOOTER, FRAME_BYTES, Frame, HEADER, MAGIC, RAW_BYTES_MAX, TICKS};
use super::header::{Ending, Footer, Header};
use super::scribe::encode_facts;
use crate::config::RecordMedia;
use crate::engine::{Chain, ChainDigest, Engine};
use ringworld_components::edge::Input;
use ringworld_components::planted;
use ringworld_components::record::{Encoder, Record};
use std::io::{self, Write};

/// How much waits in memory for a disk that takes nothing, in bytes; beyond it the journal has failed.
const WAITING_MAX: usize = 64 << 20;

/// A chunk in which nothing that leaves has happened is closed at this size, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// zstd's fastest regular level.
const LEVEL: i32 = 1;

/// The journal of one world, from one tick on.
pub(crate) struct Journal {
    out: Out<Box<dyn Write + Send>>,
    chain: Chain,
    facts: Vec<u8>,
    /// Idle ticks that are not yet in the chunk.
    idle: u64,
    /// Where the entry of the tick that is being run begins; `None` if it may turn out to be idle.
    open_tick: Option<usize>,
    ticks: u64,
}

impl Journal {
    /// Writes the header, which says where the world stands, into an empty file.
    pub fn begin(file: Box<dyn Write + Send>, header: &Header) -> io::Result<Self> {
        let mut out = Out::new(file);
        out.bytes.extend_from_slice(&MAGIC);
        header.encode(&mut Encoder::new(out.open(HEADER)));
        out.seal();
        out.flush()?;
        let chain = header.start.as_ref().map(|start| start.chain).unwrap_or_default();
        Ok(Self { out, chain: Chain::resume(chain), facts: Vec::new(), idle: 0, open_tick: None, ticks: 0 })
    }

    /// Writes down the inputs of the coming tick. Called before it.
    pub fn inputs(&mut self, elapsed: u32, inputs: &[Input]) {
        self.open_tick = None;
        if elapsed != 1 || !inputs.is_empty() {
            self.open(elapsed, inputs);
        }
    }

    /// Writes down the result of the tick, after it. If it took something in or if something leaves because of it, all
    /// is handed to the system before this returns.
    ///
    /// # Errors
    /// The disk takes nothing. It is tried again with the next tick, and nothing is lost unless the kind of the error
    /// is `StorageFull` for good: see [`Journal::is_lost`].
    pub fn end_of_tick(&mut self, engine: &Engine, leaves: bool) -> io::Result<()> {
        let chain = engine.chain();
        let before = self.chain.digest();
        self.chain.add_inputs(1, &[]);
        encode_facts(engine, &mut self.facts);
        let with_media = chain.media != before.media;
        let is_idle = self.open_tick.is_none()
            && self.facts.is_empty()
            && !with_media
            && chain.control == self.chain.digest().control;
        let matters = (leaves || self.open_tick.is_some()) && !planted!(EgressFirst);
        self.chain = Chain::resume(chain);
        self.ticks += 1;
        if is_idle {
            self.idle += 1;
            return Ok(());
        }
        self.close(chain, with_media);
        if matters || self.out.chunk_bytes() >= CHUNK_BYTES {
            self.out.seal();
            return self.out.flush();
        }
        Ok(())
    }

    /// Hands everything up to now to the system, idle ticks included.
    pub fn settle(&mut self) -> io::Result<()> {
        self.write_idle();
        self.out.seal();
        self.out.flush()
    }

    /// Writes the end: what follows is in another file.
    pub fn end(&mut self, engine: &Engine) -> io::Result<()> {
        self.write_idle();
        self.out.seal();
        let footer = Footer { tick: engine.now().0, ticks: self.ticks, ending: Ending::Finished, digest: None };
        footer.encode(&mut Encoder::new(self.out.open(FOOTER)));
        self.out.seal();
        self.out.flush()
    }

    /// Whether anything was written down since the beginning, idle ticks apart.
    pub fn is_empty(&self) -> bool {
        self.out.index <= 1 && !self.out.is_open
    }

    /// Whether something waits because the disk did not take it.
    pub fn is_waiting(&self) -> bool {
        self.out.is_waiting()
    }

    /// How many bytes the system has taken.
    pub fn bytes(&self) -> u64 {
        self.out.given
    }

    /// Whether more waits than may: the journal is of no use any more.
    pub fn is_lost(&self) -> bool {
        self.out.bytes.len() > WAITING_MAX
    }

    fn open(&mut self, elapsed: u32, inputs: &[Input]) {
        self.write_idle();
        let chunk = self.out.open(TICKS);
        self.open_tick = Some(chunk.len());
        let to = &mut Encoder::new(chunk);
        to.byte(entry::tick_tag(false));
        entry::encode_inputs(elapsed, inputs, RecordMedia::Full, to);
    }

    fn close(&mut self, chain: ChainDigest, with_media: bool) {
        if self.open_tick.is_none() {
            self.open(1, &[]);
        }
        let chunk = self.out.open(TICKS);
        if let Some(tag) = self.open_tick.take().and_then(|at| chunk.get_mut(at)) {
            *tag = entry::tick_tag(with_media);
        }
        entry::encode_results(&self.facts, chain, with_media, &mut Encoder::new(chunk));
    }

    fn write_idle(&mut self) {
        if self.idle > 0 {
            entry::encode_idle(self.idle, &mut Encoder::new(self.out.open(TICKS)));
            self.idle = 0;
        }
    }
}

/// A file that holds a header alone: a snapshot, if there is a world in it. Packed it is some times smaller; to pack it
/// takes about as long as to encode the world.
pub(crate) fn snapshot_file(header: &Header, is_packed: bool) -> io::Result<Vec<u8>> {
    let world = header.start.as_ref().map_or(0, |start| start.snapshot.len());
    let mut bytes = Vec::with_capacity(world + CHUNK_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[0; FRAME_BYTES]);
    let begin = bytes.len();
    bytes.push(HEADER);
    header.encode(&mut Encoder::new(&mut bytes));
    let raw = bytes.len() - begin;
    if raw > RAW_BYTES_MAX {
        return Err(io::Error::other("the world is too large for a snapshot"));
    }
    if is_packed {
        let packed = zstd::bulk::compress(bytes.get(begin..).unwrap_or_default(), LEVEL)?;
        bytes.truncate(begin);
        bytes.extend_from_slice(&packed);
    }
    let frame = Frame::of(0, bytes.get(begin..).unwrap_or_default(), raw as u32).to_bytes();
    bytes.splice(MAGIC.len()..begin, frame);
    Ok(bytes)
}

/// Chunks on their way to the disk, and the one that is being filled.
#[derive(Debug)]
struct Out<W> {
    file: W,
    /// Whole chunks that are still to be written, then the open one.
    bytes: Vec<u8>,
    /// How much of `bytes` the disk has taken.
    taken: usize,
    /// How much it has taken in all.
    given: u64,
    /// Where the open chunk begins; the end of `bytes` if none is.
    begin: usize,
    is_open: bool,
    /// The number of the next chunk.
    index: u64,
}

impl<W: Write> Out<W> {
    fn new(file: W) -> Self {
        Self { file, bytes: Vec::new(), taken: 0, given: 0, begin: 0, is_open: false, index: 0 }
    }

    /// Where to append to the open chunk; opens one of that kind if there is none.
    fn open(&mut self, kind: u8) -> &mut Vec<u8> {
        if !self.is_open {
            self.begin = self.bytes.len();
            self.bytes.resize(self.begin + FRAME_BYTES, 0);
            self.bytes.push(kind);
            self.is_open = true;
        }
        &mut self.bytes
    }

    fn chunk_bytes(&self) -> usize {
        if self.is_open { self.bytes.len() - self.begin } else { 0 }
    }

    fn is_waiting(&self) -> bool {
        let whole = if self.is_open { self.begin } else { self.bytes.len() };
        self.taken < whole
    }

    /// Closes the open chunk: fills in its frame.
    fn seal(&mut self) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let Some((frame, body)) =
            self.bytes.get_mut(self.begin..).and_then(|chunk| chunk.split_at_mut_checked(FRAME_BYTES))
        else {
            return;
        };
        frame.copy_from_slice(&Frame::of(self.index, body, body.len() as u32).to_bytes());
        self.index += 1;
    }

    /// Gives all whole chunks to the system, as far as it takes them.
    fn flush(&mut self) -> io::Result<()> {
        let whole = if self.is_open { self.begin } else { self.bytes.len() };
        while self.taken < whole {
            match self.file.write(self.bytes.get(self.taken..whole).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.taken += count;
                    self.given += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.drain(..whole);
        (self.taken, self.begin) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full after some bytes, until it is given more room.
    #[derive(Default)]
    struct Disk {
        room: usize,
        written: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.written.extend_from_slice(&bytes[..count]);
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn say(out: &mut Out<Disk>, what: &[u8]) -> io::Result<()> {
        out.open(TICKS).extend_from_slice(what);
        out.seal();
        out.flush()
    }

    #[test]
    fn what_a_full_disk_refuses_is_written_when_there_is_room_and_only_once() {
        let mut whole = Out::new(Disk { room: 1 << 20, ..Disk::default() });
        let mut tight = Out::new(Disk { room: 30, ..Disk::default() });
        for what in [&b"one"[..], b"two", b"three"] {
            assert!(say(&mut whole, what).is_ok());
            let refused = say(&mut tight, what).is_err();
            assert_eq!(refused, what != b"one", "room for one chunk and a piece of the next");
            assert_eq!(tight.is_waiting(), refused);
        }
        assert_eq!(tight.file.written.len(), 30);
        tight.file.room = 1 << 20;
        assert!(tight.flush().is_ok() && !tight.is_waiting());
        assert_eq!(tight.file.written, whole.file.written);
        assert_eq!(tight.given, tight.file.written.len() as u64);
    }
}
