//! The tasks of one connection.

use super::hub::HubEvent;
use super::table::{Outgoing, Queue};
use crate::net::clock::monotonic_ns;
use crate::net::counters::Count;
use crate::net::inlet::{Delivery, Inlet};
use bytes::Bytes;
use ringworld_components::edge::{Flow, Input, SendFailure};
use ringworld_components::kernel::StableId;
use ringworld_components::wire::sip::{FramingError, StreamFramer};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a full world is given before it is offered an input again.
const FULL_WORLD_WAIT: Duration = Duration::from_millis(2);
/// How long a peer that is about to be disconnected has to take the reason.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1_024;

/// What the tasks of a connection share with the hub.
pub(super) struct Parts {
    pub flow: Flow,
    pub inlet: Inlet,
    pub events: mpsc::UnboundedSender<HubEvent>,
    pub idle: Duration,
    pub message: Duration,
    pub queue_bytes_max: usize,
}

/// Why a connection ends.
enum End {
    /// By the peer, by an error or by ourselves.
    Gone,
    Idle,
    /// The bytes are no SIP; perhaps that can be answered.
    Framing(Box<FramingError>),
    /// A message was begun and not ended.
    Slow,
}

/// Offers an input to every world, until each has room: a connection's beginning and end must not get lost.
pub(super) async fn tell_all(inlet: &Inlet, input: impl Fn() -> Input) {
    for world in 0..inlet.worlds.len() {
        deliver_patiently(inlet, world, input()).await;
    }
}

async fn deliver_patiently(inlet: &Inlet, world: usize, input: Input) {
    let mut offered = inlet.offer(world, input);
    while let Delivery::Full(input) = offered {
        // Not reading on is what slows a TCP peer down.
        tokio::time::sleep(FULL_WORLD_WAIT).await;
        offered = inlet.offer(world, input);
    }
}

/// Runs a connection until it ends. Aborting the task closes it as well; the hub tells the worlds.
pub(super) async fn run(
    parts: Parts,
    stream: TcpStream,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    queue: Queue,
) {
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let active_ns = Arc::new(AtomicU64::new(monotonic_ns()));
    let end = tokio::select! {
        end = read(&parts, reader, &queue, &active_ns) => end,
        _ = write(&mut writer, &mut outgoing, &queue.bytes, &active_ns, &parts.inlet) => End::Gone,
    };
    match end {
        End::Gone => {}
        End::Idle => parts.inlet.counters.tcp_idle_closed.one(),
        End::Slow => parts.inlet.counters.tcp_slow_closed.one(),
        End::Framing(error) => {
            parts.inlet.counters.tcp_framing_closed.one();
            parts.inlet.counters.count_malformed(error.reason.as_str());
            if let Some(refusal) = &error.response {
                // It belongs to no transaction, so no world needs to know, and nobody will match the tag.
                let answer = refusal.write(parts.flow.remote, &format!("{:x}", parts.flow.conn.0));
                let _ = timeout(LAST_WORDS, writer.write_all(&answer)).await;
            }
        }
    }
    // What is still queued when the peer has gone was not sent.
    outgoing.close();
    while let Some(unsent) = outgoing.recv().await {
        fail(&parts.inlet, unsent.transaction);
    }
    // The hub may be gone already, when everything ends.
    let _ = parts.events.send(HubEvent::Closed(parts.flow.conn));
}

fn fail(inlet: &Inlet, transaction: StableId) {
    inlet.counters.sip_tcp_out_dropped.one();
    inlet.send_failed(transaction, SendFailure::Connection);
}

async fn write(
    writer: &mut OwnedWriteHalf,
    outgoing: &mut mpsc::UnboundedReceiver<Outgoing>,
    queued: &AtomicUsize,
    active_ns: &AtomicU64,
    inlet: &Inlet,
) -> io::Result<()> {
    while let Some(message) = outgoing.recv().await {
        let written = writer.write_all(&message.bytes).await;
        queued.fetch_sub(message.bytes.len(), Ordering::Relaxed);
        active_ns.store(monotonic_ns(), Ordering::Relaxed);
        if let Err(error) = written {
            fail(inlet, message.transaction);
            return Err(error);
        }
    }
    Ok(())
}

fn since(ns: u64) -> Duration {
    Duration::from_nanos(monotonic_ns().saturating_sub(ns))
}

async fn read(parts: &Parts, mut reader: OwnedReadHalf, queue: &Queue, active_ns: &AtomicU64) -> End {
    let mut framer = StreamFramer::new(parts.inlet.limits);
    let mut bytes = vec![0; READ_BYTES];
    // When the first bytes of a message arrived whose end has not.
    let mut begun_ns: Option<u64> = None;
    loop {
        let quiet = since(active_ns.load(Ordering::Relaxed));
        let Some(patience) = parts.idle.checked_sub(quiet).filter(|left| !left.is_zero()) else { return End::Idle };
        let patience = match begun_ns.map(|ns| parts.message.checked_sub(since(ns))) {
            None => patience,
            Some(Some(left)) if !left.is_zero() => patience.min(left),
            Some(_) => return End::Slow,
        };
        let count = match timeout(patience, reader.read(&mut bytes)).await {
            // Perhaps something was written meanwhile: look again.
            Err(_) => continue,
            Ok(Ok(0) | Err(_)) => return End::Gone,
            Ok(Ok(count)) => count,
        };
        active_ns.store(monotonic_ns(), Ordering::Relaxed);
        framer.push(bytes.get(..count).unwrap_or_default());
        for framed in framer.by_ref() {
            let message = match framed {
                Ok(message) => message,
                Err(error) => return End::Framing(Box::new(error)),
            };
            begun_ns = None;
            parts.inlet.counters.sip_tcp_in.one();
            if let Some((world, input)) = parts.inlet.parse(parts.flow, message) {
                deliver_patiently(&parts.inlet, world, input).await;
            }
        }
        begun_ns = if framer.pending() > 0 { begun_ns.or_else(|| Some(monotonic_ns())) } else { None };
        let pings = framer.take_pings();
        parts.inlet.counters.sip_keep_alives.add(u64::from(pings));
        if pings > 0 {
            // RFC 5626 section 4.4.1. One answer serves for all that came at once; a peer that does not read it is slow.
            let pong = Outgoing { bytes: Bytes::from_static(b"\r\n"), transaction: StableId(0), or_udp: false };
            if !queue.push(pong, parts.queue_bytes_max) {
                return End::Gone;
            }
        }
    }
}
