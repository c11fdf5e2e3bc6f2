//! Mixing: each participant hears the exact sum of all the others.
//!
//! One sum of 32 bits per room; a participant's own contribution is subtracted exactly as it was added, and the result
//! is clipped once, on its way out. The cost is linear in the participants and nothing depends on their order.
//!
//! [`mix_room`] does it for a whole room of G.711 at once, so the choice of instruction set is made once a room:
//!
//! ```
//! use ringworld_components::audio::mix::{EMPTY, Speaker, encode_sum, mix_room};
//! use ringworld_components::audio::{FRAME_SAMPLES, G711};
//!
//! let loud = Speaker { speaks: G711::Pcmu, hears: G711::Pcmu, payload: [0x9f; FRAME_SAMPLES] };
//! let quiet = Speaker { speaks: G711::Pcma, hears: G711::Pcma, payload: [G711::Pcma.silence(); FRAME_SAMPLES] };
//! let (mut sum, mut speakers) = (EMPTY, [loud, quiet]);
//! mix_room(&mut sum, &mut speakers);
//! // Each payload is now what that speaker hears, and a participant that only listens hears the sum.
//! let mut listeners = [0; FRAME_SAMPLES];
//! encode_sum(&sum, G711::Pcmu, &mut listeners);
//! assert_eq!(listeners, [0x9f; FRAME_SAMPLES]);
//! ```

use super::codec::g711::{Companding, Pcma, Pcmu};
use super::{EncodedFrame, FRAME_SAMPLES, G711};
use multiversion::multiversion;

/// The sum of a narrowband room's contributions to one frame.
pub type Sum = [i32; FRAME_SAMPLES];

/// The sum without a contribution.
pub const EMPTY: Sum = [0; FRAME_SAMPLES];

/// A participant that contributes G.711 to a room and hears the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// The law of what it sends.
    pub speaks: G711,
    /// The law of what it is sent.
    pub hears: G711,
    /// What it said; after [`mix_minus_own`], what it hears.
    pub payload: EncodedFrame,
}

/// Mixes one frame of a room: adds all `speakers` to `sum` and replaces each payload with what that speaker hears.
///
/// `sum` may already hold linear contributions, as of players. Up to 65,536 contributions are summed exactly.
pub fn mix_room(sum: &mut Sum, speakers: &mut [Speaker]) {
    add_speakers(sum, speakers);
    mix_minus_own(sum, speakers);
}

/// Adds what the speakers said.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub fn add_speakers(sum: &mut Sum, speakers: &[Speaker]) {
    for speaker in speakers {
        match speaker.speaks {
            G711::Pcmu => add_expanded::<Pcmu>(sum, &speaker.payload),
            G711::Pcma => add_expanded::<Pcma>(sum, &speaker.payload),
        }
    }
}

/// Replaces what each speaker said with what it hears: the sum without its own part, clipped, in the law that it hears.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub fn mix_minus_own(sum: &Sum, speakers: &mut [Speaker]) {
    for speaker in speakers {
        match (speaker.speaks, speaker.hears) {
            (G711::Pcmu, G711::Pcmu) => minus_compressed::<Pcmu, Pcmu>(sum, &mut speaker.payload),
            (G711::Pcmu, G711::Pcma) => minus_compressed::<Pcmu, Pcma>(sum, &mut speaker.payload),
            (G711::Pcma, G711::Pcmu) => minus_compressed::<Pcma, Pcmu>(sum, &mut speaker.payload),
            (G711::Pcma, G711::Pcma) => minus_compressed::<Pcma, Pcma>(sum, &mut speaker.payload),
        }
    }
}

/// Encodes the whole sum, for all listeners of that law that do not speak.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub fn encode_sum(sum: &Sum, law: G711, payload: &mut EncodedFrame) {
    match law {
        G711::Pcmu => compress_sum::<Pcmu>(sum, payload),
        G711::Pcma => compress_sum::<Pcma>(sum, payload),
    }
}

/// Adds one linear contribution.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub fn add(sum: &mut [i32], pcm: &[i16]) {
    for (total, sample) in sum.iter_mut().zip(pcm) {
        *total = total.wrapping_add(i32::from(*sample));
    }
}

/// The sum without a participant's own linear contribution, clipped.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub fn minus_clip(sum: &[i32], own: &[i16], out: &mut [i16]) {
    for ((out, total), own) in out.iter_mut().zip(sum).zip(own) {
        *out = clip_sample(total.wrapping_sub(i32::from(*own)));
    }
}

