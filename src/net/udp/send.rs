//! Sending SIP datagrams in batches.

use super::outlet::Datagram;
use super::peers::Peers;
use super::receive::Listener;
use super::thread::UdpThread;
use crate::net::address::{Source, to_system};
use crate::net::counters::Count;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};
use ringworld_components::edge::SendFailure;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

/// Datagrams in one batch.
const BATCH: usize = 64;
/// How often one datagram is tried when the socket reports the error of another one.
const TRIES_MAX: usize = 4;

/// What the system calls need for a batch: without a source address, and with one of either family.
pub(super) struct SendHeaders {
    plain: MultiHeaders<SockaddrStorage>,
    from_v4: MultiHeaders<SockaddrStorage>,
    from_v6: MultiHeaders<SockaddrStorage>,
}

impl SendHeaders {
    pub fn new() -> Self {
        Self {
            plain: MultiHeaders::preallocate(BATCH, None),
            from_v4: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(libc::in_pktinfo))),
            from_v6: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(libc::in6_pktinfo))),
        }
    }
}

/// A datagram with the address as the socket wants it.
struct Ready {
    datagram: Datagram,
    address: SockaddrStorage,
    /// Our address that it must leave from, where the socket has several.
    from: Option<IpAddr>,
}

impl UdpThread {
    /// Sends all that waits; returns how many datagrams there were.
    pub(super) fn send_waiting(&mut self, headers: &mut SendHeaders) -> usize {
        let mut total = 0;
        let mut batches: Vec<Vec<Ready>> = self.listeners.iter().map(|_| Vec::new()).collect();
        loop {
            let mut count = 0;
            for datagram in self.outgoing.try_iter().take(BATCH) {
                count += 1;
                let found = pick(&self.listeners, &self.peers, datagram.remote);
                match found.and_then(|found| batches.get_mut(found.index).map(|batch| (batch, found))) {
                    Some((batch, Way { address, from, .. })) => batch.push(Ready { datagram, address, from }),
                    None => {
                        self.inlet.counters.sip_udp_no_socket.one();
                        self.inlet.send_failed(datagram.transaction, SendFailure::Unreachable);
                    }
                }
            }
            if count == 0 {
                return total;
            }
            total += count;
            for (index, batch) in batches.iter_mut().enumerate() {
                for run in batch.chunk_by(|one, next| one.from == next.from) {
                    self.send_batch(index, run, headers);
                }
                batch.clear();
            }
        }
    }

    fn send_batch(&mut self, index: usize, batch: &[Ready], headers: &mut SendHeaders) {
        let Some(listener) = self.listeners.get(index) else { return };
        let (socket, v6) = (listener.socket.as_raw_fd(), listener.v6);
        let mut from = batch.first().and_then(|ready| ready.from);
        let (mut done, mut tries) = (0, 0);
        while let Some(rest) = batch.get(done..).filter(|rest| !rest.is_empty()) {
            match transmit(socket, v6, from, headers, rest) {
                Ok(sent) => {
                    rest.iter()
                        .take(sent)
                        .for_each(|ready| self.recent.note(ready.datagram.remote, ready.datagram.transaction));
                    self.inlet.counters.sip_udp_out.add(sent as u64);
                    (done, tries) = (done + sent.max(1), 0);
                }
                Err(error) => {
                    // The error may be that of an earlier datagram (ICMP), which is reported once and on any call.
                    let stale = matches!(error, Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::EINTR);
                    tries += 1;
                    if stale && tries < TRIES_MAX {
                        continue;
                    }
                    // The address may have been removed from this machine: then from whichever there is.
                    if from.take().is_some() {
                        continue;
                    }
                    self.give_up(rest.first(), error);
                    (done, tries) = (done + 1, 0);
                }
            }
        }
    }

    fn give_up(&self, ready: Option<&Ready>, error: Errno) {
        let Some(Ready { datagram, .. }) = ready else { return };
        if matches!(error, Errno::EAGAIN | Errno::ENOBUFS) {
            // As if lost on the way: the transaction will retransmit it.
            return self.inlet.counters.sip_udp_no_buffer.one();
        }
        self.inlet.counters.sip_udp_send_errors.one();
        self.inlet.send_failed(datagram.transaction, SendFailure::Unreachable);
    }
}

/// How a peer is reached.
struct Way {
    index: usize,
    address: SockaddrStorage,
    from: Option<IpAddr>,
}

/// The way to a peer: the socket and the address that it sent to, else the first socket that can reach it.
fn pick(listeners: &[Listener], peers: &Peers, remote: SocketAddr) -> Option<Way> {
    let way = |index: usize, from| {
        let listener = listeners.get(index)?;
        // A socket that is bound to an address of one family can't reach the other.
        let reaches = listener.bound.is_ipv4() == remote.is_ipv4() || listener.bound.ip().is_unspecified();
        to_system(remote, listener.v6).filter(|_| reaches).map(|address| Way {
            index,
            address: address.storage(),
            from,
        })
    };
    if let Some(known) = peers.get(&remote)
        && let Some(way) = way(known.socket, known.reached)
    {
        return Some(way);
    }
    // One that is bound to loopback reaches only loopback, so it comes last for other peers, and the other way round.
    let suits = |index: &usize| {
        listeners.get(*index).is_some_and(|listener| listener.bound.ip().is_loopback() == remote.ip().is_loopback())
    };
    let (suited, others): (Vec<usize>, Vec<usize>) = (0..listeners.len()).partition(suits);
    suited.into_iter().chain(others).find_map(|index| way(index, None))
}

fn transmit(
    socket: i32,
    v6: bool,
    from: Option<IpAddr>,
    headers: &mut SendHeaders,
    batch: &[Ready],
) -> nix::Result<usize> {
    let slices: Vec<[IoSlice; 1]> = batch.iter().map(|ready| [IoSlice::new(&ready.datagram.bytes)]).collect();
    let addresses: Vec<Option<SockaddrStorage>> = batch.iter().map(|ready| Some(ready.address)).collect();
    let source = from.and_then(|ip| Source::of(ip, v6));
    let control = source.as_ref().map(Source::control);
    let headers = match &source {
        Some(Source::V4(_)) => &mut headers.from_v4,
        Some(Source::V6(_)) => &mut headers.from_v6,
        None => &mut headers.plain,
    };
    sendmmsg(socket, headers, slices.iter(), addresses, control.as_slice(), MsgFlags::MSG_DONTWAIT)
        .map(|sent| sent.count())
}
