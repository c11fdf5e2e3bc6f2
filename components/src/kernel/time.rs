//! The only clock a system may read.

use crate::record::Record;
use bevy_ecs::prelude::*;
use std::time::Duration;

/// The length of a tick.
pub const TICK: Duration = Duration::from_millis(5);

/// Ticks since the world began, skipped ones included.
#[derive(Resource, Record, Default, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(pub u64);

impl Now {
    /// The time that passed since `earlier`; zero if `earlier` lies ahead.
    pub fn since(self, earlier: Now) -> Duration {
        ticks_to_duration(self.0.saturating_sub(earlier.0))
    }

    /// The tick at which `after` has passed. A part of a tick counts as a whole one: a timer never fires early.
    pub fn after(self, after: Duration) -> Now {
        let ticks = after.as_nanos().div_ceil(TICK.as_nanos());
        Now(self.0.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)))
    }

    /// Milliseconds since the world began.
    pub fn as_millis(self) -> u64 {
        self.0.saturating_mul(TICK.as_millis() as u64)
    }
}

/// How many ticks this update advances the world: 1, or more after ticks were skipped. An input; set by whoever runs
/// the schedule, and back at 1 after each tick.
#[derive(Resource, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(pub u32);

impl Default for Elapsed {
    fn default() -> Self {
        Self(1)
    }
}

pub(super) fn advance(mut now: ResMut<Now>, elapsed: Res<Elapsed>) {
    now.0 += u64::from(elapsed.0);
}

fn ticks_to_duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(TICK.as_millis() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early() {
        assert_eq!(Now(10).after(Duration::from_millis(5)), Now(11));
        assert_eq!(Now(10).after(Duration::from_micros(5001)), Now(12));
        assert_eq!(Now(10).after(Duration::ZERO), Now(10));
        assert_eq!(Now(12).since(Now(10)), Duration::from_millis(10));
    }
}
