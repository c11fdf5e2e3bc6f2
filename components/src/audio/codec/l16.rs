//! L16: samples as they are, in network byte order (RFC 3551 section 4.5.11).

use super::{Decoder, Encoder};

/// Encodes and decodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct L16;

impl Encoder for L16 {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) {
        for (octets, sample) in payload.chunks_exact_mut(2).zip(pcm) {
            octets.copy_from_slice(&sample.to_be_bytes());
        }
    }
}

impl Decoder for L16 {
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) {
        for (sample, octets) in pcm.iter_mut().zip(payload.chunks_exact(2)) {
            if let &[high, low] = octets {
                *sample = i16::from_be_bytes([high, low]);
            }
        }
    }
}
