//! The only clock a system may read.

use crate::record::Record;
use bevy_ecs::prelude::*;
use std::fmt;
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

/// The time of day at tick 0: what turns ticks into times of day, for people. A world reads no clock; the code that
/// runs it says what time it is, at the beginning and again when the clocks differ (`Operation::Reanchor`).
#[derive(Resource, Record, Default, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor(pub WallTime);

impl Anchor {
    /// The anchor of a world whose tick `now` is at `time`.
    pub fn at(now: Now, time: WallTime) -> Self {
        Self(WallTime(time.0.saturating_sub(now.as_millis())))
    }

    /// The time of day at a tick.
    ///
    /// ```
    /// use ringworld_components::kernel::{Anchor, Now, WallTime};
    /// let anchor = Anchor(WallTime(1_790_000_000_000));
    /// assert_eq!(anchor.time_of(Now(200)).to_string(), "2026-09-21T14:13:21.000Z");
    /// ```
    pub fn time_of(self, now: Now) -> WallTime {
        WallTime(self.0.0.saturating_add(now.as_millis()))
    }
}

/// A time of day: milliseconds since 1970 (UTC). As text by ISO 8601.
#[derive(Record, Default, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_MS: u64 = 86_400_000;
        let (year, month, day) = date_of(self.0 / DAY_MS);
        let ms = self.0 % DAY_MS;
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{:03}Z", ms / 1000 % 60, ms % 1000)
    }
}

/// Year, month and day of the Gregorian calendar, so many days after 1 January 1970. Years are counted from March: the
/// leap day is the last one then.
fn date_of(days: u64) -> (u64, u64, u64) {
    // From 1 March of the year 0, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day_of_month)
}

/// How many ticks this update advances the world: 1, or more after ticks were skipped. An input; set by the code that
/// runs the schedule, and back at 1 after each tick.
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

    #[test]
    fn a_time_of_day_is_its_date_in_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (1_735_689_600_000, "2025-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(WallTime(ms).to_string(), text);
        }
    }

    #[test]
    fn a_world_that_is_anchored_again_tells_the_new_time_from_that_tick_on() {
        let anchor = Anchor::at(Now(400), WallTime(50_000));
        assert_eq!(anchor.time_of(Now(400)), WallTime(50_000));
        assert_eq!(anchor.time_of(Now(401)), WallTime(50_005));
    }
}
