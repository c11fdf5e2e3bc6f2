//! The way of signalling from the network threads into the worlds.

use super::counters::{Count, NetCounters};
use super::given::Untaken;
use bytes::Bytes;
use crossbeam::channel::{Sender, TrySendError};
use ringworld_components::edge::{Flow, Input, SendFailure};
use ringworld_components::kernel::StableId;
use ringworld_components::wire::sip::{self, Message};
use std::sync::Arc;

/// Which world a message belongs to; the worlds are numbered from 0. An answer out of range is taken modulo their
/// number.
pub type Router = Arc<dyn Fn(&Message) -> usize + Send + Sync>;

/// Parses, routes and delivers.
#[derive(Clone)]
pub(super) struct Inlet {
    pub limits: sip::Limits,
    pub router: Router,
    pub worlds: Vec<Sender<Input>>,
    pub counters: Arc<NetCounters>,
}

/// The result of offering an input to a world.
pub(super) enum Delivery {
    /// It is in the world's ring, or the world has ended.
    Done,
    /// The ring is full.
    Full(Input),
}

impl Inlet {
    /// The message as an input and the world it is for. None, and counted, if it gets no answer.
    pub fn parse(&self, flow: Flow, bytes: Bytes) -> Option<(usize, Input)> {
        let parsed = sip::parse_datagram(bytes.clone(), &self.limits);
        let world = match &parsed {
            Ok(message) => (self.router)(message) % self.worlds.len().max(1),
            Err(malformed) => {
                self.counters.count_malformed(malformed.reason.as_str());
                if malformed.response.is_none() {
                    self.counters.sip_malformed_dropped.one();
                    return None;
                }
                // The refusal needs no state of a call, so any world may write it; always the same one, for the
                // retransmissions.
                0
            }
        };
        Some((world, Input::Sip { flow, bytes, message: Box::new(parsed) }))
    }

    /// Offers an input to a world without waiting.
    pub fn offer(&self, world: usize, input: Input) -> Delivery {
        let Some(ring) = self.worlds.get(world) else { return Delivery::Done };
        match ring.try_send(input) {
            Err(TrySendError::Full(input)) => Delivery::Full(input),
            Ok(()) | Err(TrySendError::Disconnected(_)) => Delivery::Done,
        }
    }

    /// Delivers a message, or drops and counts it.
    pub fn deliver(&self, world: usize, input: Input) {
        if let Delivery::Full(_) = self.offer(world, input) {
            self.counters.sip_in_ring_full.one();
        }
    }

    /// Delivers what no world had taken when the sockets were handed over. The rings are as large as the old ones.
    pub fn deliver_again(&self, untaken: Untaken) {
        match untaken {
            Untaken::Sip(flow, bytes) => {
                if let Some((world, input)) = self.parse(flow, bytes) {
                    self.deliver(world, input);
                }
            }
            Untaken::Opened(world, flow) => self.deliver(world, Input::ConnOpened(flow)),
            Untaken::Closed(world, conn) => self.deliver(world, Input::ConnClosed(conn)),
            Untaken::Failed(transaction, failure) => self.send_failed(transaction, failure),
        }
    }

    /// Counts a message that its TCP connection did not take, and tells its transaction.
    pub fn not_sent(&self, transaction: StableId) {
        self.counters.sip_tcp_out_dropped.one();
        self.send_failed(transaction, SendFailure::Connection);
    }

    /// Tells the world whose transaction it is that a message could not be sent.
    pub fn send_failed(&self, transaction: StableId, failure: SendFailure) {
        if transaction.0 == 0 {
            return;
        }
        let failed = Input::SendFailed { transaction, failure };
        if let Delivery::Full(_) = self.offer(usize::from(transaction.world()), failed) {
            // The transaction's timer reports the failure instead.
            self.counters.send_failed_lost.one();
        }
    }
}

/// Whether a datagram is a keep-alive for a NAT binding (RFC 5626 section 3.5.1, RFC 6223): nothing but line ends
/// or zeros.
pub(super) fn is_keep_alive(datagram: &[u8]) -> bool {
    datagram.len() <= 8 && datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_zeros_are_keep_alives() {
        for datagram in [&b"\r\n\r\n"[..], b"\r\n", b"\0", b"", b"\0\0\0\0"] {
            assert!(is_keep_alive(datagram), "{datagram:?}");
        }
        assert!(!is_keep_alive(b"\r\n\r\nOPTIONS"));
        assert!(!is_keep_alive(b"jaK"));
    }
}
