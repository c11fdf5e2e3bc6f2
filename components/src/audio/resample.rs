//! Between rates, in integers: the same samples on every machine.
//!
//! One low-pass filter serves all ratios: 6 dB down at 0.475 of the lower rate, flat up to 0.42 and 70 dB down from 0.55
//! on. It is cut into as many phases as the ratio has. It delays by 16 samples of the lower rate.

use super::FRAME_SAMPLES_MAX;
use multiversion::multiversion;

/// Samples of the lower rate that a filter spans.
const SPAN: usize = 32;

/// The largest ratio of two rates.
const RATIO_MAX: usize = 6;

/// Samples before a frame that are remembered at most.
const HISTORY_MAX: usize = SPAN * RATIO_MAX;

/// One half of the filter at six times the lower rate, from its middle on: a sinc with a Kaiser window, in 1/2^20.
const HALF: [i32; SPAN / 2 * RATIO_MAX] = [
    996_147, 955_264, 838_686, 663_547, 455_006, 241_855, 51_607, -93_992, -182_204, -210_747, -187_253, -126_964,
    -49_210, 26_570, 84_452, 114_621, 114_503, 88_339, 45_434, -2_452, -43_918, -70_365, -77_552, -66_050, -40_580,
    -8_510, 22_086, 44_331, 53_979, 50_113, 35_017, 13_332, -9_253, -27_411, -37_373, -37_648, -29_142, -14_710, 1_696,
    16_059, 25_240, 27_620, 23_332, 14_053, 2_456, -8_515, -16_366, -19_588, -17_914, -12_254, -4_352, 3_705, 10_018,
    13_305, 13_133, 9_931, 4_789, -868, -5_660, -8_569, -9_139, -7_521, -4_360, -587, 2_840, 5_165, 5_987, 5_314,
    3_503, 1_133, -1_164, -2_861, -3_648, -3_475, -2_526, -1_142, 286, 1_415, 2_029, 2_071, 1_628, 888, 80, -593, -998,
    -1_091, -913, -561, -158, 188, 407, 475, 414, 272, 107, -32,
];

/// The filter at `ratio` times the lower rate.
const fn tap(ratio: usize, index: usize) -> i32 {
    let from_middle = (index as i32 - (SPAN / 2 * ratio) as i32).unsigned_abs() as usize * (RATIO_MAX / ratio);
    if from_middle < HALF.len() { HALF[from_middle] } else { 0 }
}

/// The taps of each sample that is put in for one of the lower rate, in 1/2^14.
const fn phases<const RATIO: usize>() -> [[i16; SPAN]; RATIO] {
    let mut phases = [[0; SPAN]; RATIO];
    let mut phase = 0;
    while phase < RATIO {
        let mut index = 0;
        while index < SPAN {
            phases[phase][index] = ((tap(RATIO, phase + (SPAN - 1 - index) * RATIO) + 32) >> 6) as i16;
            index += 1;
        }
        phase += 1;
    }
    phases
}

/// The taps for one sample of the lower rate, in 1/2^14.
const fn taps<const RATIO: usize, const TAPS: usize>() -> [i16; TAPS] {
    let mut taps = [0; TAPS];
    let mut index = 0;
    while index < TAPS {
        let scale = 64 * RATIO as i32;
        taps[index] = (tap(RATIO, TAPS - 1 - index) + scale / 2).div_euclid(scale) as i16;
        index += 1;
    }
    taps
}

const UP_2: [[i16; SPAN]; 2] = phases();
const UP_3: [[i16; SPAN]; 3] = phases();
const UP_6: [[i16; SPAN]; 6] = phases();
const DOWN_2: [i16; SPAN * 2] = taps::<2, { SPAN * 2 }>();
const DOWN_3: [i16; SPAN * 3] = taps::<3, { SPAN * 3 }>();
const DOWN_6: [i16; SPAN * 6] = taps::<6, { SPAN * 6 }>();

/// Takes the frames of a stream from one rate to another.
///
/// ```
/// use ringworld_components::audio::Resampler;
///
/// let mut resampler = Resampler::default();
/// let mut out = [0; 480];
/// resampler.resample(&[1_000; 160], 8_000, &mut out, 24_000);
/// assert!((999..=1_001).contains(&out[400]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Resampler {
    /// The rates that the history belongs to.
    rates_hz: (u32, u32),
    history: Vec<i16>,
}

impl Resampler {
    /// Takes a frame of one rate to another. The ratio of the two is 1, 2, 3 or 6; with any other there is silence.
    pub fn resample(&mut self, pcm: &[i16], from_hz: u32, out: &mut [i16], to_hz: u32) {
        if self.rates_hz != (from_hz, to_hz) {
            *self = Self { rates_hz: (from_hz, to_hz), history: Vec::new() };
        }
        let ratio = |high: u32, low: u32| if high.is_multiple_of(low.max(1)) { high / low.max(1) } else { 0 };
        match (ratio(to_hz, from_hz), ratio(from_hz, to_hz)) {
            (1, _) => out.iter_mut().zip(pcm).for_each(|(out, sample)| *out = *sample),
            (2, _) => self.filter(SPAN, pcm, |samples| up(samples, &UP_2, out)),
            (3, _) => self.filter(SPAN, pcm, |samples| up(samples, &UP_3, out)),
            (6, _) => self.filter(SPAN, pcm, |samples| up(samples, &UP_6, out)),
            (_, 2) => self.filter(DOWN_2.len(), pcm, |samples| down(samples, &DOWN_2, 2, out)),
            (_, 3) => self.filter(DOWN_3.len(), pcm, |samples| down(samples, &DOWN_3, 3, out)),
            (_, 6) => self.filter(DOWN_6.len(), pcm, |samples| down(samples, &DOWN_6, 6, out)),
            _ => out.fill(0),
        }
    }

