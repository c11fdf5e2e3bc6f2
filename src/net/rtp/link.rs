//! The rings between one RTP thread and one world. Only handles of buffers move through them.

use super::pool::Buffer;
use crate::net::counters::{Count, NetCounters};
use crate::net::wake::Waker;
use ringworld_components::call::QosClass;
use ringworld_components::edge::{Input, PacketPool};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;

/// What a world reports about a pair: the number is that of the RTP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortReport {
    Taken(u16),
    Released(u16),
    Marked(u16, QosClass),
}

/// The network's end.
pub(in crate::net) struct RtpLink {
    pub(super) received: Producer<Buffer>,
    pub(super) to_send: Consumer<Buffer>,
    pub(super) offers: Producer<u16>,
    pub(super) reports: Consumer<PortReport>,
    pub(super) empty_in: Consumer<Buffer>,
    pub(super) empty_out: Producer<Buffer>,
    /// Received in this round, pushed together.
    pub(super) staged: Vec<Buffer>,
}

/// The world's end.
pub(in crate::net) struct RtpEdge {
    received: Consumer<Buffer>,
    to_send: Producer<Buffer>,
    offers: Consumer<u16>,
    reports: Producer<PortReport>,
    empty_in: Consumer<Buffer>,
    empty_out: Producer<Buffer>,
    waker: Waker,
    counters: Arc<NetCounters>,
    has_news: bool,
}

/// Both ends, for rings of `packets` packets and a thread with `pairs` port pairs.
pub(in crate::net) fn link(
    packets: usize,
    pairs: usize,
    waker: Waker,
    counters: Arc<NetCounters>,
) -> (RtpLink, RtpEdge) {
    let (received, received_in) = RingBuffer::new(packets);
    let (to_send, to_send_in) = RingBuffer::new(packets);
    // A pair is offered once and reported twice before it is offered again, and marked seldom. A report that does not
    // fit is counted.
    let (offers, offers_in) = RingBuffer::new(pairs.max(1));
    let (reports, reports_in) = RingBuffer::new(pairs.max(1) * 4);
    let (empty_to_world, empty_at_world) = RingBuffer::new(packets);
    let (empty_to_thread, empty_at_thread) = RingBuffer::new(packets);
    let network = RtpLink {
        received,
        to_send: to_send_in,
        offers,
        reports: reports_in,
        empty_in: empty_at_thread,
        empty_out: empty_to_world,
        staged: Vec::new(),
    };
    let world = RtpEdge {
        received: received_in,
        to_send,
        offers: offers_in,
        reports,
        empty_in: empty_at_world,
        empty_out: empty_to_thread,
        waker,
        counters,
        has_news: false,
    };
    (network, world)
}

impl RtpLink {
    /// Pushes what was staged; returns what the ring had no room for.
    pub(super) fn push_staged(&mut self) -> (usize, std::vec::Drain<'_, Buffer>) {
        let room = self.received.slots().min(self.staged.len());
        // The oldest go first: of a burst that does not fit, the end is lost.
        if let Ok(chunk) = self.received.write_chunk_uninit(room) {
            chunk.fill_from_iter(self.staged.drain(..room));
        }
        (room, self.staged.drain(..))
    }
}

impl RtpEdge {
    /// The ports offered since the last time, at most `max`.
    pub fn take_offers(&mut self, inputs: &mut Vec<Input>, max: usize) {
        let count = self.offers.slots().min(max);
        if let Ok(chunk) = self.offers.read_chunk(count) {
            inputs.extend(chunk.into_iter().map(Input::PortOpened));
        }
    }

    /// The packets received, at most `max`; returns how many.
    pub fn take_packets(&mut self, inputs: &mut Vec<Input>, max: usize) -> usize {
        let count = self.received.slots().min(max);
        if let Ok(chunk) = self.received.read_chunk(count) {
            inputs.extend(chunk.into_iter().map(Input::Rtp));
        }
        count
    }

