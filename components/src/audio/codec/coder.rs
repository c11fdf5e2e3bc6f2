//! The objects that encode and decode the frames of one stream.

use super::{Codec, G711};
use crate::audio::{FRAME_SAMPLES_MAX, Resampler};
use std::fmt;

/// Frames that are repeated for those that are missing, each at half the level of the one before; then there is silence.
const REPEATS_MAX: u8 = 3;

/// Encodes what a stream sends, one frame after the other.
pub trait Encoder: fmt::Debug + Send + Sync {
    /// Encodes a frame, at the rate of the codec, into as many octets as the codec has for it.
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]);
}

/// Decodes what a stream receives, one frame after the other.
pub trait Decoder: fmt::Debug + Send + Sync {
    /// Decodes the octets of a frame into samples at the rate of the codec.
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]);
}

impl Encoder for G711 {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) {
        G711::encode(*self, pcm, payload);
    }
}

impl Decoder for G711 {
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) {
        G711::decode(*self, payload, pcm);
    }
}

/// The encoder of a stream, behind what takes frames to its rate.
#[derive(Debug)]
pub struct StreamEncoder {
    codec: Codec,
    encoder: Box<dyn Encoder>,
    resampler: Resampler,
}

impl StreamEncoder {
    /// A new one.
    pub fn new(codec: Codec) -> Self {
        Self { codec, encoder: codec.encoder(), resampler: Resampler::default() }
    }

    /// The one in `place`, made anew if it is of another codec.
    pub fn of(codec: Codec, place: &mut Option<Box<Self>>) -> &mut Self {
        let kept = place.take().filter(|kept| kept.codec == codec);
        place.insert(kept.unwrap_or_else(|| Box::new(Self::new(codec))))
    }

    /// The codec.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Encodes a frame of this rate.
    pub fn encode(&mut self, pcm: &[i16], rate_hz: u32, payload: &mut [u8]) {
        let own = self.codec.format();
        if own.rate_hz == rate_hz {
            return self.encoder.encode(pcm, payload);
        }
        let mut resampled = [0; FRAME_SAMPLES_MAX];
        let resampled = resampled.get_mut(..own.frame_samples()).unwrap_or_default();
        self.resampler.resample(pcm, rate_hz, resampled, own.rate_hz);
        self.encoder.encode(resampled, payload);
    }
}

/// The decoder of a stream, with what is heard in place of a missing frame, and behind it what takes frames to another
/// rate.
#[derive(Debug)]
pub struct StreamDecoder {
    codec: Codec,
    decoder: Box<dyn Decoder>,
    resampler: Resampler,
    last: Vec<i16>,
    repeats: u8,
}

impl StreamDecoder {
    /// The one in `place`, made anew if it is of another codec.
    pub fn of(codec: Codec, place: &mut Option<Box<Self>>) -> &mut Self {
        let make =
            || Self { codec, decoder: codec.decoder(), resampler: Resampler::default(), last: Vec::new(), repeats: 0 };
        let kept = place.take().filter(|kept| kept.codec == codec);
        place.insert(kept.unwrap_or_else(|| Box::new(make())))
    }

    /// Decodes a frame.
    pub fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) {
        self.decoder.decode(payload, pcm);
        self.last.clear();
        self.last.extend_from_slice(pcm);
        self.repeats = 0;
    }

    /// Writes what to hear instead of a missing frame: the last one, softer each time.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        pcm.fill(0);
        if self.repeats < REPEATS_MAX {
            self.repeats += 1;
            pcm.iter_mut().zip(&self.last).for_each(|(sample, last)| *sample = last / (1 << self.repeats));
        }
    }

    /// Takes a decoded frame to another rate.
    pub fn resample(&mut self, pcm: &[i16], out: &mut [i16], rate_hz: u32) {
        self.resampler.resample(pcm, self.codec.format().rate_hz, out, rate_hz);
    }

    /// Nothing comes for now: what comes next does not follow what was before.
    pub fn pause(&mut self) {
        self.resampler.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_fades_into_silence_and_recovers() {
        let mut place = None;
        let decoder = StreamDecoder::of(Codec::L16Wideband, &mut place);
        let (mut pcm, loud) = ([1; 320], [0x1f, 0x40].repeat(320));
        decoder.conceal(&mut pcm);
        assert_eq!(pcm, [0; 320], "nothing was heard yet");
        for _ in 0..2 {
            decoder.decode(&loud, &mut pcm);
            assert_eq!(pcm, [8_000; 320]);
            for level in [4_000, 2_000, 1_000, 0] {
                decoder.conceal(&mut pcm);
                assert_eq!(pcm, [level; 320]);
            }
        }
    }

    #[test]
    fn an_object_is_kept_until_the_codec_changes() {
        let mut place = None;
        let mut pcm = [0; 320];
        StreamDecoder::of(Codec::L16Wideband, &mut place).decode(&[0x10, 0].repeat(320), &mut pcm);
        StreamDecoder::of(Codec::L16Wideband, &mut place).conceal(&mut pcm);
        assert_eq!(pcm[0], 2_048);
        StreamDecoder::of(Codec::Pcmu, &mut place).conceal(&mut pcm);
        assert_eq!(pcm[0], 0);
    }
}