/// The sum, clipped.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub fn clip(sum: &[i32], out: &mut [i16]) {
    for (out, total) in out.iter_mut().zip(sum) {
        *out = clip_sample(*total);
    }
}

#[inline(always)]
fn clip_sample(sample: i32) -> i16 {
    sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

#[inline(always)]
fn add_expanded<C: Companding>(sum: &mut Sum, payload: &EncodedFrame) {
    for (total, code) in sum.iter_mut().zip(payload) {
        *total = total.wrapping_add(C::expand(*code));
    }
}

#[inline(always)]
fn minus_compressed<Own: Companding, Heard: Companding>(sum: &Sum, payload: &mut EncodedFrame) {
    for (code, total) in payload.iter_mut().zip(sum) {
        *code = Heard::compress(total.wrapping_sub(Own::expand(*code)));
    }
}

#[inline(always)]
fn compress_sum<C: Companding>(sum: &Sum, payload: &mut EncodedFrame) {
    for (code, total) in payload.iter_mut().zip(sum) {
        *code = C::compress(*total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Frame;
    use proptest::prelude::*;

    fn law(pcmu: bool) -> G711 {
        if pcmu { G711::Pcmu } else { G711::Pcma }
    }

    fn speakers() -> impl Strategy<Value = Vec<Speaker>> {
        let one = (any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), FRAME_SAMPLES)).prop_map(
            |(speaks, hears, bytes)| Speaker {
                speaks: law(speaks),
                hears: law(hears),
                payload: bytes.try_into().unwrap(),
            },
        );
        prop::collection::vec(one, 0..12)
    }

    fn linear(speaker: &Speaker) -> Frame {
        let mut pcm = [0; FRAME_SAMPLES];
        speaker.speaks.decode(&speaker.payload, &mut pcm);
        pcm
    }

    /// What the listener in law `hears` should be sent: the clipped sum of `frames`, one addition after the other.
    fn naive(frames: &[Frame], hears: G711) -> EncodedFrame {
        let clipped: Frame = std::array::from_fn(|i| {
            let total: i64 = frames.iter().map(|frame| i64::from(frame[i])).sum();
            total.clamp(-32768, 32767) as i16
        });
        let mut payload = [0; FRAME_SAMPLES];
        hears.encode(&clipped, &mut payload);
        payload
    }

    proptest! {
        #[test]
        fn each_hears_the_clipped_sum_of_all_others(said in speakers(), tone: i16) {
            let tone: Frame = std::array::from_fn(|i| if i % 2 == 0 { tone } else { i as i16 });
            let mut sum = EMPTY;
            sum.iter_mut().zip(&tone).for_each(|(total, sample)| *total += i32::from(*sample));
            let mut heard = said.clone();
            mix_room(&mut sum, &mut heard);

            let frames: Vec<Frame> = said.iter().map(linear).collect();
            for (index, speaker) in heard.iter().enumerate() {
                let mut others = frames.clone();
                others.remove(index);
                others.push(tone);
                prop_assert_eq!(speaker.payload, naive(&others, speaker.hears), "speaker {}", index);
            }
            for hears in [G711::Pcmu, G711::Pcma] {
                let mut shared = [0; FRAME_SAMPLES];
                encode_sum(&sum, hears, &mut shared);
                let all: Vec<Frame> = frames.iter().copied().chain([tone]).collect();
                prop_assert_eq!(shared, naive(&all, hears));
            }
        }

        #[test]
        fn the_order_of_speakers_changes_nothing(said in speakers()) {
            let (mut forward, mut backward) = (said.clone(), said);
            backward.reverse();
            mix_room(&mut EMPTY.clone(), &mut forward);
            mix_room(&mut EMPTY.clone(), &mut backward);
            backward.reverse();
            prop_assert_eq!(forward, backward);
        }
    }

    #[test]
    fn the_largest_room_does_not_overflow() {
        let loudest = [i16::MIN; FRAME_SAMPLES];
        let mut payload = [0; FRAME_SAMPLES];
        for law in [G711::Pcmu, G711::Pcma] {
            law.encode(&loudest, &mut payload);
            let speaker = Speaker { speaks: law, hears: law, payload };
            let mut sum = EMPTY;
            for _ in 0..1 << 16 {
                add_speakers(&mut sum, &[speaker]);
            }
            assert_eq!(sum, [i32::from(linear(&speaker)[0]) << 16; FRAME_SAMPLES]);
            let mut heard = [speaker];
            mix_minus_own(&sum, &mut heard);
            assert_eq!(heard, [speaker], "the others are as loud as can be");
        }
    }
}
