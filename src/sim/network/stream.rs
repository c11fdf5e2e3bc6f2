//! TCP connections: one an agent, bytes in order, until they break. Nothing says where a message begins but the bytes:
//! they travel in pieces, cut and joined at random, and the switch's end cuts them by the framer of its own edge.

use super::super::{Dice, MS, Purpose};
use crate::ua::frame;
use bytes::Bytes;
use ringworld_components::edge::{ConnId, Flow};
use ringworld_components::wire::sip::{Limits, StreamFramer};
use std::collections::{BTreeMap, VecDeque};

/// How much later a piece may arrive than the one before it.
const PIECE_LATER_MAX: u64 = 30 * MS;
/// What keeps a connection alive, and what answers it (RFC 5626 section 4.4.1).
const PING: &[u8] = b"\r\n\r\n";
pub(super) const PONG: &[u8] = b"\r\n";

/// Bytes on their way, in order.
#[derive(Debug, Default)]
struct Pipe {
    pieces: VecDeque<(u64, Vec<u8>)>,
    last: u64,
}

impl Pipe {
    /// Sends bytes in pieces, none of which arrives before `at` or before what was sent earlier; returns when each
    /// does.
    fn send(&mut self, at: u64, bytes: &[u8], dice: &mut Dice) -> Vec<u64> {
        self.last = self.last.max(at);
        let mut rest = bytes;
        let mut times = Vec::new();
        while !rest.is_empty() {
            let whole = times.len() >= 3 || dice.happens(700);
            let length = if whole { rest.len() } else { 1 + dice.below(rest.len() as u64) as usize };
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            self.pieces.push_back((self.last, piece.to_vec()));
            times.push(self.last);
            rest = behind;
            if !rest.is_empty() {
                self.last += dice.below(PIECE_LATER_MAX);
            }
        }
        times
    }

    /// All that has arrived, as one piece.
    fn read(&mut self, now: u64) -> Vec<u8> {
        let arrived = self.pieces.partition_point(|(at, _)| *at <= now);
        self.pieces.drain(..arrived).flat_map(|(_, piece)| piece).collect()
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub agent: u32,
    pub flow: Flow,
    to_switch: Pipe,
    to_agent: Pipe,
    framer: StreamFramer,
    ear: Vec<u8>,
    dice: Dice,
    /// What the framer has still to deliver: messages that were sent, and keep-alives.
    owed: VecDeque<Vec<u8>>,
    pings_owed: u32,
    /// The reset that ends it is on its way.
    is_ending: bool,
}

/// What was read at the switch's end of a connection.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub messages: Vec<Bytes>,
    /// Keep-alives to answer.
    pub pings: u32,
    /// Framing is lost: the connection is to be closed, after these words if there are any.
    pub refusal: Option<Option<Vec<u8>>>,
    /// What the framer made of a message, if that is not what was sent.
    pub garbled: Option<String>,
}

impl Stream {
    /// The agent sends a message, now and then with a keep-alive before it.
    pub fn send_to_switch(&mut self, at: u64, message: Vec<u8>) -> Vec<u64> {
        let pings = self.dice.happens(100);
        self.pings_owed += u32::from(pings);
        let bytes = [if pings { PING } else { b"" }, &message].concat();
        self.owed.push_back(message);
        self.to_switch.send(at, &bytes, &mut self.dice)
    }

    /// The agent's end breaks when a part of a message has been sent.
    pub fn send_part(&mut self, at: u64, message: &[u8]) -> Vec<u64> {
        self.is_ending = true;
        let part = self.dice.below(message.len() as u64) as usize;
        self.to_switch.send(at, message.get(..part).unwrap_or_default(), &mut self.dice)
    }

    /// The switch sends something.
    pub fn send_to_agent(&mut self, at: u64, bytes: &[u8]) -> Vec<u64> {
        self.to_agent.send(at, bytes, &mut self.dice)
    }

