//! SIP messages and packets out of datagrams and TCP connections, as events of the host.

use super::Local;
use super::account::Account;
use super::datagram::{Carried, Datagram};
use super::half::{Half, Segment, is_sip};
use crate::config::sip_limits;
use bytes::Bytes;
use ringworld_components::call::SipSettings;
use ringworld_components::edge::{ConnId, Flow, Transport};
use ringworld_components::wire::sip::Limits;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Connections that are followed at a time.
const CONNECTIONS_MAX: usize = 10_000;

/// An event of the host.
pub(super) enum Happening {
    /// It received a message.
    Received { flow: Flow, bytes: Bytes },
    /// It sent one.
    Sent { remote: SocketAddr, bytes: Bytes },
    /// A connection with it was opened.
    Opened(Flow),
    /// A connection with it was closed.
    Closed(ConnId),
    /// A packet came to one of its other ports.
    Packet { port: u16, peer: SocketAddr, bytes: Vec<u8> },
    /// It sent a packet from one of these.
    PacketSent { port: u16, bytes: Vec<u8> },
}

/// Sorts datagrams into events.
pub(super) struct Streams {
    limits: Limits,
    /// By the host's address and the other one.
    connections: BTreeMap<(SocketAddr, SocketAddr), Connection>,
    opened: u64,
}

struct Connection {
    id: ConnId,
    to_us: Half,
    from_us: Half,
}

impl Streams {
    pub fn new(sip: &SipSettings) -> Self {
        Self { limits: sip_limits(sip), connections: BTreeMap::new(), opened: 0 }
    }

    /// What a datagram means to the host.
    pub fn sort(&mut self, datagram: Datagram, local: Local, account: &mut Account) -> Vec<Happening> {
        let Datagram { from, to, what } = datagram;
        match what {
            Carried::Udp(bytes) if is_sip(&bytes) => {
                account.spoke_sip(from, to);
                if local.is_at(to, from, Transport::Udp) {
                    account.sip_to_us += 1;
                    let flow = Flow { transport: Transport::Udp, local: to, remote: from, conn: ConnId::NONE };
                    vec![Happening::Received { flow, bytes: Bytes::from(bytes) }]
                } else if local.is_at(from, to, Transport::Udp) {
                    account.sip_from_us += 1;
                    vec![Happening::Sent { remote: to, bytes: Bytes::from(bytes) }]
                } else {
                    account.sip_of_others += 1;
                    Vec::new()
                }
            }
            Carried::Udp(bytes) => {
                if to.ip() == local.ip {
                    return vec![Happening::Packet { port: to.port(), peer: from, bytes }];
                }
                if from.ip() == local.ip {
                    account.packets_from_us += 1;
                    return vec![Happening::PacketSent { port: from.port(), bytes }];
                }
                account.not_ours += 1;
                Vec::new()
            }
            Carried::Tcp(segment) => {
                let is_to_us = local.is_at(to, from, Transport::Tcp);
                if !is_to_us && !local.is_at(from, to, Transport::Tcp) {
                    account.not_ours += 1;
                    return Vec::new();
                }
                let ends = if is_to_us { (to, from) } else { (from, to) };
                self.segment(ends, is_to_us, segment, account)
            }
        }
    }

    fn segment(
        &mut self,
        ends: (SocketAddr, SocketAddr),
        is_to_us: bool,
        segment: Segment,
        account: &mut Account,
    ) -> Vec<Happening> {
        let mut happened = Vec::new();
        if !self.connections.contains_key(&ends) {
            let begins = segment.syn || !segment.bytes.is_empty();
            if !begins || self.connections.len() >= CONNECTIONS_MAX {
                account.segments_ignored += 1;
                return happened;
            }
            self.opened += 1;
            account.connections += 1;
            account.joined_late += u64::from(!segment.syn);
            let id = ConnId(self.opened);
            let (to_us, from_us) = (Half::new(&self.limits), Half::new(&self.limits));
            self.connections.insert(ends, Connection { id, to_us, from_us });
            happened.push(Happening::Opened(flow(ends, id)));
        }
        let Some(connection) = self.connections.get_mut(&ends) else { return happened };
        let (id, is_reset) = (connection.id, segment.rst);
        let Connection { to_us, from_us, .. } = connection;
        let (half, other) = if is_to_us { (to_us, from_us) } else { (from_us, to_us) };
        if let Some(number) = segment.acknowledges {
            let messages = other.acknowledge(number, account);
            happened.extend(messages.into_iter().map(|bytes| said(ends, id, !is_to_us, bytes, account)));
        }
        let messages = half.take(segment, account);
        happened.extend(messages.into_iter().map(|bytes| said(ends, id, is_to_us, bytes, account)));
        if is_reset || half.is_over() {
            self.close(ends, account, &mut happened);
        }
        happened
    }

    /// The connection is over, or the capture: what still waited for a lost segment is used as far as it can be.
    fn close(&mut self, ends: (SocketAddr, SocketAddr), account: &mut Account, happened: &mut Vec<Happening>) {
        let Some(mut connection) = self.connections.remove(&ends) else { return };
        let id = connection.id;
        let (to_us, from_us) = (connection.to_us.finish(account), connection.from_us.finish(account));
        happened.extend(to_us.into_iter().map(|bytes| said(ends, id, true, bytes, account)));
        happened.extend(from_us.into_iter().map(|bytes| said(ends, id, false, bytes, account)));
        happened.push(Happening::Closed(id));
    }

    /// The capture is over.
    pub fn finish(&mut self, account: &mut Account) -> Vec<Happening> {
        let mut happened = Vec::new();
        let open: Vec<_> = self.connections.keys().copied().collect();
        open.into_iter().for_each(|ends| self.close(ends, account, &mut happened));
        // Of those that were open at its end nothing says that they were closed then.
        happened.retain(|happening| !matches!(happening, Happening::Closed(_)));
        happened
    }
}

fn flow((local, remote): (SocketAddr, SocketAddr), conn: ConnId) -> Flow {
    Flow { transport: Transport::Tcp, local, remote, conn }
}

fn said(ends: (SocketAddr, SocketAddr), id: ConnId, is_to_us: bool, bytes: Bytes, account: &mut Account) -> Happening {
    let (local, remote) = ends;
    if is_to_us {
        account.spoke_sip(remote, local);
        account.sip_to_us += 1;
        Happening::Received { flow: flow(ends, id), bytes }
    } else {
        account.spoke_sip(local, remote);
        account.sip_from_us += 1;
        Happening::Sent { remote, bytes }
    }
}
