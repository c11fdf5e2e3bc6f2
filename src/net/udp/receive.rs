//! Receiving SIP datagrams in batches.

use super::peers::SpokenTo;
use super::thread::UdpThread;
use crate::net::address::{from_system, local_towards, reached};
use crate::net::counters::Count;
use crate::net::inlet::is_keep_alive;
use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use ringworld_components::edge::{ConnId, Flow, Transport};
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Datagrams in one batch.
pub(super) const BATCH: usize = 32;
/// The largest UDP payload, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Batches taken from one socket in one round, so that a flood does not keep the thread from sending.
const BATCHES_MAX: usize = 64;

/// Where a batch from one socket is received into: pages that no datagram has reached yet cost nothing.
pub(super) struct Buffers {
    bytes: Vec<Vec<u8>>,
    headers: MultiHeaders<SockaddrStorage>,
}

impl Buffers {
    pub fn new() -> Self {
        let control = nix::cmsg_space!(nix::libc::in6_pktinfo);
        Self {
            bytes: (0..BATCH).map(|_| vec![0; DATAGRAM_BYTES_MAX]).collect(),
            headers: MultiHeaders::preallocate(BATCH, Some(control)),
        }
    }
}

/// A bound socket.
pub(super) struct Listener {
    pub socket: UdpSocket,
    /// Where it is bound, canonical.
    pub bound: SocketAddr,
    /// Whether it takes the v4-mapped form of IPv4 addresses.
    pub v6: bool,
}

impl UdpThread {
    /// Takes everything that has arrived; returns how many datagrams there were.
    pub(super) fn receive(&mut self, buffers: &mut [Buffers]) -> usize {
        let listeners = std::mem::take(&mut self.listeners);
        let mut total = 0;
        for (index, (listener, buffers)) in listeners.iter().zip(buffers).enumerate() {
            for _ in 0..BATCHES_MAX {
                let count = self.receive_batch(index, listener, buffers);
                total += count;
                if count < BATCH {
                    break;
                }
            }
        }
        self.listeners = listeners;
        total
    }

    fn receive_batch(&mut self, index: usize, listener: &Listener, buffers: &mut Buffers) -> usize {
        let Listener { socket, bound, .. } = listener;
        let Buffers { bytes, headers } = buffers;
        let mut slices: Vec<[IoSliceMut; 1]> = bytes.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let mut batch = Vec::with_capacity(BATCH);
        match recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => {
                batch.extend(messages.map(|message| {
                    let remote = message.address.as_ref().and_then(from_system);
                    (message.bytes, remote, reached(&message))
                }));
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // An ICMP error of some earlier datagram, reported here; the error queue has the details.
            Err(_) => return BATCH,
        }
        for ((len, remote, reached), buffer) in batch.iter().zip(bytes.iter()) {
            if let (Some(remote), Some(datagram)) = (remote, buffer.get(..*len)) {
                self.take(index, *bound, *remote, *reached, datagram);
            }
        }
        batch.len()
    }

    fn take(&mut self, index: usize, bound: SocketAddr, remote: SocketAddr, reached: Option<IpAddr>, datagram: &[u8]) {
        if is_keep_alive(datagram) {
            return self.inlet.counters.sip_keep_alives.one();
        }
        self.inlet.counters.sip_udp_in.one();
        let ip = if bound.ip().is_unspecified() { reached.or_else(|| local_towards(remote).ok()) } else { None };
        let local = SocketAddr::new(ip.unwrap_or(bound.ip()), bound.port());
        if self.peers_matter {
            self.peers.note(remote, SpokenTo { socket: index, reached: ip });
        }
        let flow = Flow { transport: Transport::Udp, local, remote, conn: ConnId::NONE };
        if let Some((world, input)) = self.inlet.parse(flow, Bytes::copy_from_slice(datagram)) {
            self.inlet.deliver(world, input);
        }
    }
}
