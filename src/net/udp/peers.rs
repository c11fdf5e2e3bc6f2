//! Where the peers send to: which of our sockets, and which address of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// How many peers are remembered in each of two generations.
const PEERS_MAX: usize = 16_384;

/// Where a peer last sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpokenTo {
    /// The number of the socket.
    pub socket: usize,
    /// The address, if the socket is bound to all of them.
    pub reached: Option<IpAddr>,
}

/// The peers that recently sent to us. Bounded: the least recent are forgotten, and are then answered from wherever the
/// routing table says.
#[derive(Debug, Default)]
pub(super) struct Peers {
    recent: BTreeMap<SocketAddr, SpokenTo>,
    older: BTreeMap<SocketAddr, SpokenTo>,
}

impl Peers {
    pub fn note(&mut self, remote: SocketAddr, spoken_to: SpokenTo) {
        if self.recent.get(&remote) == Some(&spoken_to) {
            return;
        }
        if self.recent.len() >= PEERS_MAX {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(remote, spoken_to);
    }

    pub fn get(&self, remote: &SocketAddr) -> Option<SpokenTo> {
        self.recent.get(remote).or_else(|| self.older.get(remote)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_remembered_for_at_least_a_generation() {
        let peer = |n: usize| SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 5060));
        let spoken_to = |socket| SpokenTo { socket, reached: None };
        let mut peers = Peers::default();
        (0..PEERS_MAX + 10).for_each(|n| peers.note(peer(n), spoken_to(1)));
        assert_eq!(peers.get(&peer(0)), Some(spoken_to(1)));
        (PEERS_MAX..PEERS_MAX * 2 + 1).for_each(|n| peers.note(peer(n), spoken_to(2)));
        assert_eq!(peers.get(&peer(0)), None);
        assert_eq!(peers.get(&peer(PEERS_MAX + 3)), Some(spoken_to(2)));
    }
}
