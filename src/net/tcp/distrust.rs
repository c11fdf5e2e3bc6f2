//! Peers that recently could not be reached over TCP.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How many are remembered.
const PEERS_MAX: usize = 4_096;

/// Peers whose large requests go over UDP at once until a time.
#[derive(Debug, Default)]
pub(super) struct Distrust(BTreeMap<SocketAddr, u64>);

impl Distrust {
    /// Notes that a peer could not be reached.
    pub fn note(&mut self, remote: SocketAddr, now_ns: u64, until_ns: u64) {
        if self.0.len() >= PEERS_MAX {
            self.0.retain(|_, until| *until > now_ns);
        }
        if self.0.len() < PEERS_MAX {
            self.0.insert(remote, until_ns);
        }
    }

    /// Whether a peer is known to be unreachable.
    pub fn holds(&mut self, remote: SocketAddr, now_ns: u64) -> bool {
        match self.0.get(&remote) {
            Some(until_ns) if *until_ns > now_ns => true,
            Some(_) => {
                self.0.remove(&remote);
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distrust_ends_and_is_bounded() {
        let remote = |n: u16| SocketAddr::from(([192, 0, 2, 1], n));
        let mut distrust = Distrust::default();
        distrust.note(remote(1), 0, 10);
        assert!(distrust.holds(remote(1), 9));
        assert!(!distrust.holds(remote(1), 10));
        (0..5_000).for_each(|n| distrust.note(remote(n), 20, 30));
        assert_eq!(distrust.0.len(), PEERS_MAX);
        distrust.note(remote(6_000), 30, 40);
        assert!(distrust.holds(remote(6_000), 35), "the expired make room");
    }
}