    /// Forgets what was before, as after a pause.
    pub fn reset(&mut self) {
        self.history.clear();
    }

    /// Calls `filter` with the frame behind the `taps - 1` samples before it.
    fn filter(&mut self, taps: usize, pcm: &[i16], filter: impl FnOnce(&[i16])) {
        let before = taps - 1;
        self.history.resize(before, 0);
        let mut samples = [0i16; HISTORY_MAX + FRAME_SAMPLES_MAX];
        let pcm = pcm.get(..pcm.len().min(FRAME_SAMPLES_MAX)).unwrap_or_default();
        let Some(samples) = samples.get_mut(..before + pcm.len()) else { return };
        let (past, present) = samples.split_at_mut(before);
        past.copy_from_slice(&self.history);
        present.copy_from_slice(pcm);
        filter(samples);
        if let Some(last) = samples.get(pcm.len()..) {
            self.history.copy_from_slice(last);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn up(samples: &[i16], phases: &[[i16; SPAN]], out: &mut [i16]) {
    for (out, samples) in out.chunks_exact_mut(phases.len()).zip(samples.windows(SPAN)) {
        for (out, taps) in out.iter_mut().zip(phases) {
            *out = weigh(samples, taps);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn down(samples: &[i16], taps: &[i16], ratio: usize, out: &mut [i16]) {
    for (out, samples) in out.iter_mut().zip(samples.windows(taps.len()).skip(ratio - 1).step_by(ratio)) {
        *out = weigh(samples, taps);
    }
}

/// The taps of a filter have magnitudes of less than four in all, so that 32 bits hold the sum.
#[inline(always)]
fn weigh(samples: &[i16], taps: &[i16]) -> i16 {
    let sum: i32 = samples.iter().zip(taps).map(|(sample, tap)| i32::from(*sample) * i32::from(*tap)).sum();
    ((sum + (1 << 13)) >> 14).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ToneGenerator;
    use crate::audio::goertzel::{power_at, share_at};

    const RATES_HZ: [u32; 3] = [8_000, 16_000, 48_000];

    /// A second of a tone, taken from one rate to another frame by frame, without the first 20 ms.
    fn taken(hz: u32, from_hz: u32, to_hz: u32) -> Vec<i16> {
        let (mut tone, mut resampler) = (ToneGenerator::new(hz, 10_000), Resampler::default());
        let (mut pcm, mut out) = (vec![0; from_hz as usize / 50], vec![0; to_hz as usize / 50]);
        let mut all = Vec::new();
        for _ in 0..51 {
            tone.fill(&mut pcm, from_hz);
            resampler.resample(&pcm, from_hz, &mut out, to_hz);
            all.extend_from_slice(&out);
        }
        all.split_off(to_hz as usize / 50)
    }

    #[test]
    fn a_tone_that_both_rates_hold_keeps_its_level_and_nothing_is_added() {
        for (from, to) in RATES_HZ.iter().flat_map(|from| RATES_HZ.map(|to| (*from, to))) {
            let highest = from.min(to) / 100 * 42;
            for hz in [50, 440, 1_004, 2_000, highest] {
                let out = taken(hz, from, to);
                let level = 10.0 * (power_at(&out, f64::from(hz), to) / (10_000.0f64 / 32_768.0).powi(2)).log10();
                assert!(level.abs() < 0.3, "{hz} Hz from {from} to {to}: {level} dB");
                let share = share_at(&out, f64::from(hz), to);
                assert!(1.0 - share < 1e-5, "{hz} Hz from {from} to {to}: {share}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_can_not_hold_is_gone() {
        for (from, to) in [(16_000, 8_000), (48_000, 16_000), (48_000, 8_000)] {
            for hz in [to / 100 * 55, to / 100 * 70, from / 100 * 45] {
                let out = taken(hz, from, to);
                let loudest = out.iter().map(|sample| sample.unsigned_abs()).max();
                assert!(loudest < Some(10), "{hz} Hz from {from} to {to}: {loudest:?}");
            }
        }
    }

    #[test]
    fn no_filter_overflows_whatever_comes() {
        let all: Vec<&[i16]> = UP_2
            .iter()
            .chain(&UP_3)
            .chain(&UP_6)
            .map(|taps| &taps[..])
            .chain([&DOWN_2[..], &DOWN_3, &DOWN_6])
            .collect();
        for taps in all {
            let magnitude: i32 = taps.iter().map(|tap| i32::from(*tap).abs()).sum();
            assert!(magnitude < 4 << 14, "{magnitude}");
            let sum: i32 = taps.iter().map(|tap| i32::from(*tap)).sum();
            assert!((sum - (1 << 14)).abs() < 16, "{sum}");
        }
    }

    #[test]
    fn the_samples_are_the_same_on_every_machine() {
        let sums = [(8_000, 48_000), (48_000, 8_000), (16_000, 48_000), (8_000, 16_000)].map(|(from, to)| {
            taken(1_004, from, to).iter().fold(0u64, |sum, &sample| sum.wrapping_mul(31).wrapping_add(sample as u64))
        });
        let expected: [u64; 4] = [370552610633170130, 2477236048437611188, 3964248588175553698, 404450958931265563];
        assert_eq!(sums, expected);
    }
}
