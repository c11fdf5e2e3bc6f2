//! Tones: the encoded loop that one is read from, and the Goertzel filters that find it again.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::sync::Arc;

use super::g711::G711;

/// Samples a second of every stream here.
pub const SAMPLE_RATE_HZ: usize = 8_000;
/// Samples in a packet of 20 ms.
pub const FRAME_SAMPLES: usize = 160;
/// Packets in one loop of a tone (one second).
pub const LOOP_FRAMES: usize = SAMPLE_RATE_HZ / FRAME_SAMPLES;

/// One second of a tone, encoded, to be sent round and round.
#[derive(Debug)]
pub struct Tone {
    pub law: G711,
    encoded: Box<[u8]>,
}

/// Makes tones, each one once.
#[derive(Debug)]
pub struct Tones {
    /// One turn of a sine; whole frequencies step through it without a remainder.
    sine: Box<[f64]>,
    made: BTreeMap<(u16, i16, G711), Arc<Tone>>,
}

impl Default for Tones {
    fn default() -> Self {
        Self::new()
    }
}

impl Tones {
    pub fn new() -> Tones {
        let sine = (0..SAMPLE_RATE_HZ).map(|n| (TAU * n as f64 / SAMPLE_RATE_HZ as f64).sin()).collect();
        Tones { sine, made: BTreeMap::new() }
    }

    pub fn tone(&mut self, hz: u16, amplitude: i16, law: G711) -> Arc<Tone> {
        let make = || {
            let turn = self.sine.iter().cycle().step_by(usize::from(hz).max(1)).take(SAMPLE_RATE_HZ);
            let encoded = turn.map(|sine| law.encode((f64::from(amplitude) * sine).round() as i16)).collect();
            Arc::new(Tone { law, encoded })
        };
        Arc::clone(self.made.entry((hz, amplitude, law)).or_insert_with(make))
    }
}

impl Tone {
    /// The payload of packet `frame` of the loop.
    pub fn frame(&self, frame: usize) -> &[u8] {
        let start = frame % LOOP_FRAMES * FRAME_SAMPLES;
        self.encoded.get(start..start + FRAME_SAMPLES).unwrap_or(&[])
    }
}

/// The amplitude of each frequency in the samples, by Goertzel's filter.
///
/// Eight filters run side by side, because one alone waits for its own last result all the time. Floating point is fine
/// here: this is outside the recorded world.
pub fn amplitudes(samples: &[i16], frequencies_hz: &[u16]) -> Vec<f64> {
    let mut found = Vec::with_capacity(frequencies_hz.len());
    for block in frequencies_hz.chunks(8) {
        let mut twice_cosine = [0.0f64; 8];
        for (slot, &hz) in twice_cosine.iter_mut().zip(block) {
            *slot = 2.0 * (TAU * f64::from(hz) / SAMPLE_RATE_HZ as f64).cos();
        }
        let (mut last, mut before) = ([0.0f64; 8], [0.0f64; 8]);
        for &sample in samples {
            for lane in 0..8 {
                let next = f64::from(sample) + twice_cosine[lane] * last[lane] - before[lane];
                before[lane] = last[lane];
                last[lane] = next;
            }
        }
        for lane in 0..block.len() {
            let (a, b) = (last[lane], before[lane]);
            let power = a * a + b * b - twice_cosine[lane] * a * b;
            found.push(2.0 * power.max(0.0).sqrt() / samples.len().max(1) as f64);
        }
    }
    found
}

/// The mean square of the samples.
pub fn mean_square(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|&sample| f64::from(sample) * f64::from(sample)).sum();
    sum / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_found_at_its_amplitude_and_nowhere_else() {
        let tone = Tones::new().tone(441, 5_000, G711::Pcma);
        let samples: Vec<i16> = (0..LOOP_FRAMES).flat_map(|n| tone.frame(n)).map(|&b| G711::Pcma.decode(b)).collect();
        let found = amplitudes(&samples, &[441, 443, 447, 1_001, 1_323]);
        assert!((found[0] - 5_000.0).abs() < 100.0, "{found:?}");
        assert!(found[1..].iter().all(|&other| other < 100.0), "{found:?}");
    }

    #[test]
    fn no_two_packets_of_a_loop_are_equal() {
        let tone = Tones::new().tone(2_151, 8_000, G711::Pcmu);
        for a in 0..LOOP_FRAMES {
            for b in 0..a {
                assert_ne!(tone.frame(a), tone.frame(b));
            }
        }
    }
}
