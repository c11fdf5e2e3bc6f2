//! A tone, to the same bit on every machine.

use crate::record::Record;

/// Bits of the phase that choose an entry of the sine table; the next ones interpolate between two entries.
const INDEX_BITS: u32 = 8;

/// One turn of the sine in Q15, with the first value repeated at the end.
const SINE: [i32; (1 << INDEX_BITS) + 1] = sine_table();

/// Generates a sine: a phase that steps by the frequency (a numerically controlled oscillator) and a table, in
/// integers.
///
/// ```
/// use ringworld_components::audio::ToneGenerator;
///
/// let mut tone = ToneGenerator::new(2000, 10_000);
/// let mut pcm = [0; 4];
/// tone.fill(&mut pcm, 8_000);
/// assert_eq!(pcm, [0, 10_000, 0, -10_000]);
/// ```
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ToneGenerator {
    /// Position within a turn; 2^32 is a whole turn.
    phase: u32,
    hz: u32,
    level: i16,
}

impl ToneGenerator {
    /// A tone of `hz` whose peak is `level` (of 32,767; negative inverts it).
    pub const fn new(hz: u32, level: i16) -> Self {
        Self { phase: 0, hz, level }
    }

    /// Writes the next samples at this rate, in phase with those before. A frequency of half the rate or more is folded
    /// below that.
    pub fn fill(&mut self, pcm: &mut [i16], rate_hz: u32) {
        let rate_hz = u64::from(rate_hz.max(1));
        let step = (((u64::from(self.hz) % rate_hz) << 32) + rate_hz / 2) / rate_hz;
        for sample in pcm {
            *sample = ((sine(self.phase) * i32::from(self.level) + (1 << 14)) >> 15) as i16;
            self.phase = self.phase.wrapping_add(step as u32);
        }
    }
}

/// The sine of a phase, in Q15.
fn sine(phase: u32) -> i32 {
    let index = (phase >> (32 - INDEX_BITS)) as usize;
    let between = (phase >> (32 - INDEX_BITS - 15)) as i32 & 0x7fff;
    let (here, next) = (SINE[index], SINE[index + 1]);
    here + (((next - here) * between) >> 15)
}

/// The table, from the series of the sine on the first quarter turn in Q30 and its symmetry.
const fn sine_table() -> [i32; (1 << INDEX_BITS) + 1] {
    const QUARTER: usize = 1 << (INDEX_BITS - 2);
    /// Half of pi in Q30.
    const HALF_PI: i64 = 1_686_629_713;
    let mut table = [0; (1 << INDEX_BITS) + 1];
    let mut index = 0;
    while index <= QUARTER {
        let angle = HALF_PI * index as i64 / QUARTER as i64;
        let square = (angle * angle) >> 30;
        let (mut term, mut sum, mut n) = (angle, angle, 1);
        while n < 8 {
            term = -((term * square) >> 30) / (2 * n * (2 * n + 1));
            sum += term;
            n += 1;
        }
        let value = (sum * 32767 + (1 << 29)) >> 30;
        table[index] = value as i32;
        table[2 * QUARTER - index] = value as i32;
        table[2 * QUARTER + index] = -(value as i32);
        table[4 * QUARTER - index] = -(value as i32);
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::goertzel::{power_at, share_at};

    #[test]
    fn the_sine_is_a_sine() {
        for phase in (0..u32::MAX).step_by(65_537) {
            let exact = (f64::from(phase) / 4_294_967_296.0 * std::f64::consts::TAU).sin() * 32767.0;
            assert!((f64::from(sine(phase)) - exact).abs() < 5.0, "{phase}: {} {exact}", sine(phase));
        }
    }

    #[test]
    fn a_tone_has_its_frequency_its_level_and_nothing_else() {
        for hz in [50, 440, 1004, 3999] {
            let mut pcm = vec![0; 8000];
            ToneGenerator::new(hz, 16384).fill(&mut pcm, 8_000);
            assert!(share_at(&pcm, f64::from(hz), 8_000) > 0.999, "{hz}");
            assert!((power_at(&pcm, f64::from(hz), 8_000) - 0.25).abs() < 0.001, "{hz}");
        }
    }

    #[test]
    fn frames_join_without_a_step() {
        let (mut whole, mut parts) = ([0; 320], [0; 320]);
        ToneGenerator::new(441, 9000).fill(&mut whole, 8_000);
        let mut tone = ToneGenerator::new(441, 9000);
        parts.chunks_mut(160).for_each(|frame| tone.fill(frame, 8_000));
        assert_eq!(whole, parts);
    }

    #[test]
    fn extremes_do_not_overflow() {
        for (hz, level) in [(0, i16::MAX), (u32::MAX, i16::MIN), (7999, i16::MIN), (2000, i16::MIN)] {
            ToneGenerator::new(hz, level).fill(&mut [0; 500], 8_000);
        }
    }
}
