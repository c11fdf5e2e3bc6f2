//! The file that is played.

use super::{Failure, LONGEST_S};
use crate::ua::G711;
use hound::{SampleFormat, WavReader};
use std::path::Path;

/// Samples of a packet of 20 ms.
const FRAME_SAMPLES: usize = 160;

/// What is played, as samples.
#[derive(Debug)]
pub(super) struct Sound(Vec<i16>);

/// Reads a WAV file.
pub(super) fn read(path: &Path) -> Result<Sound, Failure> {
    let failed = |why: String| Failure::BadSound { path: path.to_owned(), why };
    let mut reader = WavReader::open(path).map_err(|error| failed(error.to_string()))?;
    let spec = reader.spec();
    let is_pcm = spec.sample_format == SampleFormat::Int && spec.bits_per_sample == 16;
    if !is_pcm || (spec.sample_rate, spec.channels) != (8_000, 1) {
        return Err(failed(format!(
            "it has {} Hz, {} channel(s) and {} bits, and 8000 Hz, one channel and 16 bits are needed",
            spec.sample_rate, spec.channels, spec.bits_per_sample
        )));
    }
    if u64::from(reader.len()) > LONGEST_S * 8_000 {
        return Err(failed("it is longer than an hour, which is the longest call".to_owned()));
    }
    let samples: Result<Vec<i16>, hound::Error> = reader.samples().collect();
    samples.map(Sound).map_err(|error| failed(error.to_string()))
}

impl Sound {
    /// The payload of packet `frame`; `None` after the end.
    pub fn frame(&self, frame: usize, law: G711) -> Option<Vec<u8>> {
        let rest = self.0.get(frame * FRAME_SAMPLES..).filter(|rest| !rest.is_empty())?;
        let samples = rest.iter().copied().chain(std::iter::repeat(0)).take(FRAME_SAMPLES);
        Some(samples.map(|sample| law.encode(sample)).collect())
    }

    /// Packets in all.
    pub fn frames(&self) -> usize {
        self.0.len().div_ceil(FRAME_SAMPLES)
    }
}
