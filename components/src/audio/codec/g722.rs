//! G.722: two bands of ADPCM, 64 kbit/s (RFC 3551 section 4.5.2). Its state is that of a library, and can't be recorded.

use super::{Decoder, Encoder};
use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};
use std::fmt;

/// Encodes.
#[derive(Default)]
pub(super) struct G722Sender(G722Encoder);

/// Decodes.
#[derive(Default)]
pub(super) struct G722Receiver(G722Decoder);

impl Encoder for G722Sender {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) {
        // A frame has two samples for each octet: it always fits.
        let _ = self.0.encode_into(pcm, payload);
    }
}

impl Decoder for G722Receiver {
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) {
        let _ = self.0.decode_into(payload, pcm);
    }
}

impl fmt::Debug for G722Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("G722Sender")
    }
}

impl fmt::Debug for G722Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("G722Receiver")
    }
}
