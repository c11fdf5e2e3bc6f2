//! Sound as data: codecs, mixing, the jitter buffer, tones, telephone-events.
//!
//! Pure functions and small state machines on one value. Nothing here knows a clock, a socket or the world; the owner
//! of a state steps it once per media frame of 20 ms. All of it is integer arithmetic and bit-identical on every
//! machine.

pub mod concealment;
pub mod g711;
#[cfg(test)]
mod goertzel;
pub mod jitter;
pub mod mix;
pub mod telephone_event;
pub mod tone;

pub use concealment::Concealer;
pub use g711::G711;
pub use jitter::{JitterBuffer, JitterCounters, JitterLimits, PopOutcome, PushOutcome};
pub use tone::ToneGenerator;

/// Samples per second of everything in this module.
pub const SAMPLE_RATE_HZ: u32 = 8000;

/// Samples in one media frame of 20 ms.
pub const FRAME_SAMPLES: usize = 160;

/// One media frame of linear samples.
pub type Frame = [i16; FRAME_SAMPLES];

/// One media frame as G.711 carries it: a byte a sample.
pub type EncodedFrame = [u8; FRAME_SAMPLES];
