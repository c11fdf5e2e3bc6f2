//! The port pairs that neither a call nor a world has: which one is offered next, and which ones are open.

use std::collections::VecDeque;

/// How many pairs are tried again, or closed, in one round at most.
const ROUND_MAX: usize = 64;

/// How long a pair that has come back rests if another one can be opened in its place: stragglers of its last call
/// arrive meanwhile.
const REST_NS: u64 = 1_000_000_000;

/// How long a pair stays open that nothing has needed.
const SURPLUS_NS: u64 = 10_000_000_000;

/// The pairs, by RTP port.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Not open, in the order in which they are to be opened.
    closed: VecDeque<u16>,
    /// Open, each with the time since when; the one that has rested longest comes first.
    rested: VecDeque<(u64, u16)>,
    /// Pairs that another process held when they were tried.
    busy: VecDeque<u16>,
}

impl Idle {
    /// Pairs that are all closed.
    pub fn new(closed: VecDeque<u16>) -> Self {
        Self { closed, ..Self::default() }
    }

    /// Whether there is none that could be offered.
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.rested.is_empty()
    }

    /// The pair to offer next: an open one that has rested, else one that is to be opened, else one that has not.
    pub fn next(&mut self, now_ns: u64, may_open: bool) -> Option<u16> {
        let can_open = may_open && !self.closed.is_empty();
        let has_rested = |(since_ns, _): &mut (u64, u16)| !can_open || now_ns.saturating_sub(*since_ns) >= REST_NS;
        match self.rested.pop_front_if(has_rested) {
            Some((_, port)) => Some(port),
            None if can_open => self.closed.pop_front(),
            None => None,
        }
    }

    /// An open pair has come back.
    pub fn rest(&mut self, port: u16, now_ns: u64) {
        self.rested.push_back((now_ns, port));
    }

    /// A pair could not be opened, as another process holds it.
    pub fn set_busy(&mut self, port: u16) {
        self.busy.push_back(port);
    }

    /// A pair could not be opened, as no pair can be.
    pub fn put_back(&mut self, port: u16) {
        self.closed.push_front(port);
    }

    /// Lets some of the pairs that another process held be tried again.
    pub fn retry_busy(&mut self) {
        let count = self.busy.len().min(ROUND_MAX);
        self.closed.extend(self.busy.drain(..count));
    }

    /// The pairs to be closed by now: nothing has needed them for long.
    pub fn take_surplus(&mut self, now_ns: u64) -> Vec<u16> {
        let is_surplus = |(since_ns, _): &&(u64, u16)| now_ns.saturating_sub(*since_ns) >= SURPLUS_NS;
        let count = self.rested.iter().take(ROUND_MAX).take_while(is_surplus).count();
        let surplus: Vec<u16> = self.rested.drain(..count).map(|(_, port)| port).collect();
        self.closed.extend(&surplus);
        surplus
    }

    /// Keeps those pairs alone, closed and open, for which these say so.
    pub fn retain(&mut self, closed: impl Fn(u16) -> bool, open: impl Fn(u16) -> bool) {
        self.closed.retain(|port| closed(*port));
        self.rested.retain(|(_, port)| open(*port));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_has_rested_comes_before_one_that_must_be_opened_and_that_before_one_that_has_not() {
        let mut idle = Idle::new([10, 12].into());
        idle.rest(20, 5);
        idle.rest(22, 6);
        assert_eq!(idle.next(REST_NS + 4, true), Some(10));
        assert_eq!(idle.next(REST_NS + 5, true), Some(20));
        assert_eq!(idle.next(REST_NS + 5, false), Some(22), "nothing can be opened");
        assert_eq!(idle.next(REST_NS + 5, false), None);
        assert_eq!(idle.next(REST_NS + 5, true), Some(12));
        idle.rest(12, 7);
        assert_eq!(idle.next(8, true), Some(12), "there is nothing left to open");
        assert!(idle.is_empty());
    }

    #[test]
    fn what_nothing_has_needed_for_long_is_closed() {
        let mut idle = Idle::new(VecDeque::new());
        (0..100).for_each(|pair| idle.rest(2 * pair, 0));
        idle.rest(1_000, 1);
        assert!(idle.take_surplus(SURPLUS_NS - 1).is_empty());
        assert_eq!(idle.take_surplus(SURPLUS_NS).len(), ROUND_MAX);
        assert_eq!(idle.take_surplus(SURPLUS_NS).len(), 100 - ROUND_MAX);
        assert!(idle.take_surplus(SURPLUS_NS).is_empty());
        assert_eq!((idle.closed.len(), idle.next(SURPLUS_NS, false)), (100, Some(1_000)));
    }
}
