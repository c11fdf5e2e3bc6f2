//! What a caller heard: the last seconds of its stream, and whether they are what they should be.
//!
//! A listener keeps three seconds. The verdict looks at one second at a time, newest first, and is good as soon as one
//! second is exactly right: every expected tone within -6 and +3.5 dB of the level it was sent with, no own tone in a
//! room (-12 dB at most), and at most a fifth of the energy anywhere else. Frequencies are whole numbers, so over one
//! unbroken second even the 500 members of one room are orthogonal; no talker has to pause to be distinguished.

use crate::ua::g711::G711;
use crate::ua::tone::{SAMPLE_RATE_HZ, amplitudes, mean_square};

const SECONDS: usize = 3;
const CAPACITY: usize = SECONDS * SAMPLE_RATE_HZ;

/// The last three seconds of what arrived, encoded, placed by RTP timestamp.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    ring: Box<[u8]>,
    /// Where the next sample in order goes, counted from the start (not wrapped).
    end: usize,
    /// The timestamp of that sample; `None` before the first packet.
    next_timestamp: Option<u32>,
    pub law: G711,
}

impl Recorder {
    pub fn new(law: G711) -> Recorder {
        Recorder { ring: vec![law.silence(); CAPACITY].into(), end: 0, next_timestamp: None, law }
    }

    /// Places a payload. A gap becomes silence; a jump of more than a second starts anew.
    pub fn place(&mut self, timestamp: u32, payload: &[u8]) {
        let ahead = self.next_timestamp.map_or(0, |next| timestamp.wrapping_sub(next) as i32);
        if ahead.unsigned_abs() as usize > SAMPLE_RATE_HZ {
            self.end = 0;
            self.next_timestamp = None;
            return self.place(timestamp, payload);
        }
        let payload = payload.get(..payload.len().min(CAPACITY)).unwrap_or_default();
        if ahead < 0 {
            let behind = ahead.unsigned_abs() as usize;
            let Some(start) = self.end.checked_sub(behind) else { return };
            return self.write(start, payload.get(..behind).unwrap_or(payload));
        }
        for missing in self.end..self.end + ahead as usize {
            self.write(missing, &[self.law.silence()]);
        }
        self.end += ahead as usize;
        self.write(self.end, payload);
        self.end += payload.len();
        self.next_timestamp = Some(timestamp.wrapping_add(payload.len() as u32));
    }

    /// Writes bytes at a place counted from the start, round the end of the ring if need be.
    fn write(&mut self, start: usize, bytes: &[u8]) {
        let (before, after) = self.ring.split_at_mut(start % CAPACITY);
        let (first, wrapped) = bytes.split_at(bytes.len().min(after.len()));
        for (place, part) in [(after, first), (before, wrapped)] {
            if let Some(place) = place.get_mut(..part.len()) {
                place.copy_from_slice(part);
            }
        }
    }

    /// Compares the last seconds with one tone at whatever level it may have.
    pub fn differs_from_tone(&self, hz: u16) -> Difference {
        let strongest = self.second(0).and_then(|samples| amplitudes(&samples, &[hz]).first().copied());
        let amplitude = strongest.map_or(0, |amplitude| amplitude as i16);
        let audible = amplitude > 300;
        let tones = [Sent { hz, amplitude: if audible { amplitude } else { 1_000 } }];
        compare(self, Expected { tones: &tones, absent: None })
    }

    /// The `age`-th last second, decoded; `None` when not that much was heard.
    fn second(&self, age: usize) -> Option<Vec<i16>> {
        let start = self.end.checked_sub((age + 1) * SAMPLE_RATE_HZ)?;
        let byte = |n: usize| self.ring.get((start + n) % CAPACITY).map(|&byte| self.law.decode(byte));
        (0..SAMPLE_RATE_HZ).map(byte).collect()
    }
}

/// One tone and the amplitude it was sent with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    pub hz: u16,
    pub amplitude: i16,
}

/// What one second should contain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub tones: &'a [Sent],
    /// A tone that must not be heard: the caller's own, in a room.
    pub absent: Option<Sent>,
}

/// How a second differs from what it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// Less than one second arrived.
    pub too_short: bool,
    /// Expected tones that are missing or at the wrong level.
    pub missing: usize,
    pub heard_itself: bool,
    /// Energy that no expected tone explains, in percent of the expected.
    pub foreign_percent: u32,
}

impl Difference {
    pub fn is_none(&self) -> bool {
        !self.too_short && self.missing == 0 && !self.heard_itself && self.foreign_percent <= 20
    }
}

/// Compares the last seconds with what they should be; the best one counts.
pub(crate) fn compare(recorder: &Recorder, expected: Expected<'_>) -> Difference {
    let mut newest = None;
    for age in 0..SECONDS {
        let Some(samples) = recorder.second(age) else { break };
        let difference = compare_second(&samples, expected);
        if difference.is_none() {
            return difference;
        }
        newest.get_or_insert(difference);
    }
    newest.unwrap_or(Difference { too_short: true, ..Difference::default() })
}

