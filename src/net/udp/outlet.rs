//! The way of datagrams from the worlds to the UDP thread.

use crate::net::counters::{Count, NetCounters};
use crate::net::wake::Waker;
use bytes::Bytes;
use crossbeam::channel::Sender;
use ringworld_components::kernel::StableId;
use std::net::SocketAddr;
use std::sync::Arc;

/// A SIP message to send over UDP.
#[derive(Clone, Debug)]
pub(in crate::net) struct Datagram {
    pub remote: SocketAddr,
    pub bytes: Bytes,
    /// The transaction to tell if it fails; 0 for none.
    pub transaction: StableId,
}

/// A sender's end. Every sender has its own.
#[derive(Clone)]
pub(in crate::net) struct UdpOutlet {
    ring: Sender<Datagram>,
    waker: Waker,
    counters: Arc<NetCounters>,
    has_news: bool,
}

impl UdpOutlet {
    pub fn new(ring: Sender<Datagram>, waker: Waker, counters: Arc<NetCounters>) -> Self {
        Self { ring, waker, counters, has_news: false }
    }

    /// Queues a datagram, or drops and counts it: UDP may lose a datagram anyway.
    pub fn push(&mut self, datagram: Datagram) {
        self.has_news = true;
        if self.ring.try_send(datagram).is_err() {
            self.counters.sip_out_ring_full.one();
        }
    }

    /// Wakes the thread if something was pushed since the last time.
    pub fn flush(&mut self) {
        if std::mem::take(&mut self.has_news) {
            self.waker.wake();
        }
    }
}
