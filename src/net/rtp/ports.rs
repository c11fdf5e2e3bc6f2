//! The port pairs of one RTP thread: which are open, which world each is offered to, and which call uses each.

use super::pair::Pair;
use crate::net::counters::{Count, NetCounters};
use crate::net::given::RtpPair;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// How many pairs that another process holds are tried at most before the rest is left to the next round.
const BUSY_MAX: usize = 64;

/// The holder of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// Another thread: this one does not offer it.
    Elsewhere,
    /// Free: it waits in the queue.
    Queue,
    /// Offered to a world.
    Stock(usize),
    /// A call of a world.
    Call(usize),
}

#[derive(Debug)]
struct Slot {
    holder: Holder,
    pair: Option<Pair>,
}

/// The table.
#[derive(Debug)]
pub(in crate::net) struct Ports {
    /// Half the first port.
    base: u16,
    slots: Vec<Slot>,
    /// Pairs to offer next, by RTP port. One that comes back goes to the end, so that stragglers of its last call have
    /// the longest time to arrive.
    queue: VecDeque<u16>,
    /// Pairs that another process held when they were tried.
    busy: VecDeque<u16>,
    /// How many pairs each world has in stock.
    stock: Vec<usize>,
    /// How many it shall have.
    share: usize,
    counters: Arc<NetCounters>,
}

impl Ports {
    /// A table of the given RTP ports, for `worlds` worlds with a stock of `share` pairs each.
    pub fn new(own: impl Iterator<Item = u16>, worlds: usize, share: usize, counters: Arc<NetCounters>) -> Self {
        let queue: VecDeque<u16> = own.collect();
        let base = queue.iter().min().map_or(0, |port| port / 2);
        let count = queue.iter().max().map_or(0, |port| usize::from(port / 2 - base) + 1);
        let slots = (0..count).map(|_| Slot { holder: Holder::Elsewhere, pair: None }).collect();
        let mut ports = Self { base, slots, queue, busy: VecDeque::new(), stock: vec![0; worlds], share, counters };
        for index in 0..ports.queue.len() {
            let port = ports.queue.get(index).copied().unwrap_or_default();
            if let Some(slot) = ports.slot(port) {
                slot.holder = Holder::Queue;
            }
        }
        ports
    }

    fn index(&self, port: u16) -> Option<usize> {
        (port / 2).checked_sub(self.base).map(usize::from)
    }

    fn slot(&mut self, port: u16) -> Option<&mut Slot> {
        let index = self.index(port)?;
        self.slots.get_mut(index)
    }

    /// The pair that a port (of RTP or RTCP) belongs to, and the world whose call uses it.
    pub(super) fn pair(&self, port: u16) -> Option<(&Pair, Option<usize>)> {
        let slot = self.slots.get(self.index(port)?)?;
        let world = if let Holder::Call(world) = slot.holder { Some(world) } else { None };
        slot.pair.as_ref().map(|pair| (pair, world))
    }

    /// The pair that a port belongs to, and the world that gets what arrives there: of a pair in stock, too, so that it
    /// knows the sources that send there before a call has it.
    pub(super) fn heard(&self, port: u16) -> Option<(&Pair, Option<usize>)> {
        let slot = self.slots.get(self.index(port)?)?;
        let world = if let Holder::Call(world) | Holder::Stock(world) = slot.holder { Some(world) } else { None };
        slot.pair.as_ref().map(|pair| (pair, world))
    }

    /// Whether some world has fewer pairs in stock than it shall have though the queue is not empty.
    pub fn is_short(&self) -> bool {
        !self.queue.is_empty() && self.stock.iter().any(|&count| count < self.share)
    }

    /// Fills every world's stock up, one pair each in turn: `open` opens a pair that is not open yet, `offer` tells a
    /// world. Returns why the last pair that could not be opened could not.
    pub(super) fn fill_up(
        &mut self,
        mut open: impl FnMut(u16) -> io::Result<Pair>,
        mut offer: impl FnMut(usize, u16),
    ) -> Option<io::Error> {
        let mut refused = None;
        let mut busy_left = BUSY_MAX;
        while busy_left > 0
            && let Some(world) = self.neediest()
            && let Some(port) = self.queue.pop_front()
        {
            match self.ensure_open(port, &mut open) {
                Ok(()) => {
                    self.hold(port, Holder::Stock(world));
                    offer(world, port);
                }
                Err(error) => {
                    self.counters.ports_busy.one();
                    self.busy.push_back(port);
                    refused = Some(error);
                    busy_left -= 1;
                }
            }
        }
        refused
    }

