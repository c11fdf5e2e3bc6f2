//! The simulated network: packets are delayed, and the faults of the run act on them on the way.
//!
//! What an agent sends becomes an [`Arrival`] at the switch, what the switch sends a [`Delivery`] to an agent.
//! Addresses are those that each side sees: every third agent is behind a NAT.

mod address;
mod link;
mod stream;
mod timeline;

pub(crate) use address::{SWITCH, inside, is_behind_nat, outside};
use address::{agent_at, through};
use bytes::Bytes;
pub(crate) use link::DELAY_MAX;
use link::{Fate, Link};
use ringworld_components::edge::{ConnId, Flow, SendFailure, Target, Transport};
use ringworld_components::kernel::StableId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use stream::Streams;
use timeline::Timeline;

use super::fault::{Fault, Kind};

/// Something reaches the switch.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A SIP message. `is_whole` says that it is as it was sent.
    Sip { agent: u32, flow: Flow, bytes: Bytes, is_whole: bool },
    /// There are bytes to be read from a TCP connection.
    Readable(ConnId),
    /// A TCP connection is open.
    Opened(Flow),
    /// A TCP connection is closed.
    Closed(ConnId),
    /// A datagram on the RTP port `port`.
    Rtp { agent: u32, port: u16, peer: SocketAddr, bytes: Vec<u8> },
    /// A message of the switch could not be sent.
    Failed { transaction: StableId, failure: SendFailure },
}

/// A datagram or message reaches an agent.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub agent: u32,
    /// The port of the agent, behind its NAT.
    pub port: u16,
    pub from: SocketAddr,
    pub bytes: Bytes,
    pub is_whole: bool,
    /// The connection that there is something to be read from, if it is no datagram.
    conn: ConnId,
}

/// The network between the agents and the switch.
pub(crate) struct Network {
    links: Vec<Link>,
    streams: Streams,
    /// The agents whose connection breaks in the middle of what they send next.
    breaking: BTreeSet<u32>,
    /// The switch is down: nothing takes what reaches it.
    is_down: bool,
    /// What was read from streams and not taken yet.
    cut: VecDeque<(u64, Arrival)>,
    heard: VecDeque<(u64, Delivery)>,
    /// Messages that were cut out of a stream as something else than was sent: the agent, and a description.
    pub garbled: Vec<(u32, String)>,
    to_switch: Timeline<Arrival>,
    to_agents: Timeline<Delivery>,
    /// How often each kind of fault struck.
    pub struck: BTreeMap<Kind, u64>,
    /// Packets carried.
    pub packets: u64,
}

impl Network {
    pub fn new(seed: u64, agents: u32, faults: &[Fault]) -> Self {
        Self {
            links: (0..agents).map(|agent| Link::new(seed, agent, faults)).collect(),
            streams: Streams::new(seed),
            breaking: BTreeSet::new(),
            is_down: false,
            cut: VecDeque::new(),
            heard: VecDeque::new(),
            garbled: Vec::new(),
            to_switch: Timeline::new(),
            to_agents: Timeline::new(),
            struck: BTreeMap::new(),
            packets: 0,
        }
    }

    /// The agent that the switch reaches at this address.
    pub fn agent_at(&self, address: std::net::IpAddr) -> Option<u32> {
        agent_at(address, self.links.len())
    }

    /// Ends all faults.
    pub fn heal(&mut self) {
        self.links.iter_mut().for_each(Link::heal);
    }

    /// The agent has disappeared: nothing reaches it any more, and its connection breaks.
    pub fn vanish(&mut self, now: u64, agent: u32, refuses: bool) {
        self.close(now, agent);
        if let Some(link) = self.links.get_mut(agent as usize) {
            link.gone = true;
            link.refuses = refuses;
        }
    }

    /// The agent's NAT makes new bindings.
    pub fn rebind(&mut self, agent: u32) {
        if let Some(link) = self.links.get_mut(agent as usize).filter(|_| is_behind_nat(agent)) {
            link.generation = link.generation % 15 + 1;
            self.strike(Kind::Rebind);
        }
    }

    /// The agent's connection is reset: at once, or in the middle of the message that it sends next.
    pub fn reset(&mut self, now: u64, agent: u32, in_message: bool) {
        if in_message {
            self.breaking.insert(agent);
        } else if self.close(now, agent) {
            self.strike(Kind::Reset);
        }
    }

    fn close(&mut self, now: u64, agent: u32) -> bool {
        let closed = self.streams.close(agent);
        if let Some(conn) = closed {
            self.to_switch.add(now, Arrival::Closed(conn));
        }
        closed.is_some()
    }

    /// The switch is killed: all its connections are reset, and what was on its way over them is lost.
    pub fn kill(&mut self) {
        self.streams.close_all();
        self.is_down = true;
    }

    /// The switch takes what reaches it again.
    pub fn revive(&mut self) {
        self.is_down = false;
    }