    /// Reports that a pair was taken out of stock.
    pub fn taken(&mut self, port: u16) {
        self.report(PortReport::Taken(port));
    }

    /// Reports that a pair is free again. To be called after the last packet for it was pushed.
    pub fn released(&mut self, port: u16) {
        self.report(PortReport::Released(port));
    }

    /// Reports that the packets of a pair are of another class.
    pub fn marked(&mut self, port: u16, class: QosClass) {
        self.report(PortReport::Marked(port, class));
    }

    fn report(&mut self, report: PortReport) {
        self.has_news = true;
        if self.reports.push(report).is_err() {
            self.counters.ports_misreported.one();
        }
    }

    /// Hands a packet over for sending, or drops and counts it.
    pub fn push(&mut self, packet: Buffer) {
        self.has_news = true;
        if self.to_send.push(packet).is_err() {
            self.counters.rtp_out_ring_full.one();
            self.counters.rtp_buffers.subtract(1);
        }
    }

    /// Empty buffers on their way, in either direction.
    pub fn under_way(&self) -> usize {
        self.empty_in.slots() + (self.empty_out.buffer().capacity() - self.empty_out.slots())
    }

    /// Wakes the thread if something was pushed since the last time.
    pub fn flush(&mut self) {
        if std::mem::take(&mut self.has_news) {
            self.waker.wake();
        }
    }

    /// Evens out the buffers: a world that receives more than it sends gives some back, one that sends more gets some.
    pub fn balance(&mut self, pool: &mut PacketPool, low: usize, high: usize) {
        let free = pool.free();
        if free > high {
            let count = self.empty_out.slots().min(free - high);
            if let Ok(chunk) = self.empty_out.write_chunk_uninit(count) {
                chunk.fill_from_iter(pool.spare(count));
            }
        } else if free < low {
            let count = self.empty_in.slots().min(low - free);
            if let Ok(chunk) = self.empty_in.read_chunk(count) {
                chunk.into_iter().for_each(|packet| pool.give(packet));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> (RtpLink, RtpEdge, Arc<NetCounters>) {
        let counters = Arc::new(NetCounters::default());
        let (link, edge) = link(4, 2, Waker::new().unwrap(), counters.clone());
        (link, edge, counters)
    }

    #[test]
    fn a_full_ring_keeps_the_oldest_and_gives_the_rest_back() {
        let (mut link, mut edge, _) = small();
        for port in 1..=6 {
            let mut packet = Buffer::default();
            packet.port = port;
            link.staged.push(packet);
        }
        let (pushed, rest) = link.push_staged();
        assert_eq!(pushed, 4);
        assert_eq!(rest.map(|packet| packet.port).collect::<Vec<_>>(), [5, 6]);
        let mut inputs = Vec::new();
        assert_eq!(edge.take_packets(&mut inputs, 3), 3, "a bound is a bound");
        assert_eq!(edge.take_packets(&mut inputs, 3), 1);
        let ports = inputs.iter().map(|input| if let Input::Rtp(packet) = input { packet.port } else { 0 });
        assert_eq!(ports.collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn what_a_world_sends_into_a_full_ring_is_counted() {
        let (mut link, mut edge, counters) = small();
        for _ in 0..6 {
            edge.push(Box::default());
        }
        assert_eq!(counters.snapshot().rtp_out_ring_full, 2);
        assert_eq!(link.to_send.slots(), 4);
        assert!(link.to_send.pop().is_ok());
    }

    #[test]
    fn buffers_flow_to_where_they_are_missing() {
        let (mut link, mut edge, _) = small();
        let mut pool = PacketPool::new(10);
        (0..8).for_each(|_| pool.give(Box::default()));
        edge.balance(&mut pool, 2, 6);
        assert_eq!((pool.free(), link.empty_in.slots()), (6, 2));
        link.empty_out.push(Box::default()).unwrap();
        (0..5).for_each(|_| drop(pool.take()));
        edge.balance(&mut pool, 2, 6);
        assert_eq!(pool.free(), 2);
    }
}
