//! ICMP errors: which transaction's datagram each is about.

use super::thread::UdpThread;
use crate::net::address::{canonical, from_system};
use crate::net::counters::Count;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use ringworld_components::edge::SendFailure;
use ringworld_components::kernel::StableId;
use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

/// How many of the last datagrams are remembered.
const RECENT_MAX: usize = 2_048;
/// Errors looked at in one round for each socket.
const ERRORS_MAX: usize = 64;

/// The last datagrams sent on behalf of transactions, which are told of their failure.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<(SocketAddr, StableId)>);

impl Recent {
    pub fn note(&mut self, remote: SocketAddr, transaction: StableId) {
        if transaction.0 == 0 {
            return;
        }
        if self.0.len() >= RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((remote, transaction));
    }

    /// Removes and returns the transactions that sent to a peer that has turned out to be unreachable.
    pub fn take(&mut self, remote: SocketAddr) -> Vec<StableId> {
        let mut found: Vec<StableId> = Vec::new();
        self.0.retain(|(to, transaction)| {
            let hit = *to == remote;
            if hit && !found.contains(transaction) {
                found.push(*transaction);
            }
            !hit
        });
        found
    }
}

impl UdpThread {
    /// Reads the sockets' error queues and tells the transactions concerned.
    pub(super) fn read_refusals(&mut self) {
        let mut refused = Vec::new();
        for listener in &self.listeners {
            for _ in 0..ERRORS_MAX {
                match read_refusal(listener.socket.as_raw_fd()) {
                    Ok(Some(remote)) => refused.push(remote),
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
        }
        self.inlet.counters.sip_udp_unreachable.add(refused.len() as u64);
        for remote in refused {
            for transaction in self.recent.take(remote) {
                self.inlet.send_failed(transaction, SendFailure::Unreachable);
            }
        }
    }
}

/// The next entry of a socket's error queue: the datagram's destination, if the error means that it can't be reached.
fn read_refusal(socket: i32) -> nix::Result<Option<SocketAddr>> {
    const ICMP_UNREACHABLE: u8 = 3;
    const ICMP6_UNREACHABLE: u8 = 1;
    // Too large for the path: the kernel fragments from now on, and the retransmission gets through.
    const ICMP_FRAGMENTATION_NEEDED: u8 = 4;
    let mut control = [0; 512];
    // What the datagram contained does not matter, only where it went.
    let mut byte = [0; 1];
    let mut slices = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket, &mut slices, Some(&mut control), flags)?;
    let unreachable = message.cmsgs()?.any(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) => {
            error.ee_type == ICMP_UNREACHABLE && error.ee_code != ICMP_FRAGMENTATION_NEEDED
        }
        ControlMessageOwned::Ipv6RecvErr(error, _) => error.ee_type == ICMP6_UNREACHABLE,
        _ => false,
    });
    Ok(message.address.as_ref().and_then(from_system).filter(|_| unreachable).map(canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_refuses_concerns_its_transactions_once() {
        let (one, two) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
        let mut recent = Recent::default();
        for (remote, transaction) in [(one, 7), (two, 8), (one, 7), (one, 9), (one, 0)] {
            recent.note(remote, StableId(transaction));
        }
        assert_eq!(recent.take(one), [StableId(7), StableId(9)]);
        assert!(recent.take(one).is_empty());
        assert_eq!(recent.take(two), [StableId(8)]);
    }

    #[test]
    fn only_the_last_are_remembered() {
        let remote = "192.0.2.1:5060".parse().unwrap();
        let mut recent = Recent::default();
        (1..=RECENT_MAX as u64 + 5).for_each(|transaction| recent.note(remote, StableId(transaction)));
        assert_eq!(recent.take(remote).first(), Some(&StableId(6)));
    }
}
