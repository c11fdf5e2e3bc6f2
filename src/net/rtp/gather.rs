//! Receiving: from the ready sockets straight into buffers of the pool.

use super::pool::Buffer;
use super::thread::RtpThread;
use crate::net::address::{from_system, reached};
use crate::net::clock::{monotonic_ns, realtime_ns};
use crate::net::counters::Count;
use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg};
use nix::sys::time::TimeSpec;
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Sockets looked at in one call.
pub(super) const EVENTS_MAX: usize = 1_024;
/// Packets taken from one socket in one call. Most sockets have one; those that have more were read late.
const BATCH: usize = 4;
/// Packets taken in one round, so that a flood does not keep the thread from sending.
const PACKETS_MAX: usize = 4_096;
/// Datagrams thrown away from a socket that changes hands; what comes later is dropped when it comes.
const STRAGGLERS_MAX: usize = 256;

/// The two clocks at the beginning of a round: the kernel stamps with one, the world counts with the other.
#[derive(Clone, Copy)]
pub(super) struct RoundClock {
    now_ns: u64,
    previous_ns: u64,
    real_minus_monotonic_ns: i64,
}

impl RoundClock {
    fn new(now_ns: u64, previous_ns: u64) -> Self {
        Self { now_ns, previous_ns, real_minus_monotonic_ns: realtime_ns().saturating_sub(now_ns as i64) }
    }

    /// The monotonic time of a stamp. A packet of this round came after the previous one, whatever happened to the
    /// real-time clock in between.
    fn monotonic(self, stamp_ns: i64) -> u64 {
        let ns = stamp_ns.saturating_sub(self.real_minus_monotonic_ns).max(0) as u64;
        ns.clamp(self.previous_ns.min(self.now_ns), self.now_ns.max(self.previous_ns))
    }
}

impl RtpThread {
    /// Takes everything that has arrived and pushes it to the worlds; returns how many packets there were.
    pub(super) fn gather(&mut self, batch: &mut Batch, previous_ns: u64) -> usize {
        let clock = RoundClock::new(monotonic_ns(), previous_ns);
        let mut events = std::mem::take(&mut self.events);
        let mut total = 0;
        while total < PACKETS_MAX {
            let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
            // One batch for each socket and call: the next call finds those that have more, and most have not.
            let seen: usize = events.iter().take(ready).map(|event| self.receive(event, batch, clock)).sum();
            if seen == 0 {
                break;
            }
            total += seen;
        }
        self.events = events;
        self.push_received();
        total
    }

    /// Receives a batch of packets; returns how many there were, 0 if the event was of no socket.
    fn receive(&mut self, event: &EpollEvent, batch: &mut Batch, clock: RoundClock) -> usize {
        let Ok(port) = u16::try_from(event.data()) else { return 0 };
        let Self { ports, pool, links, counters, epoch, .. } = self;
        let Some((pair, world)) = ports.heard(port) else { return 0 };
        let is_rtcp = port % 2 == 1;
        let arrivals = match batch.receive(if is_rtcp { &pair.rtcp } else { &pair.rtp }, clock) {
            Ok(arrivals) => arrivals,
            Err(Errno::EAGAIN | Errno::EINTR) => return 0,
            Err(_) => {
                counters.rtp_receive_errors.one();
                return 1;
            }
        };
        let count = arrivals.len();
        let mut link = world.and_then(|world| links.get_mut(world));
        for (packet, arrival) in arrivals {
            let cause = match (arrival.is_whole, arrival.peer, &mut link) {
                (false, ..) => &counters.rtp_oversize,
                // The kernel names the sender of every datagram.
                (true, None, _) => &counters.rtp_receive_errors,
                (true, Some(_), None) => &counters.rtp_unclaimed,
                (true, Some(peer), Some(link)) => match pool.take() {
                    Some(empty) => {
                        if let Some(reached) = arrival.reached {
                            pair.note(peer, reached);
                        }
                        let mut packet = std::mem::replace(packet, empty);
                        packet.set_len(arrival.len);
                        (packet.port, packet.is_rtcp, packet.peer) = (port & !1, is_rtcp, peer);
                        packet.arrived_us = epoch.us_at(arrival.arrived_ns);
                        link.staged.push(packet);
                        continue;
                    }
                    None => &counters.rtp_pool_empty,
                },
            };
            // The buffer stays where it is, for the next batch.
            cause.one();
        }
        count
    }

