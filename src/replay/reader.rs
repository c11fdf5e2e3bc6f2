//! Reads a recording, piece by piece.

use super::chunks::Chunks;
use super::entry::{Entry, Inlet};
use super::error::{Damage, ReplayError};
use super::file::{FOOTER, HEADER, TICKS};
use super::header::{Footer, Header};
use ringworld_components::edge::PacketPool;
use ringworld_components::record::{DecodeError, Decoder, Record};

/// A recording that is being read.
pub(super) struct Reader {
    chunks: Box<dyn Chunks + Send>,
    raw: Vec<u8>,
    /// How much of `raw` has been read.
    at: usize,
    footer: Option<Footer>,
}

impl Reader {
    /// Reads chunks that ticks begin with.
    pub fn of(chunks: impl Chunks + Send + 'static) -> Self {
        Self { chunks: Box::new(chunks), raw: Vec::new(), at: 0, footer: None }
    }

    /// Reads chunks that a header begins with, and the header.
    pub fn open(chunks: impl Chunks + Send + 'static) -> Result<(Self, Header), ReplayError> {
        let mut reader = Self::of(chunks);
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

    /// Reads the next chunk; false behind the last one.
    fn next_chunk(&mut self, tick: u64) -> Result<bool, ReplayError> {
        let Some(raw) = self.chunks.next(tick)? else { return Ok(false) };
        (self.raw, self.at) = (raw, 0);
        Ok(true)
    }

    fn damaged(&self, damage: Damage, readable_to: u64) -> ReplayError {
        ReplayError::Damaged { offset: self.chunks.began_at(), readable_to, damage }
    }
}
