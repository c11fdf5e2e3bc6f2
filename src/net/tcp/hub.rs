//! The hub: takes orders and accepted connections, and owns the table.

use super::connection::{Parts, deliver_patiently, run};
use super::distrust::Distrust;
use super::outlet::TcpOrder;
use super::table::{Connection, Outgoing, Queue, Stage, Table, moved};
use crate::net::TcpLimits;
use crate::net::address::canonical;
use crate::net::clock::monotonic_ns;
use crate::net::counters::Count;
use crate::net::given::Held;
use crate::net::inlet::{Delivery, Inlet};
use crate::net::mark::mark_or_warn;
use crate::net::udp::{Datagram, UdpOutlet};
use bytes::Bytes;
use ringworld_components::edge::{ConnId, Flow, Input, SendFailure, Target, Transport};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// What the other tasks tell the hub.
#[derive(Debug)]
pub(super) enum HubEvent {
    /// A peer connected.
    Accepted(TcpStream),
    /// A connection that we open is open, or is not to be.
    Opened(ConnId, Option<TcpStream>),
    /// A connection has ended.
    Closed(ConnId),
}

pub(super) struct Hub {
    pub table: Table,
    pub distrust: Distrust,
    pub limits: TcpLimits,
    pub dscp: u8,
    pub inlet: Inlet,
    pub udp: UdpOutlet,
    pub events: mpsc::UnboundedSender<HubEvent>,
    /// If true, all connections stop where they are.
    pub freeze: watch::Sender<bool>,
}

impl Hub {
    pub async fn order(&mut self, order: TcpOrder) {
        let TcpOrder { target, bytes, transaction, or_udp } = order;
        self.send(target, Outgoing { bytes, transaction, or_udp }).await;
    }

    pub fn event(&mut self, event: HubEvent) {
        match event {
            HubEvent::Accepted(stream) => self.accepted(stream),
            HubEvent::Opened(conn, stream) => self.opened(conn, stream),
            HubEvent::Closed(conn) => self.close(conn),
        }
    }

    pub async fn send(&mut self, target: Target, mut outgoing: Outgoing) {
        let counters = self.inlet.counters.clone();
        if outgoing.or_udp {
            // A peer without TCP is not tried again for each retransmission.
            if self.distrust.holds(target.remote, monotonic_ns()) {
                return self.fail(target.remote, outgoing);
            }
            let found = self.table.find(target.conn, target.remote);
            let connection = found.and_then(|conn| self.table.get_mut(conn));
            if connection.is_some_and(|connection| !connection.moves(outgoing.transaction)) {
                return counters.sip_large_repeats_withheld.one();
            }
            counters.sip_large_over_tcp.one();
            outgoing.bytes = with_transport(&outgoing.bytes, b"UDP", b"TCP");
        }
        let Some(conn) = self.table.find(target.conn, target.remote) else { return self.open(target.remote, outgoing) };
        let bytes_max = self.limits.queue_bytes_max;
        match self.table.get_mut(conn).map(|connection| &mut connection.stage) {
            Some(Stage::Open(queue, _)) => {
                let transaction = outgoing.transaction;
                if queue.push_patiently(outgoing, bytes_max).await {
                    return counters.sip_tcp_out.one();
                }
                counters.tcp_slow_closed.one();
                counters.sip_tcp_out_dropped.one();
                self.inlet.send_failed(transaction, SendFailure::Full);
                self.close(conn);
            }
            Some(Stage::Opening(waiting, bytes, _)) if *bytes + outgoing.bytes.len() <= bytes_max => {
                *bytes += outgoing.bytes.len();
                waiting.push(outgoing);
            }
            _ => {
                counters.sip_tcp_out_dropped.one();
                self.inlet.send_failed(outgoing.transaction, SendFailure::Full);
            }
        }
    }

    /// The message can't go over TCP: it goes over UDP if it may, else its transaction is told.
    pub fn fail(&mut self, remote: SocketAddr, outgoing: Outgoing) {
        if outgoing.or_udp {
            self.inlet.counters.sip_large_over_udp.one();
            let bytes = with_transport(&outgoing.bytes, b"TCP", b"UDP");
            self.udp.push(Datagram { remote, bytes, transaction: outgoing.transaction });
            self.udp.flush();
        } else {
            self.inlet.not_sent(outgoing.transaction);
        }
    }

    fn has_room(&self) -> bool {
        let room = self.table.len() < self.limits.connections_max;
        if !room {
            self.inlet.counters.tcp_refused.one();
        }
        room
    }

    fn open(&mut self, remote: SocketAddr, outgoing: Outgoing) {
        if !self.has_room() {
            return self.fail(remote, outgoing);
        }
        let conn = self.table.mint();
        let (events, patience, dscp) = (self.events.clone(), self.limits.connect, self.dscp);
        let task = tokio::spawn(async move {
            let stream = timeout(patience, connect(remote, dscp)).await.ok().and_then(Result::ok);
            let _ = events.send(HubEvent::Opened(conn, stream));
        });
        let bytes = outgoing.bytes.len();
        let waiting = vec![outgoing];
        let moved = moved(&waiting);
        let stage = Stage::Opening(waiting, bytes, task.abort_handle());
        self.table.insert(conn, Connection { remote, stage, moved });
        self.inlet.counters.tcp_connections.one();
    }

