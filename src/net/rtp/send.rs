//! Sending, and what else the worlds want from an RTP thread.

use super::link::PortReport;
use super::ports::Pair;
use super::thread::RtpThread;
use crate::net::address::to_system;
use crate::net::counters::Count;
use crate::net::sockets;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{MsgFlags, sendto};
use ringworld_components::edge::Packet;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU64;

/// Packets handed over at once.
const CHUNK: usize = 64;

impl RtpThread {
    /// Reads what the worlds say about their ports. Released pairs are noted and given back later, after the last
    /// packets from them were sent.
    pub(super) fn read_reports(&mut self) {
        for (world, link) in self.links.iter_mut().enumerate() {
            while let Ok(report) = link.reports.pop() {
                match report {
                    PortReport::Taken(port) => self.ports.taken(world, port),
                    PortReport::Released(port) => self.released.push((world, port)),
                }
            }
        }
    }

    /// Does all that the worlds have asked for.
    pub(super) fn serve(&mut self) {
        self.read_reports();
        let mut sent = 0;
        let mut links = std::mem::take(&mut self.links);
        for (world, link) in links.iter_mut().enumerate() {
            // As many as there are now: what a world pushes meanwhile comes with its own call.
            let mut waiting = link.to_send.slots();
            while waiting > 0 {
                let count = waiting.min(CHUNK);
                waiting -= count;
                let Ok(chunk) = link.to_send.read_chunk(count) else { break };
                for packet in chunk {
                    sent += u64::from(self.send(world, &packet));
                    self.pool.give(packet, &mut link.empty_out);
                }
            }
            self.pool.collect(link);
        }
        self.links = links;
        self.counters.rtp_out.add(sent);
        self.give_ports_back();
        self.fill_stock();
    }

    /// Sends a packet; false, and counted, if it can't be sent.
    fn send(&self, world: usize, packet: &Packet) -> bool {
        let Err(cause) = self.transmit(world, packet) else { return true };
        cause.one();
        false
    }

    /// Sends a packet, or says what to count.
    fn transmit(&self, world: usize, packet: &Packet) -> Result<(), &AtomicU64> {
        let counters = &self.counters;
        let held = self.ports.pair(packet.port).filter(|(_, holder)| *holder == Some(world));
        let (pair, _) = held.ok_or(&counters.rtp_foreign_port)?;
        let socket = if packet.is_rtcp { &pair.rtcp } else { &pair.rtp };
        let peer = to_system(packet.peer, pair.v6).ok_or(&counters.rtp_send_errors)?;
        match sendto(socket.as_raw_fd(), packet.bytes(), peer.as_dyn(), MsgFlags::MSG_DONTWAIT) {
            Ok(_) => Ok(()),
            Err(Errno::EAGAIN | Errno::ENOBUFS) => Err(&counters.rtp_no_buffer),
            Err(_) => Err(&counters.rtp_send_errors),
        }
    }

    fn give_ports_back(&mut self) {
        for (world, port) in std::mem::take(&mut self.released) {
            self.discard_stragglers(port);
            self.ports.released(world, port);
        }
    }

    /// Opens and offers what is missing in the worlds' stocks; returns why a pair could not be opened, if one could not.
    pub(super) fn fill_stock(&mut self) -> Option<io::Error> {
        let Self { ports, links, epoll, rtp_bind, .. } = self;
        if !ports.is_short() {
            return None;
        }
        ports.fill_up(
            |port| open(epoll, *rtp_bind, port),
            |world, port| {
                if let Some(link) = links.get_mut(world) {
                    // Has a place for every pair there is.
                    let _ = link.offers.push(port);
                }
            },
        )
    }

    /// Takes a pair that is open already.
    pub(super) fn adopt(&mut self, port: u16, pair: Pair) -> io::Result<()> {
        watch(&self.epoll, port, &pair)?;
        self.ports.adopt(port, pair);
        Ok(())
    }

    /// Opens a pair that a call of a world is using already.
    pub(super) fn reopen(&mut self, world: usize, port: u16) -> io::Result<()> {
        let Self { ports, epoll, rtp_bind, .. } = self;
        ports.take_up(world, port, |port| open(epoll, *rtp_bind, port))
    }
}

fn open(epoll: &Epoll, address: IpAddr, port: u16) -> io::Result<Pair> {
    let (rtp, rtcp) = sockets::rtp_pair(address, port)?;
    let v6 = rtp.local_addr()?.is_ipv6();
    let pair = Pair { rtp, rtcp, v6 };
    watch(epoll, port, &pair)?;
    Ok(pair)
}

fn watch(epoll: &Epoll, port: u16, pair: &Pair) -> nix::Result<()> {
    epoll.add(&pair.rtp, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(port)))?;
    epoll.add(&pair.rtcp, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(port) + 1))
}