    /// Takes a pair that is open already.
    pub(super) fn adopt(&mut self, port: u16, pair: Pair) {
        let Some(slot) = self.slot(port).filter(|slot| slot.holder != Holder::Elsewhere) else { return };
        if slot.pair.replace(pair).is_none() {
            self.counters.ports_open.one();
        }
    }

    /// All open pairs.
    pub(super) fn into_pairs(self) -> Vec<RtpPair> {
        let ports = (self.base..).map(|half| half * 2);
        let open = self.slots.into_iter().zip(ports).filter_map(|(slot, port)| Some((slot.pair?, port)));
        open.map(|(pair, port)| RtpPair { port, rtp: pair.rtp.into(), rtcp: pair.rtcp.into() }).collect()
    }

    /// Opens a pair that a call of `world` is using already, and that is therefore in no stock. When all are,
    /// [`Ports::strike_out`] is due.
    pub(super) fn take_up(
        &mut self,
        world: usize,
        port: u16,
        mut open: impl FnMut(u16) -> io::Result<Pair>,
    ) -> io::Result<()> {
        if self.holder(port) != Some(Holder::Queue) || world >= self.stock.len() {
            return Err(io::Error::other("it is outside the range, or another call has it"));
        }
        self.hold(port, Holder::Call(world));
        self.ensure_open(port, &mut open)
    }

    /// Removes those from the queue that calls use: all at once, as each removal would scan the whole queue.
    pub(super) fn strike_out(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.retain(|port| self.holder(*port) == Some(Holder::Queue));
        self.queue = queue;
    }

    /// Puts some of the pairs that another process held back into the queue, to be tried again.
    pub fn retry_busy(&mut self) {
        let count = self.busy.len().min(BUSY_MAX);
        self.queue.extend(self.busy.drain(..count));
    }

    fn neediest(&self) -> Option<usize> {
        let short = self.stock.iter().enumerate().filter(|(_, count)| **count < self.share);
        short.min_by_key(|(_, count)| **count).map(|(world, _)| world)
    }

    fn ensure_open(&mut self, port: u16, open: &mut impl FnMut(u16) -> io::Result<Pair>) -> io::Result<()> {
        let counters = self.counters.clone();
        let Some(slot) = self.slot(port) else { return Err(io::ErrorKind::NotFound.into()) };
        if slot.pair.is_none() {
            slot.pair = Some(open(port)?);
            counters.ports_open.one();
        }
        Ok(())
    }

    /// Sets the holder of a pair, and updates stock and gauges.
    fn hold(&mut self, port: u16, holder: Holder) {
        let Some(slot) = self.slot(port) else { return };
        let before = std::mem::replace(&mut slot.holder, holder);
        for (held, now) in [(before, false), (holder, true)] {
            let gauge = match held {
                Holder::Stock(_) => &self.counters.ports_offered,
                Holder::Call(_) => &self.counters.ports_taken,
                Holder::Queue | Holder::Elsewhere => continue,
            };
            if now {
                gauge.one()
            } else {
                gauge.subtract(1)
            }
            if let Holder::Stock(world) = held
                && let Some(count) = self.stock.get_mut(world)
            {
                *count = if now { *count + 1 } else { count.saturating_sub(1) };
            }
        }
    }

    fn holder(&self, port: u16) -> Option<Holder> {
        if !port.is_multiple_of(2) {
            return None;
        }
        self.slots.get(self.index(port)?).map(|slot| slot.holder)
    }

    /// A world took a pair out of its stock.
    pub fn taken(&mut self, world: usize, port: u16) {
        if self.holder(port) == Some(Holder::Stock(world)) {
            self.hold(port, Holder::Call(world));
        } else {
            self.counters.ports_misreported.one();
        }
    }

