//! The end of the network that a world's tick thread owns.

use super::counters::{Count, NetCounters};
use super::given::Leftovers;
use super::rtp::RtpEdge;
use super::tcp::{TcpOrder, TcpOutlet};
use super::udp::{Datagram, UdpOutlet};
use super::wake::Deadlines;
use crossbeam::channel::{Receiver, Sender};
use ringworld_components::edge::{Command, Input, Output, PacketPool, RtpOut, Transport};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A larger request is sent over TCP in place of UDP, in bytes (RFC 3261 section 18.1.1: within 200 bytes of an unknown
/// path MTU).
const UDP_REQUEST_BYTES_MAX: usize = 1_300;

/// One world's inputs and outputs. It never blocks: what does not fit is dropped and counted.
pub struct WorldEdge {
    pub(super) world: usize,
    pub(super) control: Receiver<Input>,
    pub(super) commands: (Sender<Command>, Receiver<Command>),
    pub(super) rtp: Vec<RtpEdge>,
    pub(super) udp: UdpOutlet,
    pub(super) tcp: TcpOutlet,
    pub(super) deadlines: Arc<Deadlines>,
    pub(super) counters: Arc<NetCounters>,
    /// The RTP thread to ask first for packets, so that none is favoured.
    pub(super) turn: usize,
    pub(super) released: Vec<u16>,
    /// The values that the gauges last got: spare buffers, and buffers allocated here.
    pub(super) told_spare: u64,
    pub(super) told_made: u64,
}

impl WorldEdge {
    /// The number of the world, from 0.
    pub fn world(&self) -> usize {
        self.world
    }

    /// Appends what has come in: offered ports, signalling in the order of its arrival, commands, and then packets. Of
    /// each of the four at most `max`; what remains waits for the next call.
    pub fn drain(&mut self, inputs: &mut Vec<Input>, max: usize) {
        for rtp in &mut self.rtp {
            rtp.take_offers(inputs, max);
        }
        inputs.extend(self.control.try_iter().take(max));
        inputs.extend(self.commands.1.try_iter().take(max).map(Input::Command));
        let (threads, mut room) = (self.rtp.len(), max);
        for step in 0..threads {
            if let Some(rtp) = self.rtp.get_mut((self.turn + step) % threads) {
                room -= rtp.take_packets(inputs, room);
            }
        }
        self.turn = self.turn.wrapping_add(1);
    }

    /// Hands a tick's outputs to the network threads and wakes those that have something to do. Events and replies are
    /// not for the network and are left out.
    pub fn send(&mut self, control: impl IntoIterator<Item = Output>, rtp: impl IntoIterator<Item = RtpOut>) {
        for output in control {
            match output {
                Output::Sip { target, bytes, transaction } => {
                    let large = bytes.len() > UDP_REQUEST_BYTES_MAX && !bytes.starts_with(b"SIP/2.0 ");
                    if target.transport == Transport::Tcp || large {
                        let or_udp = target.transport == Transport::Udp;
                        self.tcp.push(TcpOrder { target, bytes, transaction, or_udp });
                    } else {
                        self.udp.push(Datagram { remote: target.remote, bytes, transaction });
                    }
                }
                // Before the message that names the port leaves, and before packets are sent from it.
                Output::PortTaken(port) => self.with_owner(port, |rtp| rtp.taken(port)),
                Output::PortMarked(port, class) => self.with_owner(port, |rtp| rtp.marked(port, class)),
                Output::PortReleased(port) => self.released.push(port),
                Output::Event(_) | Output::Reply(_) => {}
            }
        }
        for RtpOut(packet) in rtp {
            self.with_owner(packet.port, |rtp| rtp.push(packet));
        }
        // After the last packets that were sent from it.
        for port in std::mem::take(&mut self.released) {
            self.with_owner(port, |rtp| rtp.released(port));
        }
        self.rtp.iter_mut().for_each(RtpEdge::flush);
        self.udp.flush();
    }

    fn with_owner(&mut self, port: u16, act: impl FnOnce(&mut RtpEdge)) {
        let index = owner(port, self.rtp.len());
        match self.rtp.get_mut(index) {
            Some(rtp) => act(rtp),
            None => self.counters.ports_misreported.one(),
        }
    }

    /// Tells the network threads when the world's next tick begins, in nanoseconds of the monotonic clock
    /// ([`Pacer::next_deadline_ns`](super::Pacer::next_deadline_ns)), so that they have everything gathered by then.
    pub fn publish_deadline(&self, next_ns: u64) {
        self.deadlines.publish(self.world, next_ns);
    }

    /// Where commands for this world are put. The ring is bounded: `try_send` says when it is full.
    pub fn commands(&self) -> Sender<Command> {
        self.commands.0.clone()
    }

    /// Evens out the buffers between the world's pool and the network threads: to be called once a tick with the pool's
    /// share. Between a quarter and all of the share stays in the pool.
    pub fn balance(&mut self, pool: &mut PacketPool, share: usize) {
        for rtp in &mut self.rtp {
            rtp.balance(pool, share / 4, share);
        }
        let spare = pool.free() + self.rtp.iter().map(RtpEdge::under_way).sum::<usize>();
        move_gauge(&self.counters.rtp_buffers_spare, &mut self.told_spare, spare as u64);
        move_gauge(&self.counters.rtp_buffers, &mut self.told_made, pool.misses.wrapping_sub(pool.freed));
    }

    /// What is left in the ring when the world stops.
    pub fn leftovers(&self) -> Leftovers {
        Leftovers { world: self.world, control: self.control.clone() }
    }

    /// Packet buffers of the process that hold a packet.
    pub fn buffers_in_use(&self) -> u64 {
        self.counters.buffers_in_use()
    }
}

/// Moves a gauge that several share by what has changed here since the last call.
fn move_gauge(gauge: &AtomicU64, told: &mut u64, now: u64) {
    // It wraps, as the gauge does: a fall is a rise by almost everything.
    gauge.add(now.wrapping_sub(*told));
    *told = now;
}

/// Which of `threads` RTP threads has a port.
pub(super) fn owner(port: u16, threads: usize) -> usize {
    usize::from(port / 2) % threads.max(1)
}
