//! The thread that keeps the ring.

use super::dump::{FlightDump, Folder};
use super::follower::{Job, Moved, fitting, pack};
use super::ring::{Base, Packed, Ring};
use super::{FlightSettings, FlightSummary};
use crate::engine::Extend;
use crate::replay::file::HEADER;
use crate::replay::header::{Ending, Header, Start};
use crate::replay::scribe::Sink;
use crate::replay::writer::{Chunk, LEVEL, Mark};
use crossbeam::channel::{Receiver, RecvError, Sender, TrySendError, bounded, never, select};
use ringworld_components::kernel::TICK;
use ringworld_components::record::{Decoder, Record};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Chunks that may wait for the keeper.
const WAITING_MAX: usize = 64;

enum Message {
    Chunk(Chunk),
    /// Forget everything and begin at this tick, after so many ticks; without a snapshot one will be offered.
    Begin(Start, u64),
    Offer(Start),
    Dump {
        reason: String,
        ending: Ending,
        tick: u64,
        tell: Sender<FlightDump>,
    },
}

/// What the keeper reports to the thread of the world.
#[derive(Default)]
struct Signs {
    /// The ring was given up.
    is_lost: AtomicBool,
    /// A snapshot would be of use.
    is_wanting: AtomicBool,
    bytes: AtomicUsize,
    /// The tick at which a recording would begin; `u64::MAX` if none could.
    begins: AtomicU64,
    moved: AtomicU64,
    lost: AtomicU64,
    finding: Mutex<Option<String>>,
}

/// The end of the channel that the world's thread holds.
pub(super) struct Line {
    messages: Sender<Message>,
    emptied: Receiver<Vec<u8>>,
    signs: Arc<Signs>,
}

