//! The audio that a call received: placed by timestamp, searched for a tone, written to a WAV file.

use std::path::Path;

use crate::load::softphone::Failure;
use crate::ua::g711::G711;
use crate::ua::tone::{SAMPLE_RATE_HZ, amplitudes, mean_square};

/// Tones are looked for in windows of half a second.
const WINDOW: usize = SAMPLE_RATE_HZ / 2;
/// Below this amplitude a tone does not count (-40 dB below full scale).
const AUDIBLE: f64 = 300.0;
/// The share of a window's energy that must be the tone: speech and noise never put that much into two hertz.
const SHARE: f64 = 0.2;
/// A jump of the timestamps by more than this is a new start, not a pause.
const LONGEST_PAUSE: i64 = 60 * SAMPLE_RATE_HZ as i64;

#[derive(Debug)]
pub(super) struct Ear {
    samples: Vec<i16>,
    capacity: usize,
    /// Timestamp of the first sample of the present source, and where that sample is.
    origin: Option<(u32, u32, usize)>,
}

impl Ear {
    pub fn new(seconds: usize) -> Ear {
        Ear { samples: Vec::new(), capacity: seconds * SAMPLE_RATE_HZ, origin: None }
    }

    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    pub fn place(&mut self, ssrc: u32, timestamp: u32, law: G711, payload: &[u8]) {
        let here = self.origin.filter(|(source, ..)| *source == ssrc).map(|(_, first, start)| {
            // Within an hour, the distance to the first timestamp is far from wrapping.
            start as i64 + i64::from(timestamp.wrapping_sub(first) as i32)
        });
        let end = self.samples.len();
        let start = match here {
            Some(at) if at >= 0 && at <= end as i64 + LONGEST_PAUSE => at as usize,
            Some(at) if at < 0 => return,
            _ => {
                self.origin = Some((ssrc, timestamp, end));
                end
            }
        };
        let needed = start + payload.len();
        if needed > self.capacity {
            return;
        }
        if needed > end {
            self.samples.resize(needed, 0);
        }
        for (place, &byte) in self.samples.iter_mut().skip(start).zip(payload) {
            *place = law.decode(byte);
        }
    }

    fn windows(&self) -> impl Iterator<Item = &[i16]> {
        self.samples.windows(WINDOW).step_by(WINDOW / 2)
    }

    /// Whether the tone was there, for half a second at least; if not, what was there instead.
    pub fn expect(&self, hz: u16) -> Result<(), Failure> {
        if self.samples.is_empty() {
            return Err(Failure::NothingHeard);
        }
        let is_tone = |amplitude: f64, samples: &[i16]| {
            amplitude >= AUDIBLE && amplitude * amplitude / 2.0 >= SHARE * mean_square(samples)
        };
        if self.windows().any(|samples| amplitudes(samples, &[hz]).iter().any(|&found| is_tone(found, samples))) {
            return Ok(());
        }
        let loudest = self.windows().max_by(|a, b| mean_square(a).total_cmp(&mean_square(b)));
        let Some(loudest) = loudest.filter(|samples| mean_square(samples) >= AUDIBLE * AUDIBLE / 2.0) else {
            return Err(Failure::OnlySilence { expected_hz: hz });
        };
        let all: Vec<u16> = (100..3_900).collect();
        let found = amplitudes(loudest, &all);
        let strongest = all.iter().zip(found).max_by(|(_, a), (_, b)| a.total_cmp(b));
        let strongest_hz = strongest.filter(|(_, found)| is_tone(*found, loudest)).map(|(&hz, _)| hz);
        Err(Failure::WrongTone { expected_hz: hz, strongest_hz })
    }

    /// Writes a mono file of 16 bits at 8 kHz.
    pub fn write(&self, path: &Path) -> Result<(), hound::Error> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE_HZ as u32,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec)?;
        for &sample in &self.samples {
            writer.write_sample(sample)?;
        }
        writer.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ua::tone::Tones;

    fn ear_with(hz: u16, frames: u32) -> Ear {
        let tone = Tones::new().tone(hz, 8_000, G711::Pcma);
        let mut ear = Ear::new(10);
        for n in 0..frames {
            ear.place(1, (u32::MAX - 500).wrapping_add(n * 160), G711::Pcma, tone.frame(n as usize));
        }
        ear
    }

    #[test]
    fn the_expected_tone_is_found_and_another_one_named() {
        let ear = ear_with(440, 100);
        assert!(ear.expect(440).is_ok());
        let Err(Failure::WrongTone { strongest_hz: Some(heard), .. }) = ear.expect(620) else { panic!() };
        assert_eq!(heard, 440);
        assert!(matches!(Ear::new(1).expect(440), Err(Failure::NothingHeard)));
        let mut silent = Ear::new(10);
        silent.place(1, 0, G711::Pcmu, &[0xff; 8_000]);
        assert!(matches!(silent.expect(440), Err(Failure::OnlySilence { .. })));
    }

    #[test]
    fn placement_survives_gaps_new_sources_and_the_limit() {
        let mut ear = Ear::new(1);
        ear.place(1, 1_000, G711::Pcmu, &[0x80; 160]);
        ear.place(1, 1_320, G711::Pcmu, &[0x80; 160]);
        assert_eq!(ear.samples().len(), 480);
        assert_eq!((ear.samples()[159], ear.samples()[160], ear.samples()[320]), (32_124, 0, 32_124));
        ear.place(2, 7, G711::Pcmu, &[0x80; 160]);
        ear.place(2, 3_000_000_000, G711::Pcmu, &[0x80; 160]);
        assert_eq!(ear.samples().len(), 640);
        ear.place(2, 7 + 160, G711::Pcmu, &[0x80; 9_000]);
        assert_eq!(ear.samples().len(), 640);
    }

    #[test]
    fn a_recording_reads_back() {
        let path = std::env::temp_dir().join(format!("ringworld-ear-{}.wav", std::process::id()));
        let ear = ear_with(440, 10);
        ear.write(&path).unwrap();
        let mut reader = hound::WavReader::open(&path).unwrap();
        let back: Vec<i16> = reader.samples().collect::<Result<_, _>>().unwrap();
        assert_eq!((reader.spec().sample_rate, back.as_slice()), (8_000, ear.samples()));
        std::fs::remove_file(&path).unwrap();
    }
}