    /// What was sent over connections that are still open and never cut out of them, with the agents.
    pub fn uncut(&self) -> impl Iterator<Item = (u32, String)> {
        self.streams.all().filter_map(|stream| Some((stream.agent, stream.owes()?)))
    }

    /// Counts that a fault did something.
    pub fn strike(&mut self, kind: Kind) {
        *self.struck.entry(kind).or_default() += 1;
    }

    /// An agent sends a SIP message.
    pub fn sip_to_switch(&mut self, now: u64, agent: u32, over_tcp: bool, bytes: Vec<u8>) {
        let Some(link) = self.links.get_mut(agent as usize).filter(|link| !link.gone) else { return };
        self.packets += 1;
        let local = SWITCH;
        if over_tcp {
            if self.is_down {
                return;
            }
            let at = link.stream_fate(now, true, &mut self.struck);
            if self.streams.of(agent).is_none() {
                let conn = self.streams.mint();
                let remote = outside(agent, 40_000 + (conn.0 % 20_000) as u16, 0);
                let flow = Flow { transport: Transport::Tcp, local, remote, conn };
                self.streams.open(agent, flow);
                self.to_switch.add(at, Arrival::Opened(flow));
            }
            let Some(stream) = self.streams.of(agent) else { return };
            let (conn, breaks) = (stream.flow.conn, self.breaking.remove(&agent));
            let times = if breaks { stream.send_part(at, &bytes) } else { stream.send_to_switch(at, bytes) };
            times.iter().for_each(|at| self.to_switch.add(*at, Arrival::Readable(conn)));
            if breaks {
                *self.struck.entry(Kind::Reset).or_default() += 1;
                self.to_switch.add(times.last().copied().unwrap_or(at), Arrival::Closed(conn));
            }
            return;
        }
        let remote = outside(agent, 5060, link.generation);
        let flow = Flow { transport: Transport::Udp, local, remote, conn: ConnId::NONE };
        for Fate { at, corrupt } in link.fates(now, true, &mut self.struck) {
            let (bytes, is_whole) = changed(&bytes, corrupt, true);
            self.to_switch.add(at, Arrival::Sip { agent, flow, bytes: bytes.into(), is_whole });
        }
    }

    /// An agent sends a datagram to an RTP port of the switch.
    pub fn rtp_to_switch(&mut self, now: u64, agent: u32, from_port: u16, to: SocketAddr, bytes: Vec<u8>) {
        let Some(link) = self.links.get_mut(agent as usize).filter(|link| !link.gone) else { return };
        if to.ip() != SWITCH.ip() {
            return;
        }
        self.packets += 1;
        let peer = outside(agent, from_port, link.generation);
        for Fate { at, corrupt } in link.fates(now, true, &mut self.struck) {
            let (bytes, _) = changed(&bytes, corrupt, false);
            self.to_switch.add(at, Arrival::Rtp { agent, port: to.port(), peer, bytes });
        }
    }

    /// The switch sends a SIP message.
    pub fn sip_to_agent(&mut self, now: u64, target: Target, bytes: Bytes, transaction: StableId) {
        let fail = |failure| Arrival::Failed { transaction, failure };
        let Some(agent) = agent_at(target.remote.ip(), self.links.len()) else { return };
        let Some(link) = self.links.get_mut(agent as usize) else { return };
        self.packets += 1;
        if target.transport == Transport::Tcp {
            let listens = !link.gone && !is_behind_nat(agent) && target.remote.port() == 5060;
            let open = self.streams.of(agent).map(|stream| stream.flow.conn);
            if open.is_none_or(|conn| conn != target.conn && !listens) && !listens {
                if transaction.0 != 0 {
                    self.to_switch.add(now, fail(SendFailure::Connection));
                }
                return;
            }
            if open.is_none() {
                let conn = self.streams.mint();
                let flow = Flow { transport: Transport::Tcp, local: SWITCH, remote: target.remote, conn };
                self.streams.open(agent, flow);
                self.to_switch.add(now, Arrival::Opened(flow));
            }
            let at = link.stream_fate(now, false, &mut self.struck);
            return self.send_to_agent(agent, at, &bytes);
        }
        if link.gone && link.refuses && transaction.0 != 0 {
            self.to_switch.add(now, fail(SendFailure::Unreachable));
        }
        let Some(port) = through(agent, target.remote, link.generation).filter(|_| !link.gone) else { return };
        for Fate { at, corrupt } in link.fates(now, false, &mut self.struck) {
            let (bytes, is_whole) = match corrupt {
                Some(_) => {
                    let (bytes, is_whole) = changed(&bytes, corrupt, true);
                    (Bytes::from(bytes), is_whole)
                }
                None => (bytes.clone(), true),
            };
            let conn = ConnId::NONE;
            self.to_agents.add(at, Delivery { agent, port, from: SWITCH, bytes, is_whole, conn });
        }
    }