impl Sink for Line {
    fn send(&self, chunk: Chunk) -> (bool, Vec<u8>) {
        let sent = self.messages.try_send(Message::Chunk(chunk)).is_ok();
        (sent, self.emptied.try_recv().unwrap_or_default())
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// Where a follower that runs for another purpose leaves its snapshots, so that the recorder needs none of its own.
#[derive(Clone)]
pub struct Feed {
    messages: Sender<Message>,
    signs: Arc<Signs>,
}

impl Feed {
    /// Leaves a snapshot of a tick after which [`super::FlightRecorder::cut`] was called, if one is wanted.
    pub(crate) fn offer(&self, start: &Start) {
        if self.signs.is_wanting.load(Ordering::Acquire) {
            // A keeper that is too far behind for it gets the next one.
            let _ = self.messages.try_send(Message::Offer(start.clone()));
        }
    }
}

impl Line {
    /// A way for snapshots to the same keeper.
    pub fn feed(&self) -> Feed {
        Feed { messages: self.messages.clone(), signs: self.signs.clone() }
    }

    /// Whether the ring was given up.
    pub fn is_lost(&self) -> bool {
        self.signs.is_lost.load(Ordering::Acquire)
    }

    pub fn bytes(&self) -> usize {
        self.signs.bytes.load(Ordering::Relaxed)
    }

    /// Its state, as of the last chunk.
    pub fn summary(&self, now: u64) -> FlightSummary {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let begins = load(&self.signs.begins);
        FlightSummary {
            bytes: self.bytes() as u64,
            ticks: (begins != u64::MAX && !self.is_lost()).then(|| now.saturating_sub(begins)),
            moved: load(&self.signs.moved),
            lost: load(&self.signs.lost),
        }
    }

    pub fn take_finding(&self) -> Option<String> {
        self.signs.finding.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Forgets everything and begins at a snapshot, after so many ticks; false if the keeper is too far behind.
    pub fn begin(&self, start: Start, ticks: u64) -> bool {
        // Cleared here and not by the keeper: until it gets there, chunks may already follow.
        let sent = self.messages.try_send(Message::Begin(start, ticks)).is_ok();
        if sent {
            self.signs.is_lost.store(false, Ordering::Release);
        }
        sent
    }

    /// Asks for a recording.
    pub fn dump(&self, reason: &str, ending: Ending, tick: u64, tell: Sender<FlightDump>) -> bool {
        let dump = Message::Dump { reason: reason.to_owned(), ending, tick, tell };
        !matches!(self.messages.try_send(dump), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
    }
}

/// Keeps the ring.
pub(super) struct Keeper {
    messages: Receiver<Message>,
    give_back: Sender<Vec<u8>>,
    signs: Arc<Signs>,
    folder: Folder,
    extend: Extend,
    window_ticks: u64,
    bytes_max: usize,
    /// Whether snapshots are offered.
    is_fed: bool,
    packer: zstd::bulk::Compressor<'static>,
    header: Option<Header>,
    ring: Ring,
    /// How many of the oldest chunks the follower is replaying, and where its result arrives.
    following: Option<(usize, Receiver<Moved>)>,
}

impl Keeper {
    /// Starts the thread; it ends when the channel and its feeds are dropped.
    pub fn start(settings: &FlightSettings, folder: Folder, extend: Extend, is_fed: bool) -> io::Result<Line> {
        let (to_keeper, messages) = bounded(WAITING_MAX);
        let (give_back, emptied) = bounded(WAITING_MAX);
        let signs = Arc::new(Signs::default());
        let window_ticks = u64::try_from(settings.window.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX);
        let keeper = Self {
            messages,
            give_back,
            signs: signs.clone(),
            folder,
            extend,
            window_ticks,
            bytes_max: settings.bytes_max,
            is_fed,
            packer: zstd::bulk::Compressor::new(LEVEL)?,
            header: None,
            ring: Ring::default(),
            following: None,
        };
        std::thread::Builder::new().name("flight-keeper".to_owned()).spawn(move || keeper.run())?;
        Ok(Line { messages: to_keeper, emptied, signs })
    }

    fn run(mut self) {
        loop {
            let moved = self.following.as_ref().map_or_else(never, |(_, moved)| moved.clone());
            select! {
                recv(self.messages) -> message => match message {
                    Ok(Message::Chunk(chunk)) => self.take(chunk),
                    Ok(Message::Begin(start, ticks)) => self.begin(&start, ticks),
                    Ok(Message::Offer(start)) => self.offer(&start),
                    Ok(Message::Dump { reason, ending, tick, tell }) => {
                        let _ = tell.send(self.dump(&reason, ending, tick));
                    }
                    Err(RecvError) => return,
                },
                recv(moved) -> moved => self.advance(moved),
            }
            self.signs.bytes.store(self.ring.bytes(), Ordering::Relaxed);
            let begins = if self.ring.base.is_whole() { self.ring.base.mark.tick } else { u64::MAX };
            if self.signs.begins.swap(begins, Ordering::Relaxed) < begins && begins != u64::MAX {
                self.signs.moved.fetch_add(1, Ordering::Relaxed);
            }
            let is_wanting = self.is_fed && self.ring.wants_snapshot(self.window_ticks, self.bytes_max);
            self.signs.is_wanting.store(is_wanting, Ordering::Release);
        }
    }

    fn take(&mut self, Chunk { mut raw, mark }: Chunk) {
        if let Some((&HEADER, body)) = raw.split_first() {
            self.header = Header::decode(&mut Decoder::new(body)).ok();
        } else if !self.signs.is_lost.load(Ordering::Acquire) {
            match self.packer.compress(&raw) {
                Ok(bytes) => self.ring.push(Packed { bytes: fitting(bytes), raw: raw.len() as u32, mark }),
                Err(_) => self.lose(),
            }
            self.make_room();
        }
        raw.clear();
        // Buffers that are not taken back are freed.
        let _ = self.give_back.try_send(raw);
    }

    fn begin(&mut self, start: &Start, ticks: u64) {
        let mark = Mark { tick: start.tick, ticks };
        let snapshot = (!start.snapshot.is_empty()).then(|| Arc::new(pack(&start.snapshot)));
        self.ring = Ring::beginning_at(Base { mark, chain: start.chain, snapshot });
        self.following = None;
    }

    /// A follower of a job counts chunks from the beginning, which must stay where it is until then.
    fn offer(&mut self, start: &Start) {
        if self.following.is_none() {
            let mark = Mark { tick: start.tick, ticks: 0 };
            let snapshot = Some(Arc::new(pack(&start.snapshot)));
            self.ring.offer(Base { mark, chain: start.chain, snapshot }, self.bytes_max);
            self.make_room();
        }
    }

    fn make_room(&mut self) {
        if self.ring.bytes() > self.bytes_max {
            return self.lose();
        }
        if self.following.is_some() || self.ring.begin_at_next(self.window_ticks, self.bytes_max) {
            return;
        }
        let count = self.ring.surplus(self.window_ticks, self.bytes_max);
        if count == 0 || !self.ring.base.is_whole() {
            return;
        }
        let Some(header) = self.header.clone() else { return };
        let chunks = self.ring.chunks.iter().take(count).cloned().collect();
        let job = Job { header, base: self.ring.base.clone(), chunks, extend: self.extend.clone() };
        match job.start() {
            Ok(moved) => self.following = Some((count, moved)),
            Err(_) => self.lose(),
        }
    }

    fn advance(&mut self, moved: Result<Moved, RecvError>) {
        let Some((count, _)) = self.following.take() else { return };
        match moved {
            Ok(Ok(base)) => {
                self.ring.advance(count, base);
                self.make_room();
            }
            Ok(Err(finding)) => {
                // What is in the ring shows the defect: it is written out before it is given up.
                let written = self.dump("the follower came to another world", Ending::Finished, self.ring.end().tick);
                let file = written.map_or_else(|error| error, |path| path.display().to_string());
                let text = format!("the follower of the flight recorder came to another world: {finding}; see {file}");
                *self.signs.finding.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
                self.lose();
            }
            Err(RecvError) => self.lose(),
        }
    }

    /// Gives the ring up: until the next snapshot that is offered, or until the world's thread begins again.
    fn lose(&mut self) {
        let mark = self.ring.end();
        self.ring = Ring::beginning_at(Base { mark, ..Base::default() });
        self.following = None;
        self.signs.is_lost.store(!self.is_fed, Ordering::Release);
        self.signs.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn dump(&mut self, reason: &str, ending: Ending, tick: u64) -> FlightDump {
        let header = self.header.as_ref().ok_or("the world has not begun yet")?;
        if !self.ring.base.is_whole() {
            return Err("the flight recorder waits for the next snapshot of the state folder's follower".to_owned());
        }
        self.folder.write(header, &self.ring, reason, ending, tick)
    }
}