    /// Reads at the switch's end, as the network threads do.
    pub fn read_at_switch(&mut self, now: u64) -> Read {
        let mut read = Read::default();
        self.framer.push(&self.to_switch.read(now));
        for framed in self.framer.by_ref() {
            match framed {
                Ok(message) => {
                    let sent = self.owed.pop_front().unwrap_or_default();
                    if sent != message {
                        let (sent, message) = (String::from_utf8_lossy(&sent), String::from_utf8_lossy(&message));
                        read.garbled.get_or_insert(format!("{message:?} was cut out of a stream, sent was {sent:?}"));
                    }
                    read.messages.push(message);
                }
                Err(error) => {
                    let words = error.response.as_ref().map(|refusal| refusal.write(self.flow.remote, "cut"));
                    read.refusal = Some(words.map(|words| words.to_vec()));
                }
            }
        }
        read.pings = self.framer.take_pings();
        self.pings_owed = self.pings_owed.saturating_sub(read.pings);
        read
    }

    /// Reads at the agent's end: whole messages, and line ends that answer a keep-alive.
    pub fn read_at_agent(&mut self, now: u64) -> Vec<Bytes> {
        self.ear.extend(self.to_agent.read(now));
        let mut messages = Vec::new();
        while let Ok(Some(message)) = frame::take(&mut self.ear) {
            messages.push(message.into());
        }
        messages
    }

    /// What the framer has not delivered though everything has arrived.
    pub fn owes(&self) -> Option<String> {
        if !self.to_switch.pieces.is_empty() {
            return None;
        }
        let message = self.owed.front().map(|message| String::from_utf8_lossy(message).into_owned());
        match message {
            Some(message) => Some(format!("{message:?} was never cut out of its stream")),
            None if self.pings_owed > 0 => Some(format!("{} keep-alives were not seen", self.pings_owed)),
            None => None,
        }
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Streams {
    seed: u64,
    minted: u64,
    by_agent: BTreeMap<u32, ConnId>,
    open: BTreeMap<ConnId, Stream>,
}

impl Streams {
    pub fn new(seed: u64) -> Self {
        Self { seed, minted: 0, by_agent: BTreeMap::new(), open: BTreeMap::new() }
    }

    /// The number of the next connection.
    pub fn mint(&mut self) -> ConnId {
        self.minted += 1;
        ConnId(self.minted)
    }

    /// Opens a connection of an agent.
    pub fn open(&mut self, agent: u32, flow: Flow) {
        let (to_switch, to_agent) = Default::default();
        let (framer, ear, owed) = (StreamFramer::new(Limits::default()), Vec::new(), VecDeque::new());
        let dice = Dice::new(self.seed, Purpose::Stream, flow.conn.0 as u32);
        let (pings_owed, is_ending) = (0, false);
        let stream = Stream { agent, flow, to_switch, to_agent, framer, ear, dice, owed, pings_owed, is_ending };
        self.by_agent.insert(agent, flow.conn);
        self.open.insert(flow.conn, stream);
    }

    /// The agent's connection that it can send over.
    pub fn of(&mut self, agent: u32) -> Option<&mut Stream> {
        let conn = self.by_agent.get(&agent)?;
        self.open.get_mut(conn).filter(|stream| !stream.is_ending)
    }

    pub fn get(&mut self, conn: ConnId) -> Option<&mut Stream> {
        self.open.get_mut(&conn)
    }

    /// All that are open.
    pub fn all(&self) -> impl Iterator<Item = &Stream> {
        self.open.values()
    }

    /// Breaks the agent's connection.
    pub fn close(&mut self, agent: u32) -> Option<ConnId> {
        let conn = self.by_agent.remove(&agent)?;
        self.open.remove(&conn).map(|_| conn)
    }

    /// Breaks all of them.
    pub fn close_all(&mut self) {
        self.by_agent.clear();
        self.open.clear();
    }

    pub fn close_conn(&mut self, conn: ConnId) {
        self.by_agent.retain(|_, open| *open != conn);
        self.open.remove(&conn);
    }

    /// Whether a connection is open.
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.open.contains_key(&conn)
    }
}
