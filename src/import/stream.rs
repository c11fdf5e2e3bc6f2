//! SIP messages and packets out of datagrams and TCP connections, as what happened to the host.

use super::Local;
use super::account::Account;
use super::datagram::{Carried, Datagram};
use crate::config::sip_limits;
use bytes::Bytes;
use ringworld_components::call::SipSettings;
use ringworld_components::edge::{ConnId, Flow, Transport};
use ringworld_components::wire::sip::{Limits, StreamFramer};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What may wait for a lost segment, in bytes; behind it the segment is given up.
const WAITING_MAX: usize = 256 * 1024;

/// Connections that are followed at a time.
const CONNECTIONS_MAX: usize = 10_000;

/// What happened to the host.
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
}

/// Sorts datagrams into happenings.
pub(super) struct Streams {
    limits: Limits,
    /// By the host's address and the other one.
    connections: BTreeMap<(SocketAddr, SocketAddr), Connection>,
    opened: u64,
}

struct Connection {
    id: ConnId,
    /// To the host, and from it.
    halves: [Half; 2],
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
                } else {
                    account.not_ours += 1;
                }
                Vec::new()
            }
            Carried::Tcp { sequence, syn, end, bytes } => {
                let is_to_us = local.is_at(to, from, Transport::Tcp);
                if !is_to_us && !local.is_at(from, to, Transport::Tcp) {
                    account.not_ours += 1;
                    return Vec::new();
                }
                let ends = if is_to_us { (to, from) } else { (from, to) };
                self.segment(ends, is_to_us, Segment { sequence, syn, end, bytes }, account)
            }
        }
    }

    fn segment(
        &mut self,
        (local, remote): (SocketAddr, SocketAddr),
        is_to_us: bool,
        segment: Segment,
        account: &mut Account,
    ) -> Vec<Happening> {
        let mut happened = Vec::new();
        let flow = |id| Flow { transport: Transport::Tcp, local, remote, conn: id };
        if !self.connections.contains_key(&(local, remote)) {
            if segment.end || self.connections.len() >= CONNECTIONS_MAX {
                account.segments_ignored += 1;
                return happened;
            }
            self.opened += 1;
            let id = ConnId(self.opened);
            account.connections += 1;
            account.joined_late += u64::from(!segment.syn);
            let halves = [Half::new(&self.limits), Half::new(&self.limits)];
            self.connections.insert((local, remote), Connection { id, halves });
            happened.push(Happening::Opened(flow(id)));
        }
        let Some(connection) = self.connections.get_mut(&(local, remote)) else { return happened };
        let (id, end) = (connection.id, segment.end);
        let [to_us, from_us] = &mut connection.halves;
        let half = if is_to_us { to_us } else { from_us };
        for bytes in half.take(segment, &self.limits, account) {
            account.spoke_sip(if is_to_us { remote } else { local }, if is_to_us { local } else { remote });
            if is_to_us {
                account.sip_to_us += 1;
                happened.push(Happening::Received { flow: flow(id), bytes });
            } else {
                account.sip_from_us += 1;
                happened.push(Happening::Sent { remote, bytes });
            }
        }
        if end {
            if let Some(connection) = self.connections.remove(&(local, remote)) {
                connection.halves.iter().for_each(|half| half.give_up(account));
            }
            happened.push(Happening::Closed(id));
        }
        happened
    }

    /// Counts what was never whole.
    pub fn finish(&self, account: &mut Account) {
        self.connections.values().flat_map(|connection| &connection.halves).for_each(|half| half.give_up(account));
    }
}

struct Segment {
    sequence: u32,
    syn: bool,
    end: bool,
    bytes: Vec<u8>,
}

/// One direction of a connection.
struct Half {
    /// The sequence number of the next byte, once it is known.
    next: Option<u32>,
    /// Segments ahead of a gap, by their distance from a fixed number, so that they sort.
    waiting: BTreeMap<u32, Vec<u8>>,
    waiting_bytes: usize,
    framer: StreamFramer,
    /// Whether it is unknown where a message begins.
    is_adrift: bool,
}

impl Half {
    fn new(limits: &Limits) -> Self {
        let framer = StreamFramer::new(*limits);
        Self { next: None, waiting: BTreeMap::new(), waiting_bytes: 0, framer, is_adrift: true }
    }

    /// The messages that a segment completes.
    fn take(&mut self, segment: Segment, limits: &Limits, account: &mut Account) -> Vec<Bytes> {
        let Segment { mut sequence, syn, bytes, .. } = segment;
        if syn {
            sequence = sequence.wrapping_add(1);
            self.next = Some(sequence);
            self.is_adrift = false;
        }
        let mut messages = Vec::new();
        if bytes.is_empty() {
            return messages;
        }
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        if ahead > u32::MAX / 2 {
            // It was seen before, at least in part.
            let seen = next.wrapping_sub(sequence) as usize;
            match bytes.get(seen..) {
                Some(rest) if !rest.is_empty() => self.append(rest.to_vec(), limits, account, &mut messages),
                _ => account.segments_again += 1,
            }
        } else if ahead == 0 {
            self.append(bytes, limits, account, &mut messages);
        } else {
            self.waiting_bytes += bytes.len();
            if let Some(double) = self.waiting.insert(sequence, bytes) {
                self.waiting_bytes -= double.len();
            }
        }
        self.join(limits, account, &mut messages);
        messages
    }