    fn opened(&mut self, conn: ConnId, stream: Option<TcpStream>) {
        // Closed by the world in the meantime?
        let Some(Connection { remote, stage: Stage::Opening(waiting, ..), .. }) = self.table.remove(conn) else {
            return;
        };
        self.inlet.counters.tcp_connections.subtract(1);
        match stream {
            Some(stream) => {
                self.inlet.counters.tcp_connected.one();
                self.opened_with(conn, stream, Held { dialled: true, unsent: waiting, ..Held::default() });
            }
            None => {
                self.inlet.counters.tcp_connect_failed.one();
                let now_ns = monotonic_ns();
                let distrust_ns = u64::try_from(self.limits.distrust.as_nanos()).unwrap_or(u64::MAX);
                self.distrust.note(remote, now_ns, now_ns.saturating_add(distrust_ns));
                waiting.into_iter().for_each(|outgoing| self.fail(remote, outgoing));
            }
        }
    }

    fn accepted(&mut self, stream: TcpStream) {
        if self.has_room() {
            self.inlet.counters.tcp_accepted.one();
            let conn = self.table.mint();
            self.opened_with(conn, stream, Held::default());
        }
    }

    /// Starts a connection that has just been opened.
    fn opened_with(&mut self, conn: ConnId, stream: TcpStream, held: Held) {
        let (Ok(remote), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
            // Closed before it was looked at.
            return held.unsent.into_iter().for_each(|outgoing| {
                self.inlet.send_failed(outgoing.transaction, SendFailure::Connection);
            });
        };
        let (remote, local) = (canonical(remote), canonical(local));
        self.start(Flow { transport: Transport::Tcp, local, remote, conn }, stream, held);
    }

    /// Starts the task of a connection, new or not.
    pub fn start(&mut self, flow: Flow, stream: TcpStream, mut held: Held) {
        let (messages, outgoing) = mpsc::unbounded_channel();
        let queue = Queue { messages, bytes: Default::default() };
        let moved = moved(&held.unsent);
        for message in std::mem::take(&mut held.unsent) {
            if queue.push(message, usize::MAX) {
                self.inlet.counters.sip_tcp_out.one();
            }
        }
        let parts = Parts {
            flow,
            inlet: self.inlet.clone(),
            events: self.events.clone(),
            freeze: self.freeze.subscribe(),
            idle: self.limits.idle,
            message: self.limits.message,
            queue_bytes_max: self.limits.queue_bytes_max,
        };
        let task = tokio::spawn(run(parts, stream, outgoing, queue.clone(), held));
        self.table.insert(flow.conn, Connection { remote: flow.remote, stage: Stage::Open(queue, task), moved });
        self.inlet.counters.tcp_connections.one();
    }

    /// Ends a connection in whatever stage it is, and tells the worlds once.
    fn close(&mut self, conn: ConnId) {
        let Some(Connection { stage, .. }) = self.table.remove(conn) else { return };
        self.inlet.counters.tcp_connections.subtract(1);
        match stage {
            Stage::Open(_, task) => {
                task.abort();
                self.tell_closed(conn);
            }
            Stage::Opening(waiting, _, task) => {
                task.abort();
                for outgoing in waiting {
                    self.inlet.send_failed(outgoing.transaction, SendFailure::Connection);
                }
            }
        }
    }

    /// Tells the worlds that an open connection is closed.
    pub fn tell_closed(&self, conn: ConnId) {
        for world in 0..self.inlet.worlds.len() {
            if let Delivery::Full(input) = self.inlet.offer(world, Input::ConnClosed(conn)) {
                let inlet = self.inlet.clone();
                tokio::spawn(async move { deliver_patiently(&inlet, world, input).await });
            }
        }
    }
}

/// The message with another transport in its topmost Via (RFC 3261 section 18.1.1): the names are equally long.
fn with_transport(message: &Bytes, from: &[u8; 3], to: &[u8; 3]) -> Bytes {
    const PROTOCOL: &[u8] = b"SIP/2.0/";
    let found = message.windows(PROTOCOL.len()).position(|window| window == PROTOCOL).map(|at| at + PROTOCOL.len());
    let Some(at) = found.filter(|at| message.get(*at..at + 3) == Some(from)) else { return message.clone() };
    let mut changed = message.to_vec();
    if let Some(place) = changed.get_mut(at..at + 3) {
        place.copy_from_slice(to);
    }
    changed.into()
}

/// Opens a connection whose packets are marked from the first one on.
async fn connect(remote: SocketAddr, dscp: u8) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    mark_or_warn(&socket, remote.is_ipv6(), dscp);
    socket.connect(remote).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_topmost_via_changes() {
        let message = Bytes::from_static(b"INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\n\r\n");
        let changed = with_transport(&message, b"UDP", b"TCP");
        assert_eq!(&changed[..], b"INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nVia: SIP/2.0/UDP b\r\n\r\n");
        assert_eq!(with_transport(&changed, b"TCP", b"UDP"), message);
        assert_eq!(with_transport(&changed, b"UDP", b"TCP"), changed, "what does not fit stays");
    }
}
