//! The sources of a recording's chunks: a file, or the memory of the flight recorder.

use super::error::{Damage, ReplayError};
use super::file::{FRAME_BYTES, Frame, MAGIC, RAW_BYTES_MAX};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Chunks, one after the other.
pub(super) trait Chunks {
    /// The next chunk, unpacked; `None` behind the last one. `tick` is the last tick that was read, for errors.
    fn next(&mut self, tick: u64) -> Result<Option<Vec<u8>>, ReplayError>;
    /// Where the chunk at hand began, in bytes.
    fn began_at(&self) -> u64;
}

/// The chunks of a file.
pub(super) struct FileChunks {
    path: PathBuf,
    file: BufReader<File>,
    length: u64,
    /// Where the next chunk begins.
    offset: u64,
    /// Where the chunk at hand began.
    chunk_offset: u64,
    index: u64,
    packed: Vec<u8>,
}

impl FileChunks {
    /// Opens a file, if it is a recording of this version.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
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
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 16, file),
            length,
            offset: magic.len() as u64,
            chunk_offset: 0,
            index: 0,
            packed: Vec::new(),
        })
    }

    fn read(
        &mut self,
        read: impl FnOnce(&mut BufReader<File>, &mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), ReplayError> {
        let Self { file, packed, path, .. } = self;
        read(file, packed).map_err(|error| ReplayError::Io { path: path.clone(), error })
    }
}

impl Chunks for FileChunks {
    fn next(&mut self, tick: u64) -> Result<Option<Vec<u8>>, ReplayError> {
        self.chunk_offset = self.offset;
        let damaged = |offset, damage| ReplayError::Damaged { offset, readable_to: tick, damage };
        let left = self.length.saturating_sub(self.offset);
        if left == 0 {
            return Ok(None);
        }
        let mut frame = [0; FRAME_BYTES];
        if left < FRAME_BYTES as u64 {
            return Err(damaged(self.offset, Damage::Truncated));
        }
        self.read(|file, _| file.read_exact(&mut frame))?;
        let frame = Frame::from_bytes(&frame).ok_or(damaged(self.offset, Damage::Checksum))?;
        if u64::from(frame.packed) > left - FRAME_BYTES as u64 {
            return Err(damaged(self.offset, Damage::Truncated));
        }
        self.read(|file, packed| {
            packed.resize(frame.packed as usize, 0);
            file.read_exact(packed)
        })?;
        if !frame.fits(self.index, &self.packed) || frame.raw as usize > RAW_BYTES_MAX {
            return Err(damaged(self.offset, Damage::Checksum));
        }
        let raw = unpack(&self.packed, frame.raw).ok_or(damaged(self.offset, Damage::Packetizer))?;
        self.index += 1;
        self.offset += FRAME_BYTES as u64 + u64::from(frame.packed);
        Ok(Some(raw))
    }

    fn began_at(&self) -> u64 {
        self.chunk_offset
    }
}

/// The raw bytes of a packed chunk.
pub(super) fn unpack(packed: &[u8], raw: u32) -> Option<Vec<u8>> {
    zstd::bulk::decompress(packed, raw as usize).ok().filter(|bytes| bytes.len() == raw as usize)
}