    /// Appends what had to wait, and gives up a segment that too much is waiting for.
    fn join(&mut self, limits: &Limits, account: &mut Account, messages: &mut Vec<Bytes>) {
        while let Some(next) = self.next {
            let nearest = self.waiting.keys().copied().min_by_key(|at| at.wrapping_sub(next).wrapping_add(1 << 31));
            let Some(at) = nearest else { return };
            let ahead = at.wrapping_sub(next);
            let is_behind = ahead > u32::MAX / 2;
            if ahead != 0 && !is_behind {
                if self.waiting_bytes <= WAITING_MAX {
                    return;
                }
                account.gaps += 1;
                account.bytes_lost += u64::from(ahead);
                self.next = Some(at);
                self.lose_track(limits, account);
            }
            let Some(bytes) = self.waiting.remove(&at) else { return };
            self.waiting_bytes -= bytes.len();
            let seen = if is_behind { next.wrapping_sub(at) as usize } else { 0 };
            if let Some(rest) = bytes.get(seen..).filter(|rest| !rest.is_empty()) {
                self.append(rest.to_vec(), limits, account, messages);
            }
        }
    }

    fn append(&mut self, bytes: Vec<u8>, limits: &Limits, account: &mut Account, messages: &mut Vec<Bytes>) {
        self.next = self.next.map(|next| next.wrapping_add(bytes.len() as u32));
        // Where the stream was joined in its middle, or after a gap, the next message that begins with a segment counts.
        if self.is_adrift {
            if !is_sip(&bytes) {
                account.bytes_skipped += bytes.len() as u64;
                return;
            }
            self.is_adrift = false;
        }
        self.framer.push(&bytes);
        loop {
            match self.framer.next() {
                Some(Ok(message)) => messages.push(message),
                Some(Err(_)) => {
                    account.unframed += 1;
                    self.lose_track(limits, account);
                    return;
                }
                None => return,
            }
        }
    }

    fn lose_track(&mut self, limits: &Limits, account: &mut Account) {
        account.bytes_skipped += self.framer.pending() as u64;
        self.framer = StreamFramer::new(*limits);
        self.is_adrift = true;
    }

    /// The connection is over, or the capture: what is left is lost.
    fn give_up(&self, account: &mut Account) {
        account.gaps += u64::from(!self.waiting.is_empty());
        account.bytes_skipped += (self.waiting_bytes + self.framer.pending()) as u64;
    }
}

/// Whether this begins as a SIP message does.
fn is_sip(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u32) -> Vec<u8> {
        format!("OPTIONS sip:{n} SIP/2.0\r\nContent-Length: 2\r\n\r\nhi").into_bytes()
    }

    fn segment(sequence: u32, bytes: &[u8]) -> Segment {
        Segment { sequence, syn: false, end: false, bytes: bytes.to_vec() }
    }

    fn taken(segments: Vec<Segment>) -> (usize, Account) {
        let (limits, mut account) = (Limits::default(), Account::default());
        let mut half = Half::new(&limits);
        let messages = segments.into_iter().flat_map(|segment| half.take(segment, &limits, &mut account)).count();
        half.give_up(&mut account);
        (messages, account)
    }

    #[test]
    fn segments_in_any_order_and_twice_make_the_same_messages() {
        let stream: Vec<u8> = (0..4).flat_map(message).collect();
        let start = u32::MAX - 20;
        let syn = Segment { sequence: start.wrapping_sub(1), syn: true, end: false, bytes: Vec::new() };
        let cut = |from: usize, to: usize| segment(start.wrapping_add(from as u32), &stream[from..to]);
        let (messages, account) =
            taken(vec![syn, cut(0, 10), cut(50, 90), cut(10, 60), cut(0, 10), cut(90, stream.len())]);
        assert_eq!((messages, account.segments_again, account.gaps, account.bytes_skipped), (4, 1, 0, 0));
    }

    #[test]
    fn a_stream_that_is_joined_late_begins_with_the_next_message() {
        let (messages, account) = taken(vec![segment(5, b"rest of one"), segment(16, &message(1))]);
        assert_eq!((messages, account.bytes_skipped), (1, 11));
    }

    #[test]
    fn a_lost_segment_is_given_up_in_the_end_and_counted() {
        let one = message(1);
        let mut segments = vec![segment(0, &one)];
        let mut at = one.len() as u32 + 100;
        while at < 300_000 {
            segments.push(segment(at, &one));
            at += one.len() as u32;
        }
        let count = segments.len();
        let (messages, account) = taken(segments);
        assert_eq!((messages, account.gaps, account.bytes_lost), (count, 1, 100));
    }

    #[test]
    fn nonsense_on_a_stream_is_skipped_and_counted() {
        let (messages, account) =
            taken(vec![segment(0, b"OPTIONS sip:1 SIP/2.0\r\nContent-Length: x\r\n\r\n"), segment(44, &message(1))]);
        assert_eq!((messages, account.unframed), (1, 1));
    }
}
