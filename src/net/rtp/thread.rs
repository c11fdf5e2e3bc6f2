//! One RTP thread: its state and its rounds.

use super::gather::{Batch, EVENTS_MAX};
use super::link::RtpLink;
use super::pool::Pool;
use super::ports::{Ports, is_out_of_descriptors};
use super::send::Sending;
use crate::net::clock::{Epoch, monotonic_ns};
use crate::net::counters::NetCounters;
use crate::net::given::RtpPair;
use crate::net::mark::Marks;
use crate::net::wake::{Deadlines, Waker};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The epoll datum of the waker; ports are below.
const WAKER: u64 = u64::MAX;
/// How long after the last packet the rounds go on at the worlds' pace, in nanoseconds.
const BUSY_NS: u64 = 60_000_000;
/// How early before a deadline a round begins at least, in nanoseconds.
const LEAD_NS: u64 = 150_000;
/// How early at most.
const LEAD_NS_MAX: u64 = 2_000_000;
/// How long a quiet thread blocks at most, in milliseconds.
const QUIET_MS: u16 = 1_000;
/// How long ports that another process held are left alone, and between two looks for pairs to close, in nanoseconds.
const RETRY_NS: u64 = 1_000_000_000;

/// Carries packets between the sockets of its port pairs and all worlds.
pub(in crate::net) struct RtpThread {
    pub(super) epoll: Epoll,
    pub(super) events: Vec<EpollEvent>,
    pub(super) ports: Ports,
    pub(super) links: Vec<RtpLink>,
    pub(super) released: Vec<(usize, u16)>,
    pub(super) pool: Pool,
    pub(super) rtp_bind: IpAddr,
    pub(super) marks: Marks,
    pub(super) epoch: Epoch,
    pub(super) counters: Arc<NetCounters>,
    waker: Waker,
    deadlines: Arc<Deadlines>,
    stop: Arc<AtomicBool>,
    /// What a round has cost recently, in nanoseconds.
    cost_ns: u64,
}

/// What an RTP thread shares with the others.
pub(in crate::net) struct RtpShared {
    pub waker: Waker,
    pub deadlines: Arc<Deadlines>,
    pub stop: Arc<AtomicBool>,
    pub counters: Arc<NetCounters>,
    pub epoch: Epoch,
    pub rtp_bind: IpAddr,
    pub marks: Marks,
    pub pool: usize,
}

impl RtpThread {
    /// Prepares the thread with the pairs that are open already, opens those that calls of a world (by its index) are
    /// using, and the first ones for others; the error is that of the last pair that could not be opened.
    pub fn new(
        shared: RtpShared,
        ports: Ports,
        links: Vec<RtpLink>,
        in_use: impl Iterator<Item = (usize, u16)>,
        given: Vec<RtpPair>,
    ) -> io::Result<(Self, Option<io::Error>)> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&shared.waker, EpollEvent::new(EpollFlags::EPOLLIN, WAKER))?;
        let mut thread = Self {
            epoll,
            events: vec![EpollEvent::empty(); EVENTS_MAX],
            ports,
            links,
            released: Vec::new(),
            pool: Pool::new(shared.pool, shared.counters.clone()),
            rtp_bind: shared.rtp_bind,
            marks: shared.marks,
            epoch: shared.epoch,
            counters: shared.counters,
            waker: shared.waker,
            deadlines: shared.deadlines,
            stop: shared.stop,
            cost_ns: 0,
        };
        let mut refused = None;
        for pair in given {
            let (port, pair) = pair.open();
            thread.adopt(port, pair?)?;
        }
        for (world, port) in in_use {
            if let Err(error) = thread.reopen(world, port) {
                tracing::error!("RTP port {port}, which a call is using, can't be opened again: {error}");
            }
        }
        thread.ports.sort_out();
        // One call gives up after some busy pairs; at the start the whole range is searched, if all can be opened.
        while let Some(error) = thread.fill_stock() {
            let is_final = is_out_of_descriptors(&error);
            refused = Some(error);
            if is_final {
                break;
            }
        }
        Ok((thread, refused))
    }

    /// Runs until told to stop. What the worlds have handed over by then is still sent. Returns the pairs, open.
    pub fn run(mut self) -> Vec<RtpPair> {
        // Made here, because what the system calls need can't be given to another thread.
        let (mut batch, mut sending) = (Batch::new(), Sending::new());
        let (mut busy_until_ns, mut gather_ns, mut previous_ns, mut retry_ns) = (0, 0, 0, 0);
        while !self.stop.load(Ordering::Acquire) {
            let quiet = monotonic_ns() >= busy_until_ns;
            if quiet {
                // Interrupted or not: the round that follows looks at everything.
                let _ = self.epoll.wait(&mut self.events, EpollTimeout::from(QUIET_MS));
            } else {
                self.waker.sleep_until(gather_ns);
            }
            self.waker.clear();
            let now_ns = monotonic_ns();
            if now_ns >= retry_ns {
                self.ports.retry_busy();
                self.ports.close_surplus(now_ns);
                retry_ns = now_ns + RETRY_NS;
            }
            self.serve(&mut sending);
            let now_ns = monotonic_ns();
            if quiet || now_ns >= gather_ns {
                if self.gather(&mut batch, previous_ns) > 0 {
                    busy_until_ns = now_ns + BUSY_NS;
                }
                previous_ns = now_ns;
                let done_ns = monotonic_ns();
                self.cost_ns = (self.cost_ns - self.cost_ns / 8).max(done_ns.saturating_sub(now_ns));
                let lead_ns = (LEAD_NS + self.cost_ns + self.cost_ns / 4).min(LEAD_NS_MAX);
                gather_ns = self.deadlines.next_gather_ns(done_ns, lead_ns);
            }
            self.pool.tell();
        }
        self.serve(&mut sending);
        self.ports.into_pairs()
    }
}
