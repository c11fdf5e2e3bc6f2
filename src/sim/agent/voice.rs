//! Voices that can be distinguished in any mix, sample by sample.
//!
//! A frame of 160 samples has ten slots. A speaker is heard in one slot alone, as a pattern of signs: sixteen bits that
//! name the speaker and the frame. Others of the room use other slots, so their sum is read exactly, and
//! what is played softer in place of a lost frame still reads the same. Two voices in one slot are seen as such.

use crate::ua::Codec;

/// Slots of a frame: the most voices that a room can have.
pub(crate) const SLOTS: u32 = 10;
/// Samples of a frame of 20 ms.
pub(crate) const FRAME: usize = 160;
/// Frames until the count in a voice begins again: 5.12 s.
pub(crate) const FRAMES: u64 = 256;
/// How loud a voice is.
const LEVEL: i16 = 6_000;
/// What is softer is silence.
const AUDIBLE: i16 = 350;

/// The identity of a speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Voice {
    /// The slot.
    pub slot: u32,
    /// The speaker.
    pub id: u8,
}

/// What was in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    /// A voice, and the number of the frame (modulo [`FRAMES`]) in which it was sent.
    Voice(Voice, u8),
    /// More than one voice, or none of ours.
    Noise { slot: u32 },
}

/// The payload that carries a voice in this frame.
pub(crate) fn speak(voice: Voice, frame: u64, codec: Codec) -> Vec<u8> {
    let bits = u16::from(voice.id) << 8 | (frame % FRAMES) as u16;
    let mut samples = [0; FRAME];
    let start = voice.slot as usize * 16;
    for (n, place) in samples.iter_mut().skip(start).take(16).enumerate() {
        let sign = if bits >> n & 1 == 1 { 1 } else { -1 };
        *place = sign * LEVEL;
    }
    codec.encode(&samples)
}

/// What is heard in a payload.
pub(crate) fn listen(payload: &[u8], codec: Codec) -> Vec<Sound> {
    let mut heard = Vec::new();
    for (slot, samples) in (0..).zip(codec.decode(payload).chunks_exact(16)) {
        let loudest = samples.iter().map(|sample| sample.saturating_abs()).max().unwrap_or(0);
        if loudest < AUDIBLE {
            continue;
        }
        if samples.iter().any(|sample| sample.saturating_abs() < loudest / 4 * 3) {
            heard.push(Sound::Noise { slot });
            continue;
        }
        let bits = samples.iter().enumerate().fold(0u16, |bits, (n, &sample)| bits | u16::from(sample > 0) << n);
        heard.push(Sound::Voice(Voice { slot, id: (bits >> 8) as u8 }, bits as u8));
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(payloads: &[Vec<u8>], codec: Codec) -> Vec<u8> {
        let linear: Vec<Vec<i16>> = payloads.iter().map(|payload| codec.decode(payload)).collect();
        let sum = |n: usize| linear.iter().map(|pcm| pcm[n]).fold(0, i16::saturating_add);
        codec.encode(&(0..FRAME).map(sum).collect::<Vec<i16>>())
    }

    #[test]
    fn every_voice_of_a_mix_is_told() {
        for codec in Codec::ALL {
            let voices: Vec<Voice> = (0..SLOTS).map(|slot| Voice { slot, id: 20 * slot as u8 + 3 }).collect();
            let payloads: Vec<_> =
                voices.iter().map(|&voice| speak(voice, 300 + u64::from(voice.slot), codec)).collect();
            let expected: Vec<Sound> = voices.iter().map(|&voice| Sound::Voice(voice, 44 + voice.slot as u8)).collect();
            assert_eq!(listen(&mixed(&payloads, codec), codec), expected);
        }
    }

    #[test]
    fn two_voices_in_a_slot_are_noise_and_a_softer_one_is_the_same() {
        for codec in Codec::ALL {
            let speaks = |id| speak(Voice { slot: 4, id }, 7, codec);
            assert_eq!(listen(&mixed(&[speaks(1), speaks(2)], codec), codec), [Sound::Noise { slot: 4 }]);
            let softer: Vec<i16> = codec.decode(&speaks(9)).iter().map(|sample| sample / 8).collect();
            assert_eq!(listen(&codec.encode(&softer), codec), [Sound::Voice(Voice { slot: 4, id: 9 }, 7)]);
            assert!(listen(&codec.encode(&[0; FRAME]), codec).is_empty());
        }
    }
}
