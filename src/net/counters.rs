//! The counters of the network threads: everything that was received, sent or dropped, by cause.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Arithmetic on a counter or gauge. None of them orders other memory accesses.
pub(super) trait Count {
    /// Adds.
    fn add(&self, n: u64);
    /// Subtracts: gauges only.
    fn subtract(&self, n: u64);
    /// Adds one.
    fn one(&self) {
        self.add(1);
    }
}

impl Count for AtomicU64 {
    fn add(&self, n: u64) {
        if n > 0 {
            self.fetch_add(n, Ordering::Relaxed);
        }
    }

    fn subtract(&self, n: u64) {
        self.fetch_sub(n, Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters that all network threads share. Those that say so are gauges: they also fall.
        #[derive(Debug, Default)]
        pub struct NetCounters {
            $($(#[$doc])* pub $name: AtomicU64,)*
            malformed: Mutex<BTreeMap<&'static str, u64>>,
        }

        /// The counters at one moment.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct NetSnapshot {
            $($(#[$doc])* pub $name: u64,)*
            /// Malformed SIP messages by reason, answered ones included.
            pub malformed: BTreeMap<&'static str, u64>,
        }

        impl NetCounters {
            /// The counters now. They are read one after the other, while the threads go on.
            pub fn snapshot(&self) -> NetSnapshot {
                NetSnapshot {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    malformed: self.malformed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                }
            }
        }
    };
}

counters! {
    /// SIP messages received over UDP, malformed ones included.
    sip_udp_in,
    /// SIP messages sent over UDP.
    sip_udp_out,
    /// SIP messages received over TCP, malformed ones included.
    sip_tcp_in,
    /// SIP messages handed to a TCP connection.
    sip_tcp_out,
    /// Keep-alives over UDP or TCP.
    sip_keep_alives,
    /// Malformed messages dropped without an answer.
    sip_malformed_dropped,
    /// SIP messages dropped because a world's ring for control inputs was full.
    sip_in_ring_full,
    /// SIP messages dropped because the ring of a sending thread was full.
    sip_out_ring_full,
    /// SIP datagrams that the kernel had no room for.
    sip_udp_no_buffer,
    /// SIP datagrams that the kernel refused to send.
    sip_udp_send_errors,
    /// ICMP errors for SIP datagrams.
    sip_udp_unreachable,
    /// SIP datagrams without a socket of the address family.
    sip_udp_no_socket,
    /// Reports of a failed send that were lost because a world's ring was full.
    send_failed_lost,
    /// Large requests that went over TCP in place of UDP.
    sip_large_over_tcp,
    /// Large requests that came back to UDP because no TCP connection could be opened.
    sip_large_over_udp,
    /// Repeats of large requests that were held back: a request that was sent over TCP is not repeated.
    sip_large_repeats_withheld,
    /// TCP connections open now (a gauge).
    tcp_connections,
    /// TCP connections accepted.
    tcp_accepted,
    /// TCP connections opened by us.
    tcp_connected,
    /// TCP connections refused because of the limit of connections.
    tcp_refused,
    /// TCP connections that failed to open, in time or at all.
    tcp_connect_failed,
    /// TCP connections closed because nothing came or went for long.
    tcp_idle_closed,
    /// TCP connections closed because the peer read too slowly, or did not end a message that it had begun.
    tcp_slow_closed,
    /// TCP connections closed because their bytes were no SIP, or too many.
    tcp_framing_closed,
    /// TCP connections that these threads went on with, from others or from another process.
    tcp_taken_over,
    /// TCP connections that could not be handed over or gone on with, and were closed.
    tcp_left_behind,
    /// SIP messages dropped because their TCP connection broke or could not be opened.
    sip_tcp_out_dropped,
    /// RTP and RTCP packets handed to a world.
    rtp_in,
    /// RTP and RTCP packets sent.
    rtp_out,
    /// RTP packets dropped because they are larger than a buffer.
    rtp_oversize,
    /// RTP packets dropped because a world's ring was full.
    rtp_in_ring_full,
    /// RTP packets of a world dropped because the ring to the network thread was full.
    rtp_out_ring_full,
    /// RTP packets dropped because no buffer was free.
    rtp_pool_empty,
    /// RTP packets dropped because their port is neither a call's (any more) nor offered to a world.
    rtp_unclaimed,
    /// RTP packets that a world sent from a port that it does not hold.
    rtp_foreign_port,
    /// RTP packets that the kernel had no room for.
    rtp_no_buffer,
    /// RTP packets that the kernel refused to send.
    rtp_send_errors,
    /// Errors of receiving on an RTP or RTCP port.
    rtp_receive_errors,
    /// Packet buffers that there are, in use or not (a gauge).
    rtp_buffers,
    /// Buffers that are free in the worlds' pools or on their way from one pool to another (a gauge).
    rtp_buffers_spare,
    /// Buffers that are free in the network threads' pools (a gauge).
    rtp_buffers_free,
    /// Buffers freed because pool and ring were full.
    rtp_buffers_freed,
    /// Port pairs that are open (a gauge).
    ports_open,
    /// Port pairs that the worlds use (a gauge).
    ports_taken,
    /// Port pairs that are offered to the worlds and not in use (a gauge).
    ports_offered,
    /// Attempts to open a port pair that another process holds.
    ports_busy,
    /// Wrong port reports of a world: it took or released a pair that it does not hold.
    ports_misreported,
    /// Port pairs whose DSCP could not be set.
    marks_refused,
}

impl NetCounters {
    /// Packet buffers that hold a packet. The gauges move one after the other, so this is a buffer or two off at times,
    /// but not when all is quiet.
    pub fn buffers_in_use(&self) -> u64 {
        let free = self.rtp_buffers_free.load(Ordering::Relaxed) + self.rtp_buffers_spare.load(Ordering::Relaxed);
        self.rtp_buffers.load(Ordering::Relaxed).saturating_sub(free)
    }

    pub(super) fn count_malformed(&self, reason: &'static str) {
        let mut reasons = self.malformed.lock().unwrap_or_else(PoisonError::into_inner);
        *reasons.entry(reason).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_names_every_counter_and_reason() {
        let counters = NetCounters::default();
        counters.rtp_in.add(3);
        counters.tcp_connections.one();
        counters.tcp_connections.subtract(1);
        counters.count_malformed("missing Via");
        let snapshot = counters.snapshot();
        assert_eq!((snapshot.rtp_in, snapshot.tcp_connections), (3, 0));
        let json = serde_json::to_value(&snapshot).unwrap();
        assert_eq!(json["malformed"]["missing Via"], 1);
        assert_eq!(json["rtp_in"], 3);
    }
}
