//! The absolute-deadline sleeper of the tick threads.

use super::clock::monotonic_ns;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use std::time::Duration;

/// How many ticks are run in a row to catch up, at most. Further ticks that are due are skipped.
pub const CATCH_UP_TICKS_MAX: u32 = 8;

/// The ticks that are due after a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// How many ticks to run now: 1 to [`CATCH_UP_TICKS_MAX`].
    pub ticks: u32,
    /// How many ticks more had passed and are skipped. Time advances by `ticks + skipped`.
    pub skipped: u64,
    /// How long after its deadline the first of the ticks starts, in microseconds.
    pub late_us: u64,
}

/// Wakes its thread at the multiples of a period.
///
/// All pacers of a machine with one period share their deadlines, so that several worlds tick in phase and the network
/// threads gather for all of them at once.
#[derive(Debug)]
pub struct Pacer {
    period_ns: u64,
    next_ns: u64,
    late: u64,
    skipped: u64,
}

impl Pacer {
    /// A pacer whose first deadline is the next multiple of `period`, which is at least a microsecond.
    pub fn new(period: Duration) -> Self {
        Self::starting_at(period, monotonic_ns())
    }

    fn starting_at(period: Duration, now_ns: u64) -> Self {
        let period_ns = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).clamp(1_000, 1 << 50);
        Self { period_ns, next_ns: (now_ns / period_ns + 1) * period_ns, late: 0, skipped: 0 }
    }

    /// Goes on at the next deadline that is to come: those that have passed meanwhile are not made up for.
    pub fn resume(&mut self) {
        self.resume_at(monotonic_ns());
    }

    fn resume_at(&mut self, now_ns: u64) {
        self.next_ns = (now_ns / self.period_ns + 1) * self.period_ns;
    }

    /// Sleeps until the next deadline, and returns the ticks that are due then. Returns at once if it has passed.
    pub fn wait(&mut self) -> Due {
        let deadline = TimeSpec::from_duration(Duration::from_nanos(self.next_ns));
        while monotonic_ns() < self.next_ns {
            // A signal ends the sleep early; nothing else can, as clock and deadline are valid.
            match clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &deadline) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        self.due_at(monotonic_ns())
    }

    fn due_at(&mut self, now_ns: u64) -> Due {
        let late_ns = now_ns.saturating_sub(self.next_ns);
        let owed = late_ns / self.period_ns + 1;
        let ticks = owed.min(u64::from(CATCH_UP_TICKS_MAX));
        self.next_ns += owed * self.period_ns;
        self.late += ticks - 1;
        self.skipped += owed - ticks;
        Due { ticks: ticks as u32, skipped: owed - ticks, late_us: late_ns / 1_000 }
    }

    /// The next deadline, in nanoseconds of `CLOCK_MONOTONIC`, for the network threads.
    pub fn next_deadline_ns(&self) -> u64 {
        self.next_ns
    }

    /// How many ticks were run a whole period or more after their deadline.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How many ticks were skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn deadlines_are_multiples_of_the_period() {
        let mut pacer = Pacer::starting_at(Duration::from_millis(5), 12 * MS);
        assert_eq!(pacer.next_deadline_ns(), 15 * MS);
        assert_eq!(pacer.due_at(15 * MS + 70_000), Due { ticks: 1, skipped: 0, late_us: 70 });
        assert_eq!(pacer.next_deadline_ns(), 20 * MS);
    }

    #[test]
    fn a_late_thread_catches_up_and_stays_on_the_grid() {
        let mut pacer = Pacer::starting_at(Duration::from_millis(5), 0);
        assert_eq!(pacer.due_at(17 * MS), Due { ticks: 3, skipped: 0, late_us: 12_000 });
        assert_eq!(pacer.next_deadline_ns(), 20 * MS);
        assert_eq!((pacer.late(), pacer.skipped()), (2, 0));
    }

    #[test]
    fn catching_up_is_bounded_and_the_rest_is_counted_as_skipped() {
        let mut pacer = Pacer::starting_at(Duration::from_millis(5), 0);
        assert_eq!(pacer.due_at(5 * MS * 108), Due { ticks: 8, skipped: 100, late_us: 535_000 });
        assert_eq!((pacer.late(), pacer.skipped()), (7, 100));
        assert_eq!(pacer.due_at(5 * MS * 109).ticks, 1);
    }

    #[test]
    fn what_passes_before_a_resumption_is_neither_owed_nor_counted() {
        let mut pacer = Pacer::starting_at(Duration::from_millis(5), 0);
        pacer.due_at(17 * MS);
        pacer.resume_at(1_003 * MS);
        assert_eq!(pacer.due_at(1_005 * MS), Due { ticks: 1, skipped: 0, late_us: 0 });
        assert_eq!((pacer.late(), pacer.skipped()), (2, 0));
    }

    #[test]
    fn waiting_never_returns_before_the_deadline() {
        let mut pacer = Pacer::new(Duration::from_millis(1));
        for _ in 0..5 {
            let deadline = pacer.next_deadline_ns();
            let due = pacer.wait();
            assert!(monotonic_ns() >= deadline);
            assert!(due.ticks >= 1);
        }
    }

    #[test]
    fn a_period_of_nothing_is_not_a_division_by_zero() {
        assert!(Pacer::new(Duration::ZERO).wait().ticks >= 1);
    }
}
