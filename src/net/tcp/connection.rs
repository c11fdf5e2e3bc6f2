//! The task of one connection.

use super::hub::HubEvent;
use super::table::{Outgoing, Queue};
use crate::net::clock::monotonic_ns;
use crate::net::counters::Count;
use crate::net::given::{Held, TcpConnection};
use crate::net::inlet::{Delivery, Inlet};
use bytes::{Buf, Bytes};
use ringworld_components::edge::{Flow, Input};
use ringworld_components::kernel::StableId;
use ringworld_components::wire::sip::{FramingError, StreamFramer};
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How long a full world is given before it is offered an input again.
const FULL_WORLD_WAIT: Duration = Duration::from_millis(2);
/// How long a peer that is about to be disconnected has to read the reason.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1_024;

/// What the task of a connection shares with the hub.
pub(super) struct Parts {
    pub flow: Flow,
    pub inlet: Inlet,
    pub events: mpsc::UnboundedSender<HubEvent>,
    pub freeze: watch::Receiver<bool>,
    pub idle: Duration,
    pub message: Duration,
    pub queue_bytes_max: usize,
}

/// Why a connection ends.
enum End {
    /// Closed by the peer, by an error or by ourselves.
    Gone,
    Idle,
    /// The bytes are no SIP; perhaps a response can be sent.
    Framing(Box<FramingError>),
    /// A message was begun and not ended.
    Slow,
    /// The connection stays open for another owner.
    Kept,
}

/// What was read, outside the future that reads, which may be dropped wherever it waits.
struct Reading {
    framer: StreamFramer,
    /// A message that its world has no room for yet.
    undelivered: Option<Bytes>,
}

/// What is to be written, outside the future that writes.
struct Writing {
    queue: mpsc::UnboundedReceiver<Outgoing>,
    /// What is not written yet of the message at hand.
    at_hand: Option<Outgoing>,
}

/// Offers an input to a world until there is room.
pub(super) async fn deliver_patiently(inlet: &Inlet, world: usize, input: Input) {
    let mut offered = inlet.offer(world, input);
    while let Delivery::Full(input) = offered {
        // Not reading on is what slows a TCP peer down.
        tokio::time::sleep(FULL_WORLD_WAIT).await;
        offered = inlet.offer(world, input);
    }
}

/// Runs a connection until it ends, or is to be kept for others. Aborting the task closes it; the hub tells the worlds.
pub(super) async fn run(
    parts: Parts,
    mut stream: TcpStream,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    waiting: Queue,
    held: Held,
) -> Option<TcpConnection> {
    let _ = stream.set_nodelay(true);
    let Held { dialled, mut announced, unread, unsent: _ } = held;
    let mut reading = Reading { framer: StreamFramer::new(parts.inlet.limits), undelivered: None };
    reading.framer.push(&unread);
    let mut writing = Writing { queue, at_hand: None };
    let active_ns = AtomicU64::new(monotonic_ns());
    let (reader, writer) = stream.split();
    let mut freeze = parts.freeze.clone();
    let end = tokio::select! {
        end = async {
            announce(&parts, &mut announced).await;
            read(&parts, reader, &waiting, &active_ns, &mut reading).await
        } => end,
        _ = write(writer, &mut writing, &waiting.bytes, &active_ns) => End::Gone,
        Ok(_) = freeze.wait_for(|frozen| *frozen) => End::Kept,
    };
    // What is still queued when the peer has closed was not sent.
    writing.queue.close();
    let mut unsent: Vec<Outgoing> = writing.at_hand.into_iter().collect();
    while let Some(outgoing) = writing.queue.recv().await {
        unsent.push(outgoing);
    }
    let counters = &parts.inlet.counters;
    match end {
        End::Kept => {
            if let Ok(stream) = stream.into_std() {
                let undelivered = reading.undelivered.unwrap_or_default();
                let unread = [undelivered, reading.framer.into_rest()].concat().into();
                let held = Held { dialled, announced, unread, unsent };
                return Some(TcpConnection { flow: parts.flow, socket: stream.into(), held });
            }
            counters.tcp_left_behind.one();
        }
        End::Gone => {}
        End::Idle => counters.tcp_idle_closed.one(),
        End::Slow => counters.tcp_slow_closed.one(),
        End::Framing(error) => {
            counters.tcp_framing_closed.one();
            counters.count_malformed(error.reason.as_str());
            if let Some(refusal) = &error.response {
                // It belongs to no transaction, so no world needs to know, and its tag matches no dialog.
                let answer = refusal.write(parts.flow.remote, &format!("{:x}", parts.flow.conn.0));
                let _ = timeout(LAST_WORDS, stream.write_all(&answer)).await;
            }
        }
    }
    unsent.into_iter().for_each(|outgoing| parts.inlet.not_sent(outgoing.transaction));
    // The hub may be gone already, when everything ends.
    let _ = parts.events.send(HubEvent::Closed(parts.flow.conn));
    None
}

