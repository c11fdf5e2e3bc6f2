//! The free buffers of one RTP thread.

use super::link::RtpLink;
use crate::net::counters::{Count, NetCounters};
use ringworld_components::edge::Packet;
use rtrb::Producer;
use std::sync::Arc;

/// A buffer, by its handle: it is moved about, its content never is.
pub(super) type Buffer = Box<Packet>;

/// Buffers to receive into. All are allocated at the start; their number can fall, never rise beyond that.
pub(super) struct Pool {
    free: Vec<Buffer>,
    size: usize,
    /// The value that the gauge last got.
    told: u64,
    counters: Arc<NetCounters>,
}

impl Pool {
    pub fn new(size: usize, counters: Arc<NetCounters>) -> Self {
        let mut pool = Self { free: (0..size).map(|_| Box::default()).collect(), size, told: 0, counters };
        pool.tell();
        pool.counters.rtp_buffers.add(size as u64);
        pool
    }

    pub fn take(&mut self) -> Option<Buffer> {
        self.free.pop()
    }

    /// Takes a buffer back that a packet was sent from. A surplus one goes to the world that sent it: it has too few.
    pub fn give(&mut self, packet: Buffer, to_sender: &mut Producer<Buffer>) {
        if self.free.len() < self.size {
            self.free.push(packet);
        } else if to_sender.push(packet).is_err() {
            self.count_freed();
        }
    }

    /// Takes a buffer back that was not used.
    pub fn give_back(&mut self, packet: Buffer) {
        if self.free.len() < self.size {
            self.free.push(packet);
        } else {
            self.count_freed();
        }
    }

    fn count_freed(&self) {
        self.counters.rtp_buffers_freed.one();
        self.counters.rtp_buffers.subtract(1);
    }

    /// Takes back what a world has too many of.
    pub fn collect(&mut self, link: &mut RtpLink) {
        let count = link.empty_in.slots().min(self.size.saturating_sub(self.free.len()));
        if count > 0
            && let Ok(chunk) = link.empty_in.read_chunk(count)
        {
            self.free.extend(chunk);
        }
    }

    /// Brings the gauge up to date.
    pub fn tell(&mut self) {
        let now = self.free.len() as u64;
        if now > self.told {
            self.counters.rtp_buffers_free.add(now - self.told);
        } else if now < self.told {
            self.counters.rtp_buffers_free.subtract(self.told - now);
        }
        self.told = now;
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::link;
    use super::*;
    use crate::net::wake::Waker;

    #[test]
    fn surplus_goes_to_the_sender_and_is_freed_when_that_is_full_too() {
        let counters = Arc::new(NetCounters::default());
        // The two that are given beyond those of the pool.
        counters.rtp_buffers.add(2);
        let (mut near, _far) = link(1, 1, Waker::new().unwrap(), counters.clone());
        let mut pool = Pool::new(1, counters.clone());
        let first = pool.take().unwrap();
        assert!(pool.take().is_none());
        pool.give(first, &mut near.empty_out);
        pool.give(Box::default(), &mut near.empty_out);
        pool.give(Box::default(), &mut near.empty_out);
        assert_eq!(near.empty_out.slots(), 0);
        pool.tell();
        let snapshot = counters.snapshot();
        assert_eq!((snapshot.rtp_buffers_free, snapshot.rtp_buffers_freed, snapshot.rtp_buffers), (1, 1, 2));
    }
}
