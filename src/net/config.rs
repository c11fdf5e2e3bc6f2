//! The settings of the network threads.

use super::{Marks, NetError};
use ringworld_components::edge::Transport;
use ringworld_components::kernel::TICK;
use ringworld_components::wire::sip;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Where to listen and how much to hold at most.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The addresses for SIP. With port 0 the system chooses; see [`Net::sip_addresses`](super::Net::sip_addresses).
    pub sip: Vec<(Transport, SocketAddr)>,
    /// The first and the last RTP port. A pair is an even port and the odd one above it.
    pub rtp_ports: (u16, u16),
    /// The address that RTP ports are bound to; unspecified means all of them, of both families where possible.
    pub rtp_bind: IpAddr,
    /// The address to write into SIP and SDP in place of the local one, for a host behind a static NAT.
    pub advertised: Option<IpAddr>,
    /// How many worlds there are.
    pub worlds: usize,
    /// How many threads carry RTP.
    pub rtp_threads: usize,
    /// How many port pairs are kept open and offered, over all worlds.
    pub port_stock: usize,
    /// How long a tick takes: what the RTP threads expect between two deadlines.
    pub tick: Duration,
    /// How packets are marked.
    pub marks: Marks,
    /// The limits of a SIP message.
    pub limits: sip::Limits,
    /// The limits of TCP.
    pub tcp: TcpLimits,
    /// The capacities of the rings and of the pool.
    pub rings: RingSizes,
    /// The RTP ports that calls are using already, each with the index of its world: they are opened first.
    pub in_use: Vec<(usize, u16)>,
    /// The number of the first TCP connection minus one. A world that continues gives each boot its own range.
    pub conn_base: u64,
}

/// The limits of SIP over TCP.
#[derive(Clone, Debug)]
pub struct TcpLimits {
    /// How many connections there may be, in both directions together.
    pub connections_max: usize,
    /// How long a connection may carry nothing before it is closed.
    pub idle: Duration,
    /// How long a message may take to arrive whole, from its first byte.
    pub message: Duration,
    /// How long opening a connection may take.
    pub connect: Duration,
    /// How many bytes may wait for a peer that reads slowly, before its connection is closed.
    pub queue_bytes_max: usize,
    /// For how long a peer whose TCP port could not be reached gets its large requests over UDP at once.
    pub distrust: Duration,
}

/// How much fits into what connects the threads.
#[derive(Clone, Debug)]
pub struct RingSizes {
    /// Control inputs on the way to a world.
    pub control_in: usize,
    /// SIP messages on the way to a sending thread.
    pub control_out: usize,
    /// Commands on the way to a world.
    pub commands: usize,
    /// RTP packets on the way between an RTP thread and a world, each way.
    pub rtp: usize,
    /// RTP buffers of each RTP thread, allocated at the start.
    pub pool: usize,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            sip: Vec::new(),
            rtp_ports: (10_000, 20_000),
            rtp_bind: Ipv6Addr::UNSPECIFIED.into(),
            advertised: None,
            worlds: 1,
            rtp_threads: 1,
            port_stock: 256,
            tick: TICK,
            marks: Marks::default(),
            limits: sip::Limits::default(),
            tcp: TcpLimits::default(),
            rings: RingSizes::default(),
            in_use: Vec::new(),
            conn_base: 0,
        }
    }
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            idle: Duration::from_secs(600),
            message: Duration::from_secs(32),
            connect: Duration::from_secs(4),
            queue_bytes_max: 256 * 1_024,
            distrust: Duration::from_secs(60),
        }
    }
}

impl Default for RingSizes {
    fn default() -> Self {
        Self { control_in: 16_384, control_out: 16_384, commands: 4_096, rtp: 8_192, pool: 4_096 }
    }
}

/// Descriptors that a process has open anyway.
const ELSEWHERE: u64 = 128;

impl NetConfig {
    /// The even ports of the range, in order.
    pub(super) fn pairs(&self) -> impl ExactSizeIterator<Item = u16> + use<> {
        let (first, last) = (u32::from(self.rtp_ports.0).max(2), u32::from(self.rtp_ports.1));
        let from = first.div_ceil(2);
        let to = last.saturating_add(1) / 2;
        (from as u16..to.max(from) as u16).map(|half| half * 2)
    }

