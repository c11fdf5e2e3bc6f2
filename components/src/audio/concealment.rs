//! What to play for a frame that did not arrive.

use crate::audio::{EncodedFrame, FRAME_SAMPLES, G711};
use crate::record::Record;

/// Frames that are repeated, each at half the level of the one before; then there is silence.
const REPEATS_MAX: u8 = 3;

/// Repeats the last frame that was heard, softer each time.
///
/// Nothing is held until the first frame.
#[derive(Record, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Concealer {
    last: Option<Box<EncodedFrame>>,
    repeats: u8,
}

impl Concealer {
    /// Remembers a frame that was heard.
    pub fn heard(&mut self, payload: &EncodedFrame) {
        self.repeats = 0;
        match &mut self.last {
            Some(last) => last.copy_from_slice(payload),
            None => self.last = Some(Box::new(*payload)),
        }
    }

    /// Writes what to play instead of a missing frame.
    pub fn conceal(&mut self, law: G711, payload: &mut EncodedFrame) {
        match &self.last {
            Some(last) if self.repeats < REPEATS_MAX => {
                self.repeats += 1;
                let mut pcm = [0; FRAME_SAMPLES];
                law.decode(last.as_slice(), &mut pcm);
                pcm.iter_mut().for_each(|sample| *sample /= 1 << self.repeats);
                law.encode(&pcm, payload);
            }
            _ => payload.fill(law.silence()),
        }
    }

    /// Forgets what was heard, as at the start of another source; gives the memory back.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_fades_into_silence_and_recovers() {
        for law in [G711::Pcmu, G711::Pcma] {
            let mut concealer = Concealer::default();
            let mut loud = [0; FRAME_SAMPLES];
            law.encode(&[8000; FRAME_SAMPLES], &mut loud);
            let level = |concealer: &mut Concealer| {
                let (mut payload, mut pcm) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
                concealer.conceal(law, &mut payload);
                law.decode(&payload, &mut pcm);
                i32::from(pcm[0])
            };
            assert!(level(&mut concealer) <= 8);
            concealer.heard(&loud);
            for expected in [4000, 2000, 1000] {
                let heard = level(&mut concealer);
                assert!((heard - expected).abs() < expected / 20, "{heard} for {expected}");
            }
            assert!(level(&mut concealer) <= 8);
            concealer.heard(&loud);
            assert!(level(&mut concealer) > 3800);
        }
    }
}
