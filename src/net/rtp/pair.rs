//! The two sockets of a port pair.

use crate::net::address::local_towards;
use crate::net::counters::{Count, NetCounters};
use crate::net::mark::{Marks, mark};
use ringworld_components::call::QosClass;
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Two open sockets.
#[derive(Debug)]
pub(in crate::net) struct Pair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    /// Whether the sockets are of IPv6, so that IPv4 addresses must be mapped.
    pub v6: bool,
    route: Cell<Option<Route>>,
    /// The DSCP that the sockets have, once it is set.
    dscp: Cell<Option<u8>>,
}

/// Which address of ours the last peer has reached.
#[derive(Clone, Copy, Debug)]
struct Route {
    peer: SocketAddr,
    reached: IpAddr,
    /// That address, if the system would choose another one.
    from: Option<IpAddr>,
}

impl Pair {
    pub fn new(rtp: UdpSocket, rtcp: UdpSocket, v6: bool) -> Self {
        Self { rtp, rtcp, v6, route: Cell::new(None), dscp: Cell::new(None) }
    }

    /// Notes that a peer has reached an address of ours: what is sent to it leaves from there.
    pub fn note(&self, peer: SocketAddr, reached: IpAddr) {
        if self.route.get().is_some_and(|route| route.peer == peer && route.reached == reached) {
            return;
        }
        let from = local_towards(peer).is_ok_and(|usual| usual != reached).then_some(reached);
        self.route.set(Some(Route { peer, reached, from }));
    }

    /// Which address a packet to a peer must leave from, if not from the one that the system chooses.
    pub fn source_towards(&self, peer: SocketAddr) -> Option<IpAddr> {
        self.route.get().filter(|route| route.peer == peer).and_then(|route| route.from)
    }

    /// Marks what leaves from now on as packets of a class.
    pub fn mark(&self, class: QosClass, marks: &Marks, counters: &NetCounters) {
        let dscp = marks.of(class);
        if self.dscp.replace(Some(dscp)) == Some(dscp) {
            return;
        }
        let both = mark(&self.rtp, self.v6, dscp).and_then(|()| mark(&self.rtcp, self.v6, dscp));
        if both.is_err() {
            counters.marks_refused.one();
        }
    }

    /// Another call has the pair.
    pub fn forget(&self) {
        self.route.set(None);
    }
}
