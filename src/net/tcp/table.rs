//! The table of connections.

use crate::net::given::TcpConnection;
use bytes::Bytes;
use ringworld_components::edge::ConnId;
use ringworld_components::kernel::StableId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

/// A message on its way out over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What is to be written.
    pub bytes: Bytes,
    /// The transaction to tell if it fails; 0 for none.
    pub transaction: StableId,
    /// Whether it goes over UDP all the same if the peer can't be reached over TCP.
    pub or_udp: bool,
}

/// How often a sender yields to the writer before the connection counts as too slow.
const TURNS_MAX: usize = 32;

/// Of how many transactions a connection remembers that they moved to it. Of more the oldest are over by then.
const MOVED_MAX: usize = 4_096;

/// Messages that wait for the writer, and how many bytes they are. The caller of `push` gives the bound.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub messages: mpsc::UnboundedSender<Outgoing>,
    pub bytes: Arc<AtomicUsize>,
}

impl Queue {
    /// Queues a message unless that makes more than `bytes_max` wait; false if it does, or if the writer is gone.
    pub fn push(&self, outgoing: Outgoing, bytes_max: usize) -> bool {
        let len = outgoing.bytes.len();
        if self.bytes.load(Ordering::Relaxed) + len > bytes_max {
            return false;
        }
        self.bytes.fetch_add(len, Ordering::Relaxed);
        self.messages.send(outgoing).is_ok()
    }

    /// As [`Queue::push`]; before it is false the writer has had its turns. A world may send a burst; a peer is slow
    /// only if the system takes nothing more for it.
    pub async fn push_patiently(&self, outgoing: Outgoing, bytes_max: usize) -> bool {
        let fits = || self.bytes.load(Ordering::Relaxed) + outgoing.bytes.len() <= bytes_max;
        for _ in 0..TURNS_MAX {
            if fits() {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.push(outgoing, bytes_max)
    }
}

/// How far a connection is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Being opened by us; what waits for it, and how many bytes that is.
    Opening(Vec<Outgoing>, usize, AbortHandle),
    /// Open. Its task returns the connection if it was told to leave it open.
    Open(Queue, JoinHandle<Option<TcpConnection>>),
}

#[derive(Debug)]
pub(super) struct Connection {
    pub remote: SocketAddr,
    pub stage: Stage,
    /// Transactions whose large request moved here from UDP.
    pub moved: BTreeSet<StableId>,
}

impl Connection {
    /// Notes that a large request of a transaction moves from UDP to this connection; false if it has before.
    ///
    /// The world sees UDP and repeats the request, but nothing is repeated over a reliable transport (RFC 3261 sections
    /// 17.1.1.2 and 17.1.2.2), and only here is it known what it went over.
    pub fn moves(&mut self, transaction: StableId) -> bool {
        if self.moved.len() >= MOVED_MAX {
            self.moved.pop_first();
        }
        transaction.0 == 0 || self.moved.insert(transaction)
    }
}

/// The transactions of those messages that moved from UDP.
pub(super) fn moved(waiting: &[Outgoing]) -> BTreeSet<StableId> {
    let named = waiting.iter().filter(|outgoing| outgoing.or_udp && outgoing.transaction.0 != 0);
    named.map(|outgoing| outgoing.transaction).collect()
}

/// All connections, by number and by peer.
#[derive(Debug)]
pub(super) struct Table {
    last: u64,
    connections: BTreeMap<ConnId, Connection>,
    by_remote: BTreeMap<SocketAddr, ConnId>,
}

impl Table {
    pub fn new(conn_base: u64) -> Self {
        Self { last: conn_base, connections: BTreeMap::new(), by_remote: BTreeMap::new() }
    }

    pub fn mint(&mut self) -> ConnId {
        self.last += 1;
        ConnId(self.last)
    }

    pub fn len(&self) -> usize {
        self.connections.len()
    }

    pub fn insert(&mut self, conn: ConnId, connection: Connection) {
        // The youngest connection to a peer is the one that most likely still works.
        self.by_remote.insert(connection.remote, conn);
        self.connections.insert(conn, connection);
    }

    pub fn remove(&mut self, conn: ConnId) -> Option<Connection> {
        let gone = self.connections.remove(&conn)?;
        if self.by_remote.get(&gone.remote) == Some(&conn) {
            self.by_remote.remove(&gone.remote);
        }
        Some(gone)
    }

    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.connections.get_mut(&conn)
    }

    /// The connection to use: the preferred one if it is still there, else another one to the same peer.
    pub fn find(&self, preferred: ConnId, remote: SocketAddr) -> Option<ConnId> {
        if self.connections.contains_key(&preferred) {
            return Some(preferred);
        }
        self.by_remote.get(&remote).copied()
    }

    /// All of them, in order.
    pub fn take(&mut self) -> BTreeMap<ConnId, Connection> {
        self.by_remote.clear();
        std::mem::take(&mut self.connections)
    }

    /// Whether something still waits to be written.
    pub fn is_waiting(&self) -> bool {
        self.connections.values().any(|connection| match &connection.stage {
            Stage::Open(queue, _) => queue.bytes.load(Ordering::Relaxed) > 0,
            Stage::Opening(..) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(remote: SocketAddr, runtime: &tokio::runtime::Runtime) -> Connection {
        let task = runtime.spawn(std::future::pending::<()>()).abort_handle();
        Connection { remote, stage: Stage::Opening(Vec::new(), 0, task), moved: BTreeSet::new() }
    }

    #[test]
    fn a_connection_is_found_by_number_and_then_by_peer() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let remote = "192.0.2.1:5060".parse().unwrap();
        let mut table = Table::new(100);
        let (first, second) = (table.mint(), table.mint());
        assert_eq!(first, ConnId(101));
        table.insert(first, opening(remote, &runtime));
        table.insert(second, opening(remote, &runtime));
        assert_eq!(table.find(first, remote), Some(first));
        assert_eq!(table.find(ConnId::NONE, remote), Some(second));
        table.remove(first);
        assert_eq!(table.find(first, remote), Some(second), "a lost one is replaced");
        table.remove(second);
        assert_eq!(table.find(first, remote), None);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn what_a_connection_remembers_is_bounded() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut connection = opening("192.0.2.1:5060".parse().unwrap(), &runtime);
        assert!((1..10_000).all(|number| connection.moves(StableId(number))));
        assert_eq!(connection.moved.len(), MOVED_MAX);
        assert!(!connection.moves(StableId(9_999)));
        assert!(
            connection.moves(StableId(0)) && connection.moves(StableId(0)),
            "a message of no transaction may come again"
        );
    }

    #[test]
    fn a_queue_is_bounded_in_bytes() {
        let (messages, _kept) = mpsc::unbounded_channel();
        let queue = Queue { messages, bytes: Arc::default() };
        let message = Outgoing { bytes: Bytes::from_static(&[0; 60]), transaction: StableId(0), or_udp: false };
        assert!(queue.push(message.clone(), 100));
        assert!(!queue.push(message, 100));
    }
}
