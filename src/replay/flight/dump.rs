//! Writes the ring as a recording.

use super::follower::start_of;
use super::ring::Ring;
use crate::engine::unix_ms;
use crate::inspect::utc;
use crate::replay::file::{Frame, HEADER, MAGIC};
use crate::replay::header::{Ending, Footer, Header};
use crate::replay::writer::{LEVEL, footer_bytes};
use ringworld_components::record::{Encoder, Record};
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where a flight recording was written to, or why it was not.
pub type FlightDump = Result<PathBuf, String>;

/// Where flight recordings of a world go.
pub(super) struct Folder {
    path: PathBuf,
    world: u8,
    /// How many were written.
    count: u32,
}

impl Folder {
    pub fn of(path: &Path, world: u8) -> Self {
        Self { path: path.to_owned(), world, count: 0 }
    }

    /// Writes a ring into a new file, whose name says when, which world and why.
    pub fn write(&mut self, header: &Header, ring: &Ring, reason: &str, ending: Ending, tick: u64) -> FlightDump {
        self.count += 1;
        let time = utc(unix_ms()).replace([':', '-'], "").replace('.', "");
        let path = self.path.join(format!("flight-{time}-world{}-{}-{}.rwlog", self.world, self.count, slug(reason)));
        let written = fs::create_dir_all(&self.path).and_then(|()| self.write_to(&path, header, ring, ending, tick));
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                // An incomplete recording is useless; there may be none to remove.
                let _ = fs::remove_file(&path);
                Err(format!("the flight recording can't be written to {}: {error}", path.display()))
            }
        }
    }

    fn write_to(&self, path: &Path, header: &Header, ring: &Ring, ending: Ending, tick: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = BufWriter::new(options.open(path)?);
        file.write_all(&MAGIC)?;
        let mut header = header.clone();
        header.start = start_of(&ring.base).map_err(io::Error::other)?;
        let mut raw = vec![HEADER];
        header.encode(&mut Encoder::new(&mut raw));
        write_packed(&mut file, 0, &zstd::bulk::compress(&raw, LEVEL)?, raw.len() as u32)?;
        let mut index = 1;
        for chunk in &ring.chunks {
            write_packed(&mut file, index, &chunk.bytes, chunk.raw)?;
            index += 1;
        }
        let ticks = ring.end().ticks - ring.base.mark.ticks;
        let tick = if ending == Ending::Panicked { tick } else { ring.end().tick };
        let raw = footer_bytes(&Footer { tick, ticks, ending, digest: None });
        write_packed(&mut file, index, &zstd::bulk::compress(&raw, LEVEL)?, raw.len() as u32)?;
        file.into_inner()?.sync_all()
    }
}

fn write_packed(file: &mut impl Write, index: u64, packed: &[u8], raw: u32) -> io::Result<()> {
    file.write_all(&Frame::of(index, packed, raw).to_bytes())?;
    file.write_all(packed)
}

/// The first words of a reason, as a file's name can hold them.
fn slug(reason: &str) -> String {
    let words = reason.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.take(5).map(|word| word.to_ascii_lowercase()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_becomes_part_of_a_name() {
        assert_eq!(slug("on demand"), "on-demand");
        assert_eq!(slug("a system panicked: index 3/../x out of bounds"), "a-system-panicked-index-3");
    }
}
