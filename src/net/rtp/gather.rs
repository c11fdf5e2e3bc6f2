//! Receiving: from the ready sockets straight into buffers of the pool.

use super::pool::Buffer;
use super::thread::RtpThread;
use crate::net::address::from_system;
use crate::net::clock::{monotonic_ns, realtime_ns};
use crate::net::counters::Count;
use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use ringworld_components::edge::Packet;
use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Sockets looked at in one call.
pub(super) const EVENTS_MAX: usize = 1_024;
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
    pub(super) fn gather(&mut self, previous_ns: u64) -> usize {
        let clock = RoundClock::new(monotonic_ns(), previous_ns);
        let mut events = std::mem::take(&mut self.events);
        let mut total = 0;
        while total < PACKETS_MAX {
            let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
            // One packet a socket and call: the next call tells what has more, and most have not.
            let seen = events.iter().take(ready).filter(|event| self.receive(event, clock)).count();
            if seen == 0 {
                break;
            }
            total += seen;
        }
        self.events = events;
        self.push_received();
        total
    }

    /// Receives one packet; false if the event was of no socket.
    fn receive(&mut self, event: &EpollEvent, clock: RoundClock) -> bool {
        let Ok(port) = u16::try_from(event.data()) else { return false };
        if self.ports.pair(port).is_some_and(|(_, world)| world.is_none()) {
            // Perhaps the news that the pair was taken arrived after this round began.
            self.read_reports();
        }
        let Some((pair, world)) = self.ports.pair(port) else { return false };
        let is_rtcp = port % 2 == 1;
        let socket = if is_rtcp { &pair.rtcp } else { &pair.rtp };
        let taken = world.and_then(|_| self.pool.take());
        let has_buffer = taken.is_some();
        let mut packet = taken.or_else(|| self.scratch.take()).unwrap_or_default();
        let received = receive_into(socket, &mut packet, &mut self.control, clock);
        let whole = match received {
            Ok(Received::Whole { arrived_ns }) => {
                packet.port = port & !1;
                packet.is_rtcp = is_rtcp;
                packet.arrived_us = self.epoch.us_at(arrived_ns);
                true
            }
            Ok(Received::Oversize) => {
                self.counters.rtp_oversize.one();
                false
            }
            Err(Errno::EAGAIN | Errno::EINTR) => return self.put_aside(packet, has_buffer, false),
            Err(_) => {
                self.counters.rtp_receive_errors.one();
                return self.put_aside(packet, has_buffer, true);
            }
        };
        match world.and_then(|world| self.links.get_mut(world)) {
            Some(link) if whole && has_buffer => {
                link.staged.push(packet);
                return true;
            }
            Some(_) if whole => self.counters.rtp_pool_empty.one(),
            None if whole => self.counters.rtp_unclaimed.one(),
            _ => {}
        }
        self.put_aside(packet, has_buffer, true)
    }

    fn put_aside(&mut self, packet: Buffer, has_buffer: bool, result: bool) -> bool {
        if has_buffer {
            self.pool.give_back(packet);
        } else {
            self.scratch = Some(packet);
        }
        result
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

enum Received {
    Whole { arrived_ns: u64 },
    Oversize,
}

/// Room for what the kernel tells beside a packet: its time of arrival.
pub(super) fn control_room() -> Vec<u8> {
    nix::cmsg_space!(nix::sys::time::TimeSpec)
}

fn receive_into(
    socket: &UdpSocket,
    packet: &mut Packet,
    control: &mut [u8],
    clock: RoundClock,
) -> nix::Result<Received> {
    let mut slices = [IoSliceMut::new(packet.buffer())];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(control), MsgFlags::MSG_DONTWAIT)?;
    if message.flags.contains(MsgFlags::MSG_TRUNC) {
        return Ok(Received::Oversize);
    }
    let stamp = message.cmsgs().ok().and_then(|mut list| {
        list.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
            _ => None,
        })
    });
    let len = message.bytes;
    let peer = message.address.as_ref().and_then(from_system);
    packet.set_len(len);
    // The kernel names the sender of every datagram.
    packet.peer = peer.ok_or(Errno::EDESTADDRREQ)?;
    let arrived_ns = stamp.map_or(clock.now_ns, |stamp| {
        clock.monotonic(stamp.tv_sec().saturating_mul(1_000_000_000).saturating_add(stamp.tv_nsec()))
    });
    Ok(Received::Whole { arrived_ns })
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
