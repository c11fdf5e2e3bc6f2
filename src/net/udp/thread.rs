//! The UDP thread: its state and its rounds.

use super::outlet::Datagram;
use super::peers::Peers;
use super::receive::{Buffers, Listener};
use super::refusals::Recent;
use super::send::SendHeaders;
use crate::net::address::canonical;
use crate::net::clock::monotonic_ns;
use crate::net::inlet::Inlet;
use crate::net::wake::{Deadlines, Waker};
use crossbeam::channel::Receiver;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Datagrams of one round from which on the thread keeps to the worlds' pace.
const BUSY: usize = 4;
/// How long it does so after the last such round, in nanoseconds.
const BUSY_NS: u64 = 30_000_000;
/// How early before a deadline a round begins at least, in nanoseconds.
const LEAD_NS: u64 = 250_000;
/// How early at most.
const LEAD_NS_MAX: u64 = 2_500_000;
/// How long a quiet thread blocks at most, in milliseconds.
const QUIET_MS: u16 = 1_000;

/// The bound sockets of SIP over UDP.
pub(in crate::net) type UdpSocketSet = Vec<UdpSocket>;

/// Carries SIP between the UDP sockets and all worlds.
pub(in crate::net) struct UdpThread {
    pub(super) listeners: Vec<Listener>,
    pub(super) outgoing: Receiver<Datagram>,
    pub(super) inlet: Inlet,
    pub(super) peers: Peers,
    /// Whether it matters where a peer sent to: there is more than one address.
    pub(super) peers_matter: bool,
    pub(super) recent: Recent,
    epoll: Epoll,
    waker: Waker,
    deadlines: Arc<Deadlines>,
    stop: Arc<AtomicBool>,
}

impl UdpThread {
    pub fn new(
        sockets: UdpSocketSet,
        outgoing: Receiver<Datagram>,
        inlet: Inlet,
        waker: Waker,
        deadlines: Arc<Deadlines>,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&waker, EpollEvent::new(EpollFlags::EPOLLIN, u64::MAX))?;
        let mut listeners = Vec::with_capacity(sockets.len());
        for (socket, index) in sockets.into_iter().zip(0..) {
            epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, index))?;
            let address = socket.local_addr()?;
            listeners.push(Listener { bound: canonical(address), v6: address.is_ipv6(), socket });
        }
        Ok(Self {
            peers: Peers::default(),
            peers_matter: listeners.len() > 1 || listeners.iter().any(|listener| listener.bound.ip().is_unspecified()),
            listeners,
            outgoing,
            inlet,
            recent: Recent::default(),
            epoll,
            waker,
            deadlines,
            stop,
        })
    }

    /// Runs until told to stop. What the worlds have handed over by then is still sent.
    pub fn run(mut self) {
        let mut headers = SendHeaders::new();
        let mut buffers: Vec<Buffers> = self.listeners.iter().map(|_| Buffers::new()).collect();
        let mut events = [EpollEvent::empty(); 16];
        let (mut busy_until_ns, mut receive_ns) = (0, 0);
        while !self.stop.load(Ordering::Acquire) {
            let quiet = monotonic_ns() >= busy_until_ns;
            if quiet {
                // Interrupted or not: the round that follows looks at everything.
                let _ = self.epoll.wait(&mut events, EpollTimeout::from(QUIET_MS));
            } else {
                self.waker.sleep_until(receive_ns);
            }
            self.waker.clear();
            self.send_waiting(&mut headers);
            let now_ns = monotonic_ns();
            if quiet || now_ns >= receive_ns {
                self.read_refusals();
                if self.receive(&mut buffers) >= BUSY {
                    busy_until_ns = now_ns + BUSY_NS;
                }
                // Parsing takes its time, and must be done when the worlds begin their tick.
                let done_ns = monotonic_ns();
                let cost_ns = done_ns.saturating_sub(now_ns);
                let lead_ns = (LEAD_NS + cost_ns + cost_ns / 4).min(LEAD_NS_MAX);
                receive_ns = self.deadlines.next_gather_ns(done_ns, lead_ns);
            }
        }
        self.send_waiting(&mut headers);
    }
}
