//! Time for the callers: the monotonic clock in nanoseconds, exact sleeping, and due times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

pub(crate) use crate::ua::{MS, SECOND};

fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, nanoseconds)
}

pub(crate) fn nanoseconds(time: TimeSpec) -> u64 {
    (time.tv_sec() as u64).wrapping_mul(SECOND).wrapping_add(time.tv_nsec() as u64)
}

/// Nanoseconds of the monotonic clock.
pub(crate) fn now() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// What to subtract from a kernel's receive time stamp (time of day) to get monotonic time.
pub(crate) fn time_of_day_offset() -> u64 {
    read(ClockId::CLOCK_REALTIME).wrapping_sub(now())
}

/// Sleeps until the monotonic clock shows `deadline`.
pub(crate) fn sleep_until(deadline: u64) {
    let time = TimeSpec::new((deadline / SECOND) as i64, (deadline % SECOND) as i64);
    // An interrupted sleep only makes the loop look at its work early.
    let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &time);
}

/// Things that become due, in order of time.
#[derive(Debug)]
pub(crate) struct Agenda<T: Ord>(BinaryHeap<Reverse<(u64, T)>>);

impl<T: Ord> Agenda<T> {
    pub fn new() -> Agenda<T> {
        Agenda(BinaryHeap::new())
    }

    pub fn add(&mut self, at: u64, what: T) {
        self.0.push(Reverse((at, what)));
    }

    /// The earliest thing that is due at `now`, with its time.
    pub fn take_due(&mut self, now: u64) -> Option<(u64, T)> {
        self.0.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.0.pop().map(|Reverse(due)| due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_things_come_in_order_and_not_early() {
        let mut agenda = Agenda::new();
        for (at, what) in [(30, 'c'), (10, 'a'), (20, 'b')] {
            agenda.add(at, what);
        }
        assert_eq!(agenda.take_due(9), None);
        assert_eq!(agenda.take_due(20), Some((10, 'a')));
        assert_eq!(agenda.take_due(20), Some((20, 'b')));
        assert_eq!(agenda.take_due(29), None);
    }

    #[test]
    fn sleeping_reaches_the_deadline() {
        let deadline = now() + MS;
        sleep_until(deadline);
        assert!(now() >= deadline);
    }
}
