//! How audio is sampled, and how RTP counts it.

use crate::record::Record;

/// Frames in a second: a media frame is 20 ms.
const FRAMES_PER_S: u32 = 50;

/// How linear audio is sampled.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AudioFormat {
    /// Samples per second of each channel: 8,000, 16,000 or 48,000.
    pub rate_hz: u32,
    /// Channels, whose samples alternate.
    pub channels: u8,
}

impl AudioFormat {
    /// What G.711 carries.
    pub const NARROWBAND: Self = Self::mono(8_000);

    /// One channel of this rate.
    pub const fn mono(rate_hz: u32) -> Self {
        Self { rate_hz, channels: 1 }
    }

    /// Samples in a frame, of all channels.
    pub const fn frame_samples(self) -> usize {
        (self.rate_hz / FRAMES_PER_S) as usize * self.channels as usize
    }
}

/// The clock of an RTP payload format. Its rate need not be that of the audio: RFC 3551 section 4.5.2 has one for G.722.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RtpClock {
    /// Units of the timestamp in a second.
    pub rate_hz: u32,
}

impl RtpClock {
    /// Units of the timestamp in a frame.
    pub const fn frame_units(self) -> u32 {
        self.rate_hz / FRAMES_PER_S
    }

    /// Units of the timestamp in that many milliseconds.
    pub const fn units(self, ms: u32) -> u32 {
        self.rate_hz / 1_000 * ms
    }

    /// That many units of the timestamp in milliseconds.
    pub const fn ms(self, units: u32) -> u32 {
        units / (self.rate_hz / 1_000)
    }
}

impl Default for RtpClock {
    /// That of G.711.
    fn default() -> Self {
        Self { rate_hz: 8_000 }
    }
}
