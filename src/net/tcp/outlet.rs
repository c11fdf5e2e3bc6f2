//! The way of orders from the worlds to the TCP thread.

use crate::net::counters::Count;
use crate::net::inlet::Inlet;
use bytes::Bytes;
use ringworld_components::edge::{SendFailure, Target};
use ringworld_components::kernel::StableId;
use tokio::sync::mpsc;

/// An order of a world to the TCP thread: send a message.
#[derive(Debug)]
pub(in crate::net) struct TcpOrder {
    pub target: Target,
    pub bytes: Bytes,
    /// The transaction to tell if it fails; 0 for none.
    pub transaction: StableId,
    /// Whether it is a UDP request that is too large for a datagram, and goes over UDP all the same if the peer can't be
    /// reached over TCP.
    pub or_udp: bool,
}

/// A world's end.
#[derive(Clone)]
pub(in crate::net) struct TcpOutlet {
    pub ring: mpsc::Sender<TcpOrder>,
    pub inlet: Inlet,
}

impl TcpOutlet {
    /// Queues an order; the thread wakes by itself. One that does not fit is counted, and its transaction told: TCP
    /// does not repeat what never entered it.
    pub fn push(&self, order: TcpOrder) {
        if let Err(mpsc::error::TrySendError::Full(order)) = self.ring.try_send(order) {
            self.inlet.counters.sip_out_ring_full.one();
            self.inlet.send_failed(order.transaction, SendFailure::Full);
        }
    }
}