    /// Bytes for an agent, over its connection.
    fn send_to_agent(&mut self, agent: u32, at: u64, bytes: &[u8]) {
        let Some(stream) = self.streams.of(agent) else { return };
        let conn = stream.flow.conn;
        for at in stream.send_to_agent(at, bytes) {
            let nothing = Delivery { agent, port: 5060, from: SWITCH, bytes: Bytes::new(), is_whole: true, conn };
            self.to_agents.add(at, nothing);
        }
    }

    /// Reads from a connection at the switch's end, and does what its edge does: answers keep-alives, and closes what
    /// can't be cut into messages any more.
    fn read(&mut self, now: u64, at: u64, conn: ConnId) {
        let Some(stream) = self.streams.get(conn) else { return };
        let (agent, flow, read) = (stream.agent, stream.flow, stream.read_at_switch(now));
        let arrival = |bytes| (at, Arrival::Sip { agent, flow, bytes, is_whole: true });
        self.cut.extend(read.messages.into_iter().map(arrival));
        self.garbled.extend(read.garbled.map(|what| (agent, what)));
        let later = now + DELAY_MAX;
        if read.pings > 0 {
            self.send_to_agent(agent, later, stream::PONG);
        }
        if let Some(words) = read.refusal {
            words.into_iter().for_each(|words| self.send_to_agent(agent, later, &words));
            self.streams.close_conn(conn);
            self.cut.push_back((at, Arrival::Closed(conn)));
        }
    }

    /// The switch sends a datagram from its RTP port `from_port`.
    pub fn rtp_to_agent(&mut self, now: u64, from_port: u16, to: SocketAddr, bytes: &[u8]) {
        let Some(agent) = agent_at(to.ip(), self.links.len()) else { return };
        let Some(link) = self.links.get_mut(agent as usize).filter(|link| !link.gone) else { return };
        self.packets += 1;
        let Some(port) = through(agent, to, link.generation) else { return };
        let from = SocketAddr::new(SWITCH.ip(), from_port);
        for Fate { at, corrupt } in link.fates(now, false, &mut self.struck) {
            let (bytes, is_whole) = changed(bytes, corrupt, false);
            let conn = ConnId::NONE;
            self.to_agents.add(at, Delivery { agent, port, from, bytes: bytes.into(), is_whole, conn });
        }
    }

    /// What has reached the switch by `now`, with the time of its arrival.
    pub fn next_arrival(&mut self, now: u64) -> Option<(u64, Arrival)> {
        loop {
            if let Some(cut) = self.cut.pop_front() {
                return Some(cut);
            }
            let (at, arrival) = self.to_switch.take_due(now)?;
            match arrival {
                Arrival::Opened(flow) if !self.streams.is_open(flow.conn) => {}
                Arrival::Readable(conn) => self.read(now, at, conn),
                Arrival::Closed(conn) => {
                    self.streams.close_conn(conn);
                    return Some((at, arrival));
                }
                _ => return Some((at, arrival)),
            }
        }
    }

    /// What has reached an agent by `now`.
    pub fn next_delivery(&mut self, now: u64) -> Option<(u64, Delivery)> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Some(heard);
            }
            let (at, delivery) = self.to_agents.take_due(now)?;
            if self.links.get(delivery.agent as usize).is_none_or(|link| link.gone) {
                continue;
            }
            if delivery.conn == ConnId::NONE {
                return Some((at, delivery));
            }
            let Delivery { agent, port, from, is_whole, conn, .. } = delivery;
            let messages = self.streams.get(conn).map(|stream| stream.read_at_agent(now)).unwrap_or_default();
            let deliver = |bytes| (at, Delivery { agent, port, from, bytes, is_whole, conn });
            self.heard.extend(messages.into_iter().map(deliver));
        }
    }

    /// When the next thing arrives anywhere.
    pub fn next_time(&self) -> u64 {
        self.to_switch.next().min(self.to_agents.next())
    }
}

/// The bytes as they arrive. SIP changes anywhere; of RTP, which a checksum protects, only what makes it no RTP of the
/// stream: its version, its payload type or its length.
fn changed(bytes: &[u8], corrupt: Option<u64>, is_sip: bool) -> (Vec<u8>, bool) {
    let mut bytes = bytes.to_vec();
    let Some(bits) = corrupt else { return (bytes, true) };
    let flipped = 1 << (bits & 7);
    if is_sip {
        let at = (bits >> 8) as usize % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= flipped;
        }
    } else if bits & 3 == 0 {
        bytes.truncate((bits >> 8) as usize % 12);
    } else if let Some(byte) = bytes.get_mut((bits & 1) as usize) {
        *byte ^= if bits & 1 == 0 { 0xc0 } else { 0x34 };
    }
    (bytes, false)
}

#[cfg(test)]
mod tests;
