//! The port pairs of one RTP thread: which are open, which world each is offered to, and which call uses each.

use super::idle::Idle;
use super::pair::Pair;
use crate::net::counters::{Count, NetCounters};
use crate::net::given::RtpPair;
use nix::libc::{EMFILE, ENFILE};
use std::io;
use std::sync::Arc;

/// How many pairs that another process holds are tried at most before the rest is left to the next round.
const BUSY_MAX: usize = 64;

/// The holder of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// Another thread: this one does not offer it.
    Elsewhere,
    /// None: it waits to be offered.
    Idle,
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
    /// The pairs that are to be offered.
    idle: Idle,
    /// How many pairs are open, and how many may be.
    open: usize,
    open_max: usize,
    /// How many pairs each world has in stock.
    stock: Vec<usize>,
    /// How many it shall have.
    share: usize,
    counters: Arc<NetCounters>,
}

impl Ports {
    /// A table of the given RTP ports, `open_max` of which are open at a time, for `worlds` worlds with a stock of
    /// `share` pairs each.
    pub fn new(
        own: impl Iterator<Item = u16>,
        open_max: usize,
        worlds: usize,
        share: usize,
        counters: Arc<NetCounters>,
    ) -> Self {
        let own: Vec<u16> = own.collect();
        let base = own.iter().min().map_or(0, |port| port / 2);
        let count = own.iter().max().map_or(0, |port| usize::from(port / 2 - base) + 1);
        let slots = (0..count).map(|_| Slot { holder: Holder::Elsewhere, pair: None }).collect();
        let (idle, stock) = (Idle::new(own.iter().copied().collect()), vec![0; worlds]);
        let mut ports = Self { base, slots, idle, open: 0, open_max, stock, share, counters };
        for port in own {
            if let Some(slot) = ports.slot(port) {
                slot.holder = Holder::Idle;
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

    /// Whether some world has fewer pairs in stock than it shall have though not all are held.
    pub fn is_short(&self) -> bool {
        !self.idle.is_empty() && self.stock.iter().any(|&count| count < self.share)
    }

    /// Fills every world's stock up, one pair each in turn: `open` opens a pair that is not open yet, `offer` tells a
    /// world. Returns why the last pair that could not be opened could not.
    pub(super) fn fill_up(
        &mut self,
        now_ns: u64,
        mut open: impl FnMut(u16) -> io::Result<Pair>,
        mut offer: impl FnMut(usize, u16),
    ) -> Option<io::Error> {
        let mut refused = None;
        let (mut busy_left, mut may_open) = (BUSY_MAX, true);
        while busy_left > 0
            && let Some(world) = self.neediest()
            && let Some(port) = self.idle.next(now_ns, may_open && self.open < self.open_max)
        {
            match self.ensure_open(port, &mut open) {
                Ok(()) => {
                    self.hold(port, Holder::Stock(world));
                    offer(world, port);
                }
                Err(error) if is_out_of_descriptors(&error) => {
                    self.idle.put_back(port);
                    (may_open, refused) = (false, Some(error));
                }
                Err(error) => {
                    self.counters.ports_busy.one();
                    self.idle.set_busy(port);
                    refused = Some(error);
                    busy_left -= 1;
                }
            }
        }
        refused
    }

    /// Closes pairs that nothing has needed for long.
    pub(super) fn close_surplus(&mut self, now_ns: u64) {
        for port in self.idle.take_surplus(now_ns) {
            if self.slot(port).and_then(|slot| slot.pair.take()).is_some() {
                self.open = self.open.saturating_sub(1);
                self.counters.ports_open.subtract(1);
            }
        }
    }

    /// Takes a pair that is open already. When all are there, [`Ports::sort_out`] is due.
    pub(super) fn adopt(&mut self, port: u16, pair: Pair) {
        let Some(slot) = self.slot(port).filter(|slot| slot.holder != Holder::Elsewhere) else { return };
        if slot.pair.replace(pair).is_none() {
            self.open += 1;
            self.counters.ports_open.one();
            self.idle.rest(port, 0);
        }
    }

    /// All open pairs.
    pub(super) fn into_pairs(self) -> Vec<RtpPair> {
        let ports = (self.base..).map(|half| half * 2);
        let open = self.slots.into_iter().zip(ports).filter_map(|(slot, port)| Some((slot.pair?, port)));
        open.map(|(pair, port)| RtpPair { port, rtp: pair.rtp.into(), rtcp: pair.rtcp.into() }).collect()
    }

    /// Opens a pair that a call of `world` is using already, and that is therefore in no stock. When all are,
    /// [`Ports::sort_out`] is due.
    pub(super) fn take_up(
        &mut self,
        world: usize,
        port: u16,
        mut open: impl FnMut(u16) -> io::Result<Pair>,
    ) -> io::Result<()> {
        if self.holder(port) != Some(Holder::Idle) || world >= self.stock.len() {
            return Err(io::Error::other("it is outside the range, or another call has it"));
        }
        self.hold(port, Holder::Call(world));
        self.ensure_open(port, &mut open)
    }

    /// Removes those from the idle ones that calls use, and from the closed ones those that are open: all at once, as
    /// each removal would scan all of them.
    pub(super) fn sort_out(&mut self) {
        let mut idle = std::mem::take(&mut self.idle);
        let is_idle = |port| self.holder(port) == Some(Holder::Idle);
        idle.retain(|port| is_idle(port) && self.pair(port).is_none(), is_idle);
        self.idle = idle;
    }

    /// Lets some of the pairs that another process held be tried again.
    pub fn retry_busy(&mut self) {
        self.idle.retry_busy();
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
            self.open += 1;
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
                Holder::Idle | Holder::Elsewhere => continue,
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
    pub fn released(&mut self, world: usize, port: u16, now_ns: u64) {
        if matches!(self.holder(port), Some(Holder::Call(of) | Holder::Stock(of)) if of == world) {
            self.hold(port, Holder::Idle);
            self.idle.rest(port, now_ns);
        } else {
            self.counters.ports_misreported.one();
        }
    }
}

/// Whether nothing more can be opened, rather than this pair alone.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

#[cfg(test)]
#[path = "ports_tests.rs"]
mod tests;
