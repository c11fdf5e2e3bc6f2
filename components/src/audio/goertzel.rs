//! Finds tones in audio, for the tests of this module. The one place in `audio` with floating point.

/// The power of the component at `hz`: 1 for a sine whose peak is full scale, 0.25 for one of half the amplitude.
///
/// The samples are windowed (Hann), so a neighbour two or more bins away (a bin is `rate_hz` / `pcm.len()`) hardly
/// counts.
pub fn power_at(pcm: &[i16], hz: f64, rate_hz: u32) -> f64 {
    let turn = std::f64::consts::TAU / pcm.len().max(1) as f64;
    let coefficient = 2.0 * (std::f64::consts::TAU * hz / f64::from(rate_hz)).cos();
    let (mut last, mut before, mut weight) = (0.0, 0.0, 0.0);
    for (index, sample) in pcm.iter().enumerate() {
        let window = 0.5 - 0.5 * (turn * index as f64).cos();
        let state = window * f64::from(*sample) / 32768.0 + coefficient * last - before;
        (last, before) = (state, last);
        weight += window;
    }
    let square = last * last + before * before - coefficient * last * before;
    if weight > 0.0 { 4.0 * square / (weight * weight) } else { 0.0 }
}

/// How much of all the energy is at `hz`: 1 for a pure tone, 0 for silence, a ninth for one of nine equal tones.
pub fn share_at(pcm: &[i16], hz: f64, rate_hz: u32) -> f64 {
    let turn = std::f64::consts::TAU / pcm.len().max(1) as f64;
    let (mut energy, mut weight) = (0.0, 0.0);
    for (index, sample) in pcm.iter().enumerate() {
        let window = 0.5 - 0.5 * (turn * index as f64).cos();
        let value = window * f64::from(*sample) / 32768.0;
        energy += value * value;
        weight += window * window;
    }
    // A sine's mean square is half of its squared peak, on which scale `power_at` is.
    let total = 2.0 * energy / weight;
    if total > 0.0 { power_at(pcm, hz, rate_hz) / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{G711, ToneGenerator};

    #[test]
    fn nine_tones_through_g711_are_told_apart_and_the_tenth_is_missed() {
        let tones: Vec<u32> = (0..10).map(|n| 300 + 37 * n).collect();
        let mut mixed = vec![0i16; 8000];
        for hz in &tones[..9] {
            let mut pcm = vec![0; mixed.len()];
            ToneGenerator::new(*hz, 3000).fill(&mut pcm, 8_000);
            mixed.iter_mut().zip(pcm).for_each(|(sum, sample)| *sum += sample);
        }
        let mut payload = vec![0; mixed.len()];
        G711::Pcma.encode(&mixed, &mut payload);
        G711::Pcma.decode(&payload, &mut mixed);
        for hz in &tones[..9] {
            assert!(share_at(&mixed, f64::from(*hz), 8_000) >= 0.05, "{hz}");
        }
        assert!(share_at(&mixed, f64::from(tones[9]), 8_000) < 0.001);
    }

    #[test]
    fn silence_and_nothing_hold_no_tone() {
        for pcm in [&[0i16; 800][..], &[]] {
            assert_eq!((power_at(pcm, 440.0, 8_000), share_at(pcm, 440.0, 8_000)), (0.0, 0.0));
        }
    }
}