/// Tells every world that the connection is open, unless they were told: this must not get lost.
async fn announce(parts: &Parts, announced: &mut bool) {
    for world in 0..parts.inlet.worlds.len() {
        if !*announced {
            deliver_patiently(&parts.inlet, world, Input::ConnOpened(parts.flow)).await;
        }
    }
    *announced = true;
}

async fn write(
    mut writer: WriteHalf<'_>,
    writing: &mut Writing,
    queued: &AtomicUsize,
    active_ns: &AtomicU64,
) -> io::Result<()> {
    loop {
        while let Some(message) = writing.at_hand.as_mut().filter(|message| message.bytes.has_remaining()) {
            let count = writer.write(&message.bytes).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            message.bytes.advance(count);
            queued.fetch_sub(count, Ordering::Relaxed);
            active_ns.store(monotonic_ns(), Ordering::Relaxed);
        }
        writing.at_hand = None;
        match writing.queue.recv().await {
            Some(message) => writing.at_hand = Some(message),
            None => return Ok(()),
        }
    }
}

fn since(ns: u64) -> Duration {
    Duration::from_nanos(monotonic_ns().saturating_sub(ns))
}

async fn read(
    parts: &Parts,
    mut reader: ReadHalf<'_>,
    queue: &Queue,
    active_ns: &AtomicU64,
    reading: &mut Reading,
) -> End {
    let mut bytes = vec![0; READ_BYTES];
    // When the first bytes of a message arrived whose end has not.
    let mut begun_ns: Option<u64> = None;
    loop {
        for framed in reading.framer.by_ref() {
            let message = match framed {
                Ok(message) => message,
                Err(error) => return End::Framing(Box::new(error)),
            };
            begun_ns = None;
            parts.inlet.counters.sip_tcp_in.one();
            reading.undelivered = Some(message.clone());
            if let Some((world, input)) = parts.inlet.parse(parts.flow, message) {
                deliver_patiently(&parts.inlet, world, input).await;
            }
            reading.undelivered = None;
        }
        begun_ns = if reading.framer.pending() > 0 { begun_ns.or_else(|| Some(monotonic_ns())) } else { None };
        let pings = reading.framer.take_pings();
        parts.inlet.counters.sip_keep_alives.add(u64::from(pings));
        if pings > 0 {
            // RFC 5626 section 4.4.1. One answer serves for all that came at once; a peer that does not read it is
            // slow.
            let pong = Outgoing { bytes: Bytes::from_static(b"\r\n"), transaction: StableId(0), or_udp: false };
            if !queue.push(pong, parts.queue_bytes_max) {
                return End::Gone;
            }
        }
        let count = loop {
            let quiet = since(active_ns.load(Ordering::Relaxed));
            let Some(patience) = parts.idle.checked_sub(quiet).filter(|left| !left.is_zero()) else { return End::Idle };
            let patience = match begun_ns.map(|ns| parts.message.checked_sub(since(ns))) {
                None => patience,
                Some(Some(left)) if !left.is_zero() => patience.min(left),
                Some(_) => return End::Slow,
            };
            match timeout(patience, reader.read(&mut bytes)).await {
                // Perhaps something was written meanwhile: look again.
                Err(_) => {}
                Ok(Ok(0) | Err(_)) => return End::Gone,
                Ok(Ok(count)) => break count,
            }
        };
        active_ns.store(monotonic_ns(), Ordering::Relaxed);
        reading.framer.push(bytes.get(..count).unwrap_or_default());
    }
}
