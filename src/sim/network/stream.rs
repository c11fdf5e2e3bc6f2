//! TCP connections: one an agent, in order, until they break.

use ringworld_components::edge::ConnId;
use std::collections::BTreeMap;

/// A connection that a message goes over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub conn: ConnId,
    /// Whether it was opened for this message.
    pub is_new: bool,
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    minted: u64,
    by_agent: BTreeMap<u32, ConnId>,
    /// When the last message over a connection arrives, each way.
    last: BTreeMap<ConnId, [u64; 2]>,
}

impl Streams {
    fn open(&mut self, agent: u32) -> Opened {
        self.minted += 1;
        let conn = ConnId(self.minted);
        self.by_agent.insert(agent, conn);
        self.last.insert(conn, [0; 2]);
        Opened { conn, is_new: true }
    }

    /// The connection for a message of an agent, and when it arrives: never before the one before.
    pub fn up(&mut self, agent: u32, at: u64) -> (Opened, u64) {
        let open = self.by_agent.get(&agent).copied();
        let opened = open.map_or_else(|| self.open(agent), |conn| Opened { conn, is_new: false });
        let last = self.last.entry(opened.conn).or_default();
        last[0] = last[0].max(at);
        (opened, last[0])
    }

    /// The connection for a message of the switch: the one that is asked for, else another one to the agent, else a new
    /// one if the agent `listens`.
    pub fn down(&mut self, agent: u32, asked: ConnId, listens: bool, now: u64) -> Option<(Opened, u64)> {
        let open = self.by_agent.get(&agent).copied();
        let found = open.filter(|&conn| conn == asked || listens);
        let opened = match found {
            Some(conn) => Opened { conn, is_new: false },
            None if listens => self.open(agent),
            None => return None,
        };
        Some((opened, now))
    }

    /// The time of an arrival at the agent: never before the one before.
    pub fn later(&mut self, conn: ConnId, at: u64) -> u64 {
        let last = self.last.entry(conn).or_default();
        last[1] = last[1].max(at);
        last[1]
    }

    /// Breaks the agent's connection.
    pub fn close(&mut self, agent: u32) -> Option<ConnId> {
        let conn = self.by_agent.remove(&agent)?;
        self.last.remove(&conn);
        Some(conn)
    }

    /// Breaks all of them.
    pub fn close_all(&mut self) {
        self.by_agent.clear();
        self.last.clear();
    }

    pub fn close_conn(&mut self, conn: ConnId) {
        self.by_agent.retain(|_, open| *open != conn);
        self.last.remove(&conn);
    }

    /// Whether what goes over the connection still arrives; datagrams need none.
    pub fn is_open(&self, conn: ConnId) -> bool {
        conn == ConnId::NONE || self.last.contains_key(&conn)
    }
}
