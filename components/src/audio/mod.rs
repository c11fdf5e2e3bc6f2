//! Sound as data: codecs, mixing, the jitter buffer, tones, telephone-events.
//!
//! Pure functions and small state machines on one value. Nothing here knows a clock, a socket or the world; the owner
//! of a state steps it once per media frame of 20 ms. All of it is integer arithmetic and bit-identical on every
//! machine.

pub mod codec;
pub mod concealment;
mod format;
#[cfg(test)]
mod goertzel;
pub mod jitter;
pub mod mix;
mod resample;
pub mod telephone_event;
pub mod tone;

pub use codec::{Codec, G711, StreamDecoder, StreamEncoder};
pub use concealment::Concealer;
pub use format::{AudioFormat, RtpClock};
pub use jitter::{JitterBuffer, JitterCounters, JitterLimits, PopOutcome, PushOutcome};
pub use resample::Resampler;
pub use tone::ToneGenerator;

/// Samples in one media frame of 20 ms of narrowband audio.
pub const FRAME_SAMPLES: usize = AudioFormat::NARROWBAND.frame_samples();

/// The most samples in a media frame, at any rate.
pub const FRAME_SAMPLES_MAX: usize = AudioFormat::mono(48_000).frame_samples();

/// The most octets that a codec has for a media frame.
pub const FRAME_OCTETS_MAX: usize = 2 * FRAME_SAMPLES_MAX;

/// One media frame of narrowband samples.
pub type Frame = [i16; FRAME_SAMPLES];

/// One media frame as G.711 carries it: a byte a sample.
pub type EncodedFrame = [u8; FRAME_SAMPLES];
