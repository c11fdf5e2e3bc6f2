//! Reads a recording from its file, piece by piece.

use super::entry::{Entry, Inlet};
use super::error::{Damage, ReplayError};
use super::file::{FOOTER, FRAME_BYTES, Frame, HEADER, MAGIC, RAW_BYTES_MAX, TICKS};
use super::header::{Footer, Header};
use ringworld_components::edge::PacketPool;
use ringworld_components::record::{DecodeError, Decoder, Record};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// A recording that is being read.
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    length: u64,
    /// Where the next chunk begins.
    offset: u64,
    /// Where the chunk at hand began.
    chunk_offset: u64,
    index: u64,
    packed: Vec<u8>,
    raw: Vec<u8>,
    /// How much of `raw` has been read.
    at: usize,
    footer: Option<Footer>,
}

impl Reader {
    /// Opens a recording and reads its header.
    pub fn open(path: &Path) -> Result<(Self, Header), ReplayError> {
        let io = |error| ReplayError::Io { path: path.to_owned(), error };
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut magic = [0; MAGIC.len()];
        if length < magic.len() as u64 {
            return Err(ReplayError::NotARecording { path: path.to_owned() });
        }
        file.read_exact(&mut magic).map_err(io)?;
        match magic {
            MAGIC => {}
            [name @ .., found] if name == MAGIC[..7] => return Err(ReplayError::Version { found }),
            _ => return Err(ReplayError::NotARecording { path: path.to_owned() }),
        }
        let mut reader = Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 16, file),
            length,
            offset: magic.len() as u64,
            chunk_offset: 0,
            index: 0,
            packed: Vec::new(),
            raw: Vec::new(),
            at: 0,
            footer: None,
        };
        if !reader.next_chunk(0)? {
            return Err(reader.damaged(Damage::NoEnd, 0));
        }
        match reader.raw.split_first() {
            Some((&HEADER, body)) => {
                let header = Header::decode(&mut Decoder::new(body));
                let header = header.map_err(|error| reader.damaged(Damage::Content(error), 0))?;
                reader.at = reader.raw.len();
                Ok((reader, header))
            }
            _ => Err(reader.damaged(Damage::Content(DecodeError::Invalid("the first chunk is no header")), 0)),
        }
    }

    /// The next piece; `None` at the end, when there is a footer. `tick` is the last tick that was read, for errors.
    pub fn next(&mut self, inlet: &Inlet, pool: &mut PacketPool, tick: u64) -> Result<Option<Entry>, ReplayError> {
        while self.at >= self.raw.len() {
            if self.footer.is_some() {
                return Ok(None);
            }
            if !self.next_chunk(tick)? {
                return Err(self.damaged(Damage::NoEnd, tick));
            }
            match self.raw.split_first() {
                Some((&TICKS, _)) => self.at = 1,
                Some((&FOOTER, body)) => {
                    let footer = Footer::decode(&mut Decoder::new(body));
                    self.footer = Some(footer.map_err(|error| self.damaged(Damage::Content(error), tick))?);
                    self.at = self.raw.len();
                }
                _ => return Err(self.damaged(Damage::Content(DecodeError::Invalid("an unknown chunk")), tick)),
            }
        }
        let mut from = Decoder::new(self.raw.get(self.at..).unwrap_or_default());
        match inlet.decode(&mut from, pool) {
            Ok(entry) => {
                self.at = self.raw.len() - from.remaining();
                Ok(Some(entry))
            }
            Err(error) => Err(self.damaged(Damage::Content(error), tick)),
        }
    }

    /// What the recording ended with, once all was read.
    pub fn footer(&self) -> Option<&Footer> {
        self.footer.as_ref()
    }

    /// Reads the next chunk; false at the end of the file.
    fn next_chunk(&mut self, tick: u64) -> Result<bool, ReplayError> {
        self.chunk_offset = self.offset;
        let left = self.length.saturating_sub(self.offset);
        if left == 0 {
            return Ok(false);
        }
        let mut frame = [0; FRAME_BYTES];
        if left < FRAME_BYTES as u64 {
            return Err(self.damaged(Damage::Truncated, tick));
        }
        self.read(|file, _| file.read_exact(&mut frame))?;
        let frame = Frame::from_bytes(frame);
        if u64::from(frame.packed) > left - FRAME_BYTES as u64 {
            return Err(self.damaged(Damage::Truncated, tick));
        }
        self.read(|file, packed| {
            packed.resize(frame.packed as usize, 0);
            file.read_exact(packed)
        })?;
        if !frame.fits(self.index, &self.packed) || frame.raw as usize > RAW_BYTES_MAX {
            return Err(self.damaged(Damage::Checksum, tick));
        }
        match zstd::bulk::decompress(&self.packed, frame.raw as usize) {
            Ok(raw) if raw.len() == frame.raw as usize => self.raw = raw,
            _ => return Err(self.damaged(Damage::Packing, tick)),
        }
        self.at = 0;
        self.index += 1;
        self.offset += FRAME_BYTES as u64 + u64::from(frame.packed);
        Ok(true)
    }

    fn read(
        &mut self,
        read: impl FnOnce(&mut BufReader<File>, &mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), ReplayError> {
        let Self { file, packed, path, .. } = self;
        read(file, packed).map_err(|error| ReplayError::Io { path: path.clone(), error })
    }

    fn damaged(&self, damage: Damage, readable_to: u64) -> ReplayError {
        ReplayError::Damaged { offset: self.chunk_offset, readable_to, damage }
    }
}
