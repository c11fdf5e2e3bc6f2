//! How the threads wake each other, and when a network thread wakes by itself.

use super::clock::monotonic_ns;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Wakes one network thread. Waking twice costs one system call.
#[derive(Clone, Debug)]
pub(super) struct Waker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    event: EventFd,
    called: AtomicBool,
}

impl Waker {
    pub fn new() -> nix::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self(Arc::new(Inner { event, called: AtomicBool::new(false) })))
    }

    /// Call after what the thread shall see was pushed.
    pub fn wake(&self) {
        if !self.0.called.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is full, and then the thread is awake.
            let _ = self.0.event.write(1);
        }
    }

    /// Call before looking at what may have been pushed; true if `wake` was called.
    pub fn clear(&self) -> bool {
        let called = self.0.called.swap(false, Ordering::AcqRel);
        // Always read: a caller may have been between its swap and its write during the last round.
        let written = self.0.event.read().is_ok();
        called || written
    }

    /// Sleeps until woken or until this reading of the monotonic clock, whichever is first.
    pub fn sleep_until(&self, deadline_ns: u64) {
        let wait = Duration::from_nanos(deadline_ns.saturating_sub(monotonic_ns()));
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        // An interrupted sleep is a round too early, which does no harm.
        let _ = ppoll(&mut fds, Some(TimeSpec::from_duration(wait)), None);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}

/// When the worlds tick next, as they publish it, in nanoseconds of the monotonic clock.
#[derive(Debug)]
pub(super) struct Deadlines {
    next_ns: Box<[AtomicU64]>,
    tick_ns: u64,
}

impl Deadlines {
    pub fn new(worlds: usize, tick: Duration) -> Self {
        let tick_ns = u64::try_from(tick.as_nanos()).unwrap_or(u64::MAX).clamp(1_000, 1_000_000_000);
        Self { next_ns: (0..worlds).map(|_| AtomicU64::new(0)).collect(), tick_ns }
    }

    pub fn publish(&self, world: usize, next_ns: u64) {
        if let Some(place) = self.next_ns.get(world) {
            place.store(next_ns, Ordering::Relaxed);
        }
    }

    /// When to gather next: `lead_ns` before the next deadline of a world that was not gathered for yet.
    ///
    /// A world that has stopped ticking is not waited for, and rounds are at least a tenth of a tick apart.
    pub fn next_gather_ns(&self, now_ns: u64, lead_ns: u64) -> u64 {
        let spacing_ns = self.tick_ns / 10;
        let earliest = now_ns + spacing_ns;
        let mut gather_ns = now_ns + self.tick_ns;
        for place in &self.next_ns {
            let deadline_ns = place.load(Ordering::Relaxed);
            if deadline_ns + 2 * self.tick_ns < now_ns {
                continue;
            }
            // One that is due sooner than the next round can be was served by this one.
            let missed = (earliest + lead_ns).saturating_sub(deadline_ns).div_ceil(self.tick_ns);
            gather_ns = gather_ns.min((deadline_ns + missed * self.tick_ns).saturating_sub(lead_ns));
        }
        gather_ns.max(earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_call_wakes_once() {
        let waker = Waker::new().unwrap();
        assert!(!waker.clear());
        waker.wake();
        waker.wake();
        assert!(waker.clear());
        assert!(!waker.clear());
    }

    #[test]
    fn a_sleeper_is_woken_from_another_thread() {
        let waker = Waker::new().unwrap();
        let other = waker.clone();
        let thread = std::thread::Builder::new().spawn(move || other.wake()).unwrap();
        while !waker.clear() {
            waker.sleep_until(monotonic_ns() + 1_000 * MS);
        }
        thread.join().unwrap();
    }

    #[test]
    fn rounds_come_shortly_before_the_next_deadline() {
        let deadlines = Deadlines::new(1, Duration::from_millis(5));
        deadlines.publish(0, 105 * MS);
        assert_eq!(deadlines.next_gather_ns(101 * MS, MS / 4), 105 * MS - MS / 4);
        // Just gathered for 105: the next one is 110, though the world has not published it yet.
        assert_eq!(deadlines.next_gather_ns(105 * MS - MS / 4, MS / 4), 110 * MS - MS / 4);
    }

    #[test]
    fn worlds_out_of_phase_are_both_served_and_stopped_ones_ignored() {
        let deadlines = Deadlines::new(2, Duration::from_millis(5));
        deadlines.publish(0, 105 * MS);
        deadlines.publish(1, 103 * MS);
        assert_eq!(deadlines.next_gather_ns(101 * MS, 0), 103 * MS);
        assert_eq!(deadlines.next_gather_ns(103 * MS, 0), 105 * MS);
        // No world has published for long.
        assert_eq!(deadlines.next_gather_ns(900 * MS, 0), 905 * MS);
    }

    #[test]
    fn rounds_keep_their_distance() {
        let deadlines = Deadlines::new(1, Duration::from_millis(5));
        for now in 0..20 * MS / 100_000 {
            let now_ns = 100 * MS + now * 100_000;
            deadlines.publish(0, 105 * MS);
            let next = deadlines.next_gather_ns(now_ns, 300_000);
            assert!(next >= now_ns + MS / 2 && next <= now_ns + 5 * MS + MS / 2, "{now_ns} {next}");
        }
    }
}