    /// How many descriptors all of this can need, with what a process has open anyway.
    pub(super) fn descriptors(&self) -> u64 {
        self.pairs().len() as u64 * 2 + self.tcp.connections_max as u64 + self.sip.len() as u64 + ELSEWHERE
    }

    /// Makes do with so many descriptors: returns how many port pairs each RTP thread may have open. Where there are
    /// too few, a quarter of what is left is for TCP connections at most.
    pub(super) fn fit(&mut self, granted: u64) -> Result<usize, NetError> {
        let (needed, threads) = (self.descriptors(), self.rtp_threads.max(1));
        if granted >= needed {
            return Ok(self.pairs().len());
        }
        let left = granted.saturating_sub(self.sip.len() as u64 + ELSEWHERE);
        let connections = (left / 4).min(self.tcp.connections_max as u64);
        let pairs = (left - connections) / 2;
        let each = usize::try_from(pairs).unwrap_or(usize::MAX) / threads;
        if each == 0 {
            return Err(NetError::Descriptors { needed, granted });
        }
        tracing::warn!(
            "the RTP ports and TCP connections can need {needed} file descriptors and the system grants {granted}: {pairs} \
             port pairs and {connections} connections may be open at a time; raise the hard limit (ulimit -Hn) for more"
        );
        self.tcp.connections_max = usize::try_from(connections).unwrap_or(usize::MAX);
        Ok(each)
    }

    pub(super) fn check(&self) -> Result<(), NetError> {
        let range = |held: bool, name, must| if held { Ok(()) } else { Err(NetError::Setting { name, must }) };
        range((1..=256).contains(&self.worlds), "worlds", "from 1 to 256")?;
        range((1..=64).contains(&self.rtp_threads), "rtp_threads", "from 1 to 64")?;
        range(self.pairs().len() > 0, "rtp_ports", "a range that contains an even port and the odd one above it")?;
        range(self.port_stock >= self.worlds, "port_stock", "at least the number of worlds")?;
        range(!self.tick.is_zero(), "tick", "longer than nothing")?;
        range(self.marks.are_legal(), "marks", "from 0 to 63 each")?;
        let rings = &self.rings;
        let sizes = [rings.control_in, rings.control_out, rings.commands, rings.rtp, rings.pool];
        range(sizes.iter().all(|n| (1..=1 << 24).contains(n)), "rings", "from 1 to 16777216 each")?;
        range(self.tcp.queue_bytes_max > 0, "tcp.queue_bytes_max", "greater than 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(first: u16, last: u16) -> Vec<u16> {
        NetConfig { rtp_ports: (first, last), ..NetConfig::default() }.pairs().collect()
    }

    #[test]
    fn a_pair_needs_both_its_ports_in_the_range() {
        assert_eq!(pairs(10_000, 10_003), [10_000, 10_002]);
        assert_eq!(pairs(10_001, 10_004), [10_002]);
        assert_eq!(pairs(10_001, 10_002), [0u16; 0]);
        assert_eq!(pairs(9, 3), [0u16; 0]);
        assert_eq!(pairs(65_534, 65_535), [65_534]);
        assert_eq!(pairs(0, 3), [2], "port 0 is no port");
    }

    #[test]
    fn with_few_descriptors_there_are_fewer_pairs_and_connections() {
        let config = NetConfig { rtp_ports: (10_000, 10_999), rtp_threads: 2, ..NetConfig::default() };
        // 500 pairs, 1,024 connections.
        let fitted = |granted| {
            let mut config = config.clone();
            config.fit(granted).map(|pairs| (pairs, config.tcp.connections_max)).ok()
        };
        assert_eq!(fitted(1_000 + 1_024 + ELSEWHERE), Some((500, 1_024)));
        assert_eq!(fitted(1_000 + 1_024 + ELSEWHERE - 1), Some((379, 505)));
        assert_eq!(fitted(400 + ELSEWHERE), Some((75, 100)));
        assert_eq!(fitted(ELSEWHERE + 3), None);
        assert_eq!(fitted(0), None);
    }

    #[test]
    fn the_default_passes_and_nonsense_is_named() {
        assert!(NetConfig::default().check().is_ok());
        let none = NetConfig { worlds: 0, ..NetConfig::default() };
        assert!(matches!(none.check(), Err(NetError::Setting { name: "worlds", .. })));
        let narrow = NetConfig { rtp_ports: (7, 7), ..NetConfig::default() };
        assert!(matches!(narrow.check(), Err(NetError::Setting { name: "rtp_ports", .. })));
    }
}