    /// A world gave a pair back. One that it never took but was offered counts as given back too.
    pub fn released(&mut self, world: usize, port: u16) {
        if matches!(self.holder(port), Some(Holder::Call(of) | Holder::Stock(of)) if of == world) {
            self.hold(port, Holder::Queue);
            self.queue.push_back(port);
        } else {
            self.counters.ports_misreported.one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn ports(worlds: usize, share: usize) -> (Ports, Arc<NetCounters>) {
        let counters = Arc::new(NetCounters::default());
        (Ports::new([10, 12, 14, 16].into_iter(), worlds, share, counters.clone()), counters)
    }

    fn open(_: u16) -> io::Result<Pair> {
        Ok(Pair::new(UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?, false))
    }

    fn fill(ports: &mut Ports) -> Vec<(usize, u16)> {
        let mut offered = Vec::new();
        ports.fill_up(open, |world, port| offered.push((world, port)));
        offered
    }

    #[test]
    fn worlds_are_served_in_turn_and_a_returned_pair_comes_last() {
        let (mut ports, counters) = ports(2, 1);
        assert_eq!(fill(&mut ports), [(0, 10), (1, 12)]);
        ports.taken(0, 10);
        assert_eq!(fill(&mut ports), [(0, 14)]);
        ports.released(0, 10);
        ports.taken(1, 12);
        assert_eq!(fill(&mut ports), [(1, 16)], "10 came back and waits behind 16");
        ports.taken(1, 16);
        assert_eq!(fill(&mut ports), [(1, 10)]);
        let gauges = counters.snapshot();
        assert_eq!((gauges.ports_open, gauges.ports_taken, gauges.ports_offered), (4, 2, 2));
    }

    #[test]
    fn a_pair_that_a_call_has_already_is_opened_and_never_offered_before_it_returns() {
        let (mut ports, counters) = ports(2, 2);
        ports.take_up(1, 12, open).unwrap();
        assert!(ports.take_up(0, 12, open).is_err(), "it has a call");
        assert!(ports.take_up(0, 9_000, open).is_err() && ports.take_up(2, 10, open).is_err());
        ports.strike_out();
        assert_eq!(ports.pair(12).map(|(_, world)| world), Some(Some(1)));
        assert_eq!(fill(&mut ports), [(0, 10), (1, 14), (0, 16)]);
        ports.released(1, 12);
        assert_eq!(fill(&mut ports), [(1, 12)]);
        assert_eq!((counters.snapshot().ports_taken, counters.snapshot().ports_offered), (0, 4));
    }

    #[test]
    fn an_exhausted_range_offers_nothing_until_something_returns() {
        let (mut ports, _) = ports(1, 4);
        assert_eq!(fill(&mut ports).len(), 4);
        ports.taken(0, 12);
        assert!(fill(&mut ports).is_empty());
        ports.released(0, 12);
        assert_eq!(fill(&mut ports), [(0, 12)]);
    }

    #[test]
    fn what_comes_to_a_pair_in_stock_is_heard_and_nothing_is_sent_from_it() {
        let (mut ports, _) = ports(1, 1);
        assert_eq!(fill(&mut ports), [(0, 10)]);
        let world = |found: Option<(&Pair, Option<usize>)>| found.map(|(_, world)| world);
        assert_eq!((world(ports.heard(11)), world(ports.pair(11))), (Some(Some(0)), Some(None)));
        ports.taken(0, 10);
        assert_eq!((world(ports.heard(10)), world(ports.pair(10))), (Some(Some(0)), Some(Some(0))));
        ports.released(0, 10);
        assert_eq!((world(ports.heard(10)), world(ports.pair(10))), (Some(None), Some(None)), "it waits its turn");
    }

    #[test]
    fn a_busy_pair_is_skipped_and_tried_again_later() {
        let (mut ports, counters) = ports(1, 2);
        let mut offered = Vec::new();
        let busy = |port| if port == 10 { Err(io::ErrorKind::AddrInUse.into()) } else { open(port) };
        let refused = ports.fill_up(busy, |_, port| offered.push(port));
        assert_eq!(offered, [12, 14]);
        assert_eq!(refused.map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
        assert_eq!(counters.snapshot().ports_busy, 1);
        ports.taken(0, 12);
        ports.taken(0, 14);
        assert_eq!(fill(&mut ports), [(0, 16)], "one that was held is left alone for a while");
        ports.retry_busy();
        assert_eq!(fill(&mut ports), [(0, 10)]);
    }

    #[test]
    fn when_all_are_busy_the_search_ends() {
        let (mut ports, counters) = ports(1, 2);
        let refused = ports.fill_up(|_| Err(io::ErrorKind::AddrInUse.into()), |_, _| {});
        assert!(refused.is_some());
        assert!(!ports.is_short(), "there is nothing left to try");
        assert_eq!(counters.snapshot().ports_busy, 4);
    }

    #[test]
    fn nonsense_from_a_world_changes_nothing_and_is_counted() {
        let (mut ports, counters) = ports(2, 1);
        fill(&mut ports);
        ports.taken(1, 10);
        ports.taken(0, 11);
        ports.taken(0, 9_000);
        ports.released(0, 14);
        ports.released(1, 10);
        assert_eq!(counters.snapshot().ports_misreported, 5);
        assert_eq!(counters.snapshot().ports_offered, 2);
        assert_eq!(ports.pair(10).map(|(_, world)| world), Some(None));
        ports.taken(0, 10);
        assert_eq!(ports.pair(11).map(|(_, world)| world), Some(Some(0)), "RTCP belongs to the same call");
    }
}
