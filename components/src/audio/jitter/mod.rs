//! The jitter buffer: packets of any length in, frames of 20 ms out.
//!
//! It has no clock. The playhead is a timestamp that each [`JitterBuffer::pop`] moves on by one frame, whether or not
//! there was anything to play, so the delay cannot creep up with what is lost or late. Moving it back (a packet came
//! too late) or forward (all packets come early) is the whole of the adaptation.
//!
//! Packets are held encoded, whatever is in them: they are placed by RTP time alone, in units of the clock of their
//! codec. Nothing is allocated before the first of them.

mod buffer;
mod delay;
mod held;
mod sequence;
#[cfg(test)]
mod tests;

pub use buffer::JitterBuffer;

use crate::record::Record;

/// How long packets may wait in the buffer. The values are rounded up to whole frames of 20 ms and to at most
/// [`JitterLimits::MAX_MS`].
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JitterLimits {
    /// The wait of the latest packet under stable conditions.
    pub min_ms: u16,
    /// What the first packet waits.
    pub start_ms: u16,
    /// What no packet waits longer than.
    pub max_ms: u16,
}

impl JitterLimits {
    /// The largest delay that can be asked for.
    pub const MAX_MS: u16 = 400;
}

impl Default for JitterLimits {
    fn default() -> Self {
        Self { min_ms: 20, start_ms: 20, max_ms: 200 }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PushOutcome {
    /// It will be played.
    Stored,
    /// Its time is over, and more delay would not bring it back.
    Late,
    /// It, or one with its timestamp, is or was here.
    Duplicate,
    /// It came so early that the oldest audio was cut to keep the delay within its limit; or there was no room for it.
    Overflow,
    /// It will be played, and what was held before it will not: the sender jumped to another sequence or time line.
    Reset,
    /// It was not taken: empty, longer than 120 ms, or so far off in its sequence that the next packet has to confirm
    /// it (RFC 3550, appendix A.1).
    Stray,
}

/// What was written by a pop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PopOutcome {
    /// Audio throughout.
    Frame,
    /// Audio, with the filling byte where some is missing.
    Partial,
    /// Nothing, because a packet is lost or the delay was just raised: conceal it.
    Missing,
    /// Nothing, because nothing is held: conceal it (the concealment fades by itself).
    Underrun,
    /// Nothing yet: the first packets are waiting.
    Filling,
    /// Nothing: the sender is silent.
    Silent,
}

/// What has happened so far. Each wraps at its end.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct JitterCounters {
    /// Packets that came after their time and were not played.
    pub late: u32,
    /// Packets that were missing between two that were played.
    pub lost: u32,
    /// Packets that came again.
    pub duplicate: u32,
    /// Packets that were not played because they or others came too early, or there was no room.
    pub overflow: u32,
    /// Packets that were not plausible.
    pub stray: u32,
    /// Frames within talk for which there was no audio.
    pub concealed: u32,
    /// Frames that were skipped to bring the delay down.
    pub cut: u32,
}
