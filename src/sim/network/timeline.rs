//! What is on its way, in the order of its arrival.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things that will have happened, in the order of time.
#[derive(Debug)]
pub(super) struct Timeline<T>(BinaryHeap<Reverse<Timed<T>>>, u64);

#[derive(Debug)]
struct Timed<T>(u64, u64, T);

impl<T> PartialEq for Timed<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl<T> Eq for Timed<T> {}

impl<T> PartialOrd for Timed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Timed<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

impl<T> Timeline<T> {
    pub fn new() -> Self {
        Self(BinaryHeap::new(), 0)
    }

    pub fn add(&mut self, at: u64, what: T) {
        self.1 += 1;
        self.0.push(Reverse(Timed(at, self.1, what)));
    }

    pub fn take_due(&mut self, now: u64) -> Option<(u64, T)> {
        self.0.peek().filter(|Reverse(timed)| timed.0 <= now)?;
        self.0.pop().map(|Reverse(Timed(at, _, what))| (at, what))
    }

    pub fn next(&self) -> u64 {
        self.0.peek().map_or(u64::MAX, |Reverse(timed)| timed.0)
    }
}