pub(crate) fn compare_second(samples: &[i16], expected: Expected<'_>) -> Difference {
    let mut frequencies: Vec<u16> = expected.tones.iter().map(|tone| tone.hz).collect();
    frequencies.extend(expected.absent.map(|tone| tone.hz));
    let found = amplitudes(samples, &frequencies);
    let mut difference = Difference::default();
    let (mut explained, mut wanted) = (0.0, 0.0);
    for (tone, &amplitude) in expected.tones.iter().zip(&found) {
        let sent = f64::from(tone.amplitude);
        if !(0.5 * sent..=1.5 * sent).contains(&amplitude) {
            difference.missing += 1;
        }
        explained += amplitude * amplitude / 2.0;
        wanted += sent * sent / 2.0;
    }
    if let (Some(own), Some(&amplitude)) = (expected.absent, found.get(expected.tones.len())) {
        difference.heard_itself = amplitude > 0.25 * f64::from(own.amplitude);
    }
    // Where silence is expected, a level of -60 dB below full scale is still silence.
    let scale = f64::max(wanted, 5.0 * 32.0 * 32.0);
    difference.foreign_percent = ((mean_square(samples) - explained).max(0.0) / scale * 100.0) as u32;
    difference
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tone::{amplitude_of, frequency_of};
    use crate::ua::tone::{LOOP_FRAMES, Tones};

    fn room(size: usize) -> Vec<Sent> {
        (0..size)
            .filter_map(|member| Some(Sent { hz: frequency_of(3, member, size)?, amplitude: amplitude_of(size) }))
            .collect()
    }

    /// What `listener` would hear in a mix of `heard`, each tone encoded, decoded, summed, clipped and encoded again.
    fn mix(heard: impl Iterator<Item = Sent>, law: G711) -> Vec<i16> {
        let mut sum = vec![0i32; SAMPLE_RATE_HZ];
        let mut tones = Tones::new();
        for (n, sent) in heard.enumerate() {
            let tone = tones.tone(sent.hz, sent.amplitude, G711::Pcmu);
            let bytes: Vec<u8> = (0..LOOP_FRAMES).flat_map(|frame| tone.frame(frame).to_vec()).collect();
            for (t, total) in sum.iter_mut().enumerate() {
                *total += i32::from(G711::Pcmu.decode(bytes[(t + n * 977) % SAMPLE_RATE_HZ]));
            }
        }
        sum.iter().map(|&s| law.decode(law.encode(s.clamp(-32_768, 32_767) as i16))).collect()
    }

    #[test]
    fn a_correct_mix_passes_and_each_defect_is_told() {
        for (size, law) in [(2, G711::Pcmu), (10, G711::Pcma), (10, G711::Pcmu), (500, G711::Pcmu)] {
            let members = room(size);
            let (own, others) = members.split_first().unwrap();
            let expected = Expected { tones: others, absent: Some(*own) };
            let check = |samples: Vec<i16>| compare_second(&samples, expected);

            let right = check(mix(others.iter().copied(), law));
            assert!(right.is_none(), "{size} {right:?}");
            let with_self = check(mix(members.iter().copied(), law));
            assert!(with_self.heard_itself, "{size} {with_self:?}");
            assert_eq!(check(mix(others[1..].iter().copied(), law)).missing, 1);
            assert_eq!(check(vec![0; SAMPLE_RATE_HZ]).missing, size - 1);
        }
    }

    #[test]
    fn a_stranger_in_the_room_is_noticed() {
        let members = room(10);
        let stranger = Sent { hz: frequency_of(4, 2, 10).unwrap(), amplitude: 3 * amplitude_of(10) };
        let samples = mix(members[1..].iter().copied().chain([stranger]), G711::Pcmu);
        let difference = compare_second(&samples, Expected { tones: &members[1..], absent: Some(members[0]) });
        assert!(difference.foreign_percent > 20, "{difference:?}");
    }

    #[test]
    fn silence_is_silence_in_either_law() {
        for law in [G711::Pcmu, G711::Pcma] {
            let samples = vec![law.decode(law.silence()); SAMPLE_RATE_HZ];
            assert!(compare_second(&samples, Expected { tones: &[], absent: None }).is_none());
        }
        let tone = mix(room(1).into_iter(), G711::Pcmu);
        assert!(!compare_second(&tone, Expected { tones: &[], absent: None }).is_none());
    }

    #[test]
    fn packets_are_placed_by_timestamp() {
        let tone = Tones::new().tone(441, 8_000, G711::Pcmu);
        let sent = [Sent { hz: 441, amplitude: 8_000 }];
        let expected = Expected { tones: &sent, absent: None };
        let mut recorder = Recorder::new(G711::Pcmu);
        let start = u32::MAX - 4_000;
        let stamp = |n: usize| start.wrapping_add(n as u32 * 160);
        for pair in 0..50 {
            // Every second packet arrives before its predecessor, over the wrap of the timestamp.
            recorder.place(stamp(2 * pair + 1), tone.frame(2 * pair + 1));
            recorder.place(stamp(2 * pair), tone.frame(2 * pair));
        }
        assert!(compare(&recorder, expected).is_none());
        recorder.place(stamp(1_000_000), tone.frame(0));
        assert!(compare(&recorder, expected).too_short);
    }
}
