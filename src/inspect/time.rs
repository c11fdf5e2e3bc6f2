//! Ticks and milliseconds as readable text.

use ringworld_components::kernel::Now;
use std::time::Duration;

/// A point in the world's time, in seconds since it began.
pub fn seconds(at: Now) -> String {
    format!("{:.3} s", at.as_millis() as f64 / 1000.0)
}

/// A length of time, in the unit that suits it.
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        1..=119 => format!("{:.1} s", time.as_secs_f64()),
        whole @ 120..=7_199 => format!("{} min {} s", whole / 60, whole % 60),
        whole => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// The time of day of milliseconds since 1970, in UTC, as ISO 8601 writes it.
///
/// ```
/// assert_eq!(ringworld::inspect::utc(951_826_554_321), "2000-02-29T12:15:54.321Z");
/// ```
pub fn utc(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

/// Year, month and day of a day since 1970-01-01. Years are counted from March on, so that the leap day comes last, in
/// cycles of 400 of them, which have 146,097 days.
fn date_of(days: u64) -> (u64, u64, u64) {
    let since_march_0 = days + 719_468;
    let (cycle, day_of_cycle) = (since_march_0 / 146_097, since_march_0 % 146_097);
    let leap_days = day_of_cycle / 1_460 + day_of_cycle / 146_096 - day_of_cycle / 36_524;
    let year_of_cycle = (day_of_cycle - leap_days) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (400 * cycle + year_of_cycle + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_leap_years_and_centuries() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(utc(unix_ms), text);
        }
    }

    #[test]
    fn time_is_written_in_the_unit_that_suits_it() {
        assert_eq!(seconds(Now(1_234)), "6.170 s");
        let texts = [5, 1_500, 125_000, 7_260_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(texts, ["5 ms", "1.5 s", "2 min 5 s", "2 h 1 min"]);
    }
}
