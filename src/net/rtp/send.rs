//! Sending, and the other requests of the worlds to an RTP thread.

use super::link::PortReport;
use super::pair::Pair;
use super::pool::Buffer;
use super::thread::RtpThread;
use crate::net::address::{Source, to_system};
use crate::net::clock::monotonic_ns;
use crate::net::counters::{Count, NetCounters};
use crate::net::mark::Marks;
use crate::net::sockets;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, sendmsg, sendto};
use ringworld_components::call::QosClass;
use ringworld_components::edge::Packet;
use std::io::{self, IoSlice};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Packets handed over at once.
const CHUNK: usize = 64;

/// What is being sent, and what the system calls need for it.
pub(super) struct Sending {
    chunk: Vec<Buffer>,
    headers: MultiHeaders<SockaddrStorage>,
}

impl Sending {
    pub fn new() -> Self {
        Self { chunk: Vec::with_capacity(CHUNK), headers: MultiHeaders::preallocate(CHUNK, None) }
    }
}

impl RtpThread {
    /// Reads what the worlds report about their ports. Released pairs are noted and given back later, after the last
    /// packets from them were sent.
    pub(super) fn read_reports(&mut self) {
        for (world, link) in self.links.iter_mut().enumerate() {
            while let Ok(report) = link.reports.pop() {
                match report {
                    PortReport::Taken(port) => self.ports.taken(world, port),
                    PortReport::Released(port) => self.released.push((world, port)),
                    PortReport::Marked(port, class) => match self.ports.pair(port) {
                        Some((pair, Some(holder))) if holder == world => pair.mark(class, &self.marks, &self.counters),
                        _ => self.counters.ports_misreported.one(),
                    },
                }
            }
        }
    }

    /// Does all that the worlds have asked for.
    pub(super) fn serve(&mut self, sending: &mut Sending) {
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
                sending.chunk.extend(chunk);
                sent += self.send_chunk(world, sending);
                for packet in sending.chunk.drain(..) {
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

    /// Sends a chunk, those in a row from one socket together; returns how many packets were sent.
    fn send_chunk(&self, world: usize, sending: &mut Sending) -> u64 {
        let (Self { ports, counters, .. }, Sending { chunk, headers }) = (self, sending);
        let mut sent = 0;
        for run in chunk.chunk_by(|one, next| (one.port, one.is_rtcp) == (next.port, next.is_rtcp)) {
            let Some(first) = run.first() else { continue };
            let Some((pair, _)) = ports.pair(first.port).filter(|(_, holder)| *holder == Some(world)) else {
                counters.rtp_foreign_port.add(run.len() as u64);
                continue;
            };
            let socket = if first.is_rtcp { &pair.rtcp } else { &pair.rtp };
            // Most are alone, as each call has a socket of its own.
            let together = if run.len() > 1 { transmit_together(socket, pair, headers, run) } else { 0 };
            sent += together as u64;
            for packet in run.get(together..).unwrap_or_default() {
                match transmit(socket, pair, packet) {
                    Ok(()) => sent += 1,
                    Err(Errno::EAGAIN | Errno::ENOBUFS) => counters.rtp_no_buffer.one(),
                    Err(_) => counters.rtp_send_errors.one(),
                }
            }
        }
        sent
    }

    fn give_ports_back(&mut self) {
        let now_ns = monotonic_ns();
        for (world, port) in std::mem::take(&mut self.released) {
            self.discard_stragglers(port);
            if let Some((pair, _)) = self.ports.pair(port) {
                pair.forget();
                pair.mark(QosClass::default(), &self.marks, &self.counters);
            }
            self.ports.released(world, port, now_ns);
        }
    }

    /// Opens and offers what is missing in the worlds' stocks; returns why a pair could not be opened, if one could
    /// not.
    pub(super) fn fill_stock(&mut self) -> Option<io::Error> {
        let Self { ports, links, epoll, rtp_bind, marks, counters, .. } = self;
        if !ports.is_short() {
            return None;
        }
        ports.fill_up(
            monotonic_ns(),
            |port| open(epoll, *rtp_bind, port, marks, counters),
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
        pair.mark(QosClass::default(), &self.marks, &self.counters);
        self.ports.adopt(port, pair);
        Ok(())
    }

    /// Opens a pair that a call of a world is using already.
    pub(super) fn reopen(&mut self, world: usize, port: u16) -> io::Result<()> {
        let Self { ports, epoll, rtp_bind, marks, counters, .. } = self;
        ports.take_up(world, port, |port| open(epoll, *rtp_bind, port, marks, counters))
    }
}

fn open(epoll: &Epoll, address: IpAddr, port: u16, marks: &Marks, counters: &NetCounters) -> io::Result<Pair> {
    let (rtp, rtcp) = sockets::rtp_pair(address, port)?;
    let v6 = rtp.local_addr()?.is_ipv6();
    let pair = Pair::new(rtp, rtcp, v6);
    pair.mark(QosClass::default(), marks, counters);
    watch(epoll, port, &pair)?;
    Ok(pair)
}

fn watch(epoll: &Epoll, port: u16, pair: &Pair) -> nix::Result<()> {
    epoll.add(&pair.rtp, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(port)))?;
    epoll.add(&pair.rtcp, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(port) + 1))
}

fn transmit(socket: &UdpSocket, pair: &Pair, packet: &Packet) -> nix::Result<()> {
    let peer = to_system(packet.peer, pair.v6).ok_or(Errno::EAFNOSUPPORT)?;
    let socket = socket.as_raw_fd();
    let Some(source) = pair.source_towards(packet.peer).and_then(|ip| Source::of(ip, pair.v6)) else {
        return sendto(socket, packet.bytes(), peer.as_dyn(), MsgFlags::MSG_DONTWAIT).map(|_| ());
    };
    let (bytes, control) = ([IoSlice::new(packet.bytes())], [source.control()]);
    sendmsg(socket, &bytes, &control, MsgFlags::MSG_DONTWAIT, Some(&peer.storage())).map(|_| ())
}

/// Sends packets with one call; returns how many of the first ones were sent.
fn transmit_together(
    socket: &UdpSocket,
    pair: &Pair,
    headers: &mut MultiHeaders<SockaddrStorage>,
    run: &[Buffer],
) -> usize {
    let plain = run.iter().take_while(|packet| pair.source_towards(packet.peer).is_none());
    let peers: Vec<Option<SockaddrStorage>> =
        plain.map_while(|packet| to_system(packet.peer, pair.v6).map(|peer| Some(peer.storage()))).collect();
    let slices: Vec<[IoSlice; 1]> = run.iter().take(peers.len()).map(|packet| [IoSlice::new(packet.bytes())]).collect();
    if slices.is_empty() {
        return 0;
    }
    let sent = sendmmsg(socket.as_raw_fd(), headers, slices.iter(), peers, [], MsgFlags::MSG_DONTWAIT);
    sent.map_or(0, |sent| sent.count())
}