    fn push_received(&mut self) {
        for link in &mut self.links {
            if link.staged.is_empty() {
                continue;
            }
            let (pushed, rest) = link.push_staged();
            self.counters.rtp_in.add(pushed as u64);
            self.counters.rtp_in_ring_full.add(rest.len() as u64);
            rest.for_each(|packet| self.pool.give_back(packet));
        }
    }

    /// Throws away what is still waiting at a pair that is about to change hands.
    pub(super) fn discard_stragglers(&self, port: u16) {
        let Some((pair, _)) = self.ports.pair(port) else { return };
        let mut byte = [0; 1];
        for socket in [&pair.rtp, &pair.rtcp] {
            let count = (0..STRAGGLERS_MAX).take_while(|_| socket.recv(&mut byte).is_ok()).count();
            self.counters.rtp_unclaimed.add(count as u64);
        }
    }
}

/// What one packet of a batch was.
#[derive(Clone, Copy, Default)]
struct Arrival {
    len: usize,
    is_whole: bool,
    peer: Option<SocketAddr>,
    /// The address of ours that it was sent to.
    reached: Option<IpAddr>,
    arrived_ns: u64,
}

/// Where a batch is received into, and what the system calls need for it. The buffers are besides those of the
/// pool: one that is handed on is replaced from there.
pub(super) struct Batch {
    packets: [(Buffer, Arrival); BATCH],
    headers: MultiHeaders<SockaddrStorage>,
}

impl Batch {
    pub fn new() -> Self {
        // The control messages of a packet say when it arrived and which address it was sent to.
        let control = nix::cmsg_space!(TimeSpec, nix::libc::in6_pktinfo);
        Self { packets: Default::default(), headers: MultiHeaders::preallocate(BATCH, Some(control)) }
    }

    fn receive(&mut self, socket: &UdpSocket, clock: RoundClock) -> nix::Result<&mut [(Buffer, Arrival)]> {
        let Self { packets, headers } = self;
        let mut arrivals = [Arrival::default(); BATCH];
        let mut count = 0;
        {
            let mut slices = packets.each_mut().map(|(packet, _)| [IoSliceMut::new(packet.buffer())]);
            let messages = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
            for (arrival, message) in arrivals.iter_mut().zip(messages) {
                *arrival = arrival_of(&message, clock);
                count += 1;
            }
        }
        for ((_, place), arrival) in packets.iter_mut().zip(arrivals) {
            *place = arrival;
        }
        Ok(packets.get_mut(..count).unwrap_or_default())
    }
}

fn arrival_of(message: &RecvMsg<'_, '_, SockaddrStorage>, clock: RoundClock) -> Arrival {
    let stamp = message.cmsgs().ok().and_then(|mut list| {
        list.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
            _ => None,
        })
    });
    Arrival {
        len: message.bytes,
        is_whole: !message.flags.contains(MsgFlags::MSG_TRUNC),
        peer: message.address.as_ref().and_then(from_system),
        reached: reached(message),
        arrived_ns: stamp.map_or(clock.now_ns, |stamp| {
            clock.monotonic(stamp.tv_sec().saturating_mul(1_000_000_000).saturating_add(stamp.tv_nsec()))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_brought_to_the_monotonic_clock_and_into_its_round() {
        let clock = RoundClock { now_ns: 9_000, previous_ns: 4_000, real_minus_monotonic_ns: 1_000_000 };
        assert_eq!(clock.monotonic(1_005_000), 5_000);
        assert_eq!(clock.monotonic(7), 4_000, "the real-time clock was set");
        assert_eq!(clock.monotonic(2_000_000), 9_000);
    }
}
