//! The machine's clocks, read in one place.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`.
///
/// ```
/// let before_ns = ringworld::net::monotonic_ns();
/// assert!(ringworld::net::monotonic_ns() >= before_ns);
/// ```
pub fn monotonic_ns() -> u64 {
    read_ns(ClockId::CLOCK_MONOTONIC).max(0) as u64
}

/// Nanoseconds of `CLOCK_REALTIME`: the clock that the kernel stamps packets with.
pub(super) fn realtime_ns() -> i64 {
    read_ns(ClockId::CLOCK_REALTIME)
}

fn read_ns(clock: ClockId) -> i64 {
    // The two clocks exist on every Linux, so a failure can't happen; 0 keeps the arithmetic total.
    clock_gettime(clock).map_or(0, |t| t.tv_sec().saturating_mul(1_000_000_000).saturating_add(t.tv_nsec()))
}

/// The beginning of a world's time on this machine's monotonic clock.
///
/// It lies in the past, possibly before the machine was started, when a world continues that began elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    ns: i64,
}

impl Epoch {
    /// The world's time begins now.
    pub fn now() -> Self {
        Self::at_ns(monotonic_ns() as i64)
    }

    /// The world's time began at this reading of `CLOCK_MONOTONIC`, in nanoseconds.
    pub fn at_ns(ns: i64) -> Self {
        Self { ns }
    }

    /// The world's time in microseconds at a reading of `CLOCK_MONOTONIC` in nanoseconds; 0 before its beginning.
    ///
    /// ```
    /// use ringworld::net::Epoch;
    /// assert_eq!(Epoch::at_ns(-1_000).us_at(4_000), 5);
    /// assert_eq!(Epoch::at_ns(9_000).us_at(4_000), 0);
    /// ```
    pub fn us_at(self, monotonic_ns: u64) -> u64 {
        (monotonic_ns as i64).saturating_sub(self.ns).max(0) as u64 / 1_000
    }
}
