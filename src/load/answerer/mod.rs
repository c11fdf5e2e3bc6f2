//! The other side of a call: a small user agent that answers INVITEs over UDP, for tests that need a callee, and
//! to test the callers against.

mod answered;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::clock::{self, Agenda};
use super::net::{Read, Reader, RtpPorts, open_sip};
use crate::ua::message::Start;
use crate::ua::rtp::Packet;
use crate::ua::write::outside_of_calls;
use crate::ua::{Message, Outbox, Reply};
use answered::{Answered, Context};

/// Calls at the same time, those that ended in the last five seconds included; further ones get 503.
const MOST_CALLS: usize = 20_000;
const SIP_TOKEN: u64 = u64::MAX;

/// What an answerer does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers and sends every packet back.
    Echo,
    /// Answers and sends nothing.
    Silence,
    /// Refuses with this status.
    Reject(u16),
    /// Rings for so long, then echoes.
    Ring(Duration),
    /// Does not answer an INVITE at all.
    Ignore,
}

/// The counters of an answerer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub invites: u64,
    pub answered: u64,
    pub acknowledged: u64,
    /// Ended by the caller.
    pub byes: u64,
    pub cancelled: u64,
    pub packets_received: u64,
    pub packets_sent: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    invites: AtomicU64,
    answered: AtomicU64,
    acknowledged: AtomicU64,
    byes: AtomicU64,
    cancelled: AtomicU64,
    packets_received: AtomicU64,
    packets_sent: AtomicU64,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A running answerer; it stops when dropped.
///
/// ```
/// use ringworld::load::{self, Answerer, Behaviour, Plan, Service};
///
/// let answerer = Answerer::start("127.0.0.1:0".parse().unwrap(), Behaviour::Reject(486), None).unwrap();
/// let plan = Plan::new(answerer.address()).with(Service::signalling("anyone", 1));
/// let report = load::run(&plan, |_| ()).unwrap();
/// assert_eq!(report.calls_by_outcome.get("486 Busy Here"), Some(&1));
/// ```
#[derive(Debug)]
pub struct Answerer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Answerer {
    /// Listens at the address (port 0 picks one). With `hang_up_after` it ends each call itself.
    pub fn start(address: SocketAddr, behaviour: Behaviour, hang_up_after: Option<Duration>) -> io::Result<Answerer> {
        let sip = open_sip(address)?;
        let address = sip.local_addr()?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&sip, EpollEvent::new(EpollFlags::EPOLLIN, SIP_TOKEN))?;
        let (stop, counters) = (Arc::new(AtomicBool::new(false)), Arc::new(Counters::default()));
        let answering = Answering {
            context: Context {
                address,
                behaviour,
                hang_up_after: hang_up_after.map(|after| after.as_nanos() as u64),
                counters: Arc::clone(&counters),
                out: Outbox::new(),
            },
            sip,
            epoll,
            calls: BTreeMap::new(),
            names: BTreeMap::new(),
            next: 0,
            agenda: Agenda::new(),
            ports: RtpPorts::new(address.ip(), clock::now()),
            reader: Reader::new(),
            packet: Vec::new(),
        };
        let stopping = Arc::clone(&stop);
        let thread = thread::Builder::new().name("answerer".into()).spawn(move || answering.run(&stopping))?;
        Ok(Answerer { address, stop, counters, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Seen {
            invites: read(&self.counters.invites),
            answered: read(&self.counters.answered),
            acknowledged: read(&self.counters.acknowledged),
            byes: read(&self.counters.byes),
            cancelled: read(&self.counters.cancelled),
            packets_received: read(&self.counters.packets_received),
            packets_sent: read(&self.counters.packets_sent),
        }
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

struct Answering {
    context: Context,
    sip: UdpSocket,
    epoll: Epoll,
    calls: BTreeMap<u64, Answered>,
    /// Calls by Call-ID.
    names: BTreeMap<String, u64>,
    next: u64,
    agenda: Agenda<u64>,
    ports: RtpPorts,
    reader: Reader,
    packet: Vec<u8>,
}

impl Answering {
    fn run(mut self, stop: &AtomicBool) {
        let mut events = [EpollEvent::empty(); 256];
        while !stop.load(Ordering::Relaxed) {
            let ready = self.epoll.wait(&mut events, EpollTimeout::from(5u8)).unwrap_or_default();
            for event in events.iter().take(ready) {
                match event.data() {
                    SIP_TOKEN => self.read_sip(),
                    call => self.echo(call),
                }
            }
            let now = clock::now();
            while let Some((_, number)) = self.agenda.take_due(now) {
                let Some(call) = self.calls.get_mut(&number) else { continue };
                match call.on_time(now, &mut self.context) {
                    Some(due) => self.agenda.add(due, number),
                    None => self.forget(number),
                }
            }
            self.flush();
        }
    }

    fn flush(&mut self) {
        for (to, bytes) in self.context.out.drain(..) {
            // What is not sent is sent again by its timer.
            let _ = self.sip.send_to(&bytes, to);
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(call) = self.calls.remove(&number) {
            self.names.remove(&call.call.identity.call_id);
        }
    }

    fn read_sip(&mut self) {
        loop {
            let (length, source) = match self.reader.read(&self.sip, 0) {
                Ok(Read::Packet { length, source, .. }) => (length, source),
                Ok(Read::Refused) => continue,
                Ok(Read::Empty) | Err(_) => break,
            };
            let bytes = self.reader.buffer.get(..length).unwrap_or_default().to_vec();
            if let Ok(message) = Message::parse(&bytes) {
                self.on_message(&message, &bytes, source);
            }
        }
        self.flush();
    }

    fn on_message(&mut self, message: &Message<'_>, bytes: &[u8], source: SocketAddr) {
        let (Some(call_id), now) = (message.header("Call-ID"), clock::now()) else { return };
        if let Some(number) = self.names.get(call_id).copied() {
            if let Some(call) = self.calls.get_mut(&number) {
                match message.start {
                    Start::Request { .. } => call.on_request(message, source, now, &mut self.context),
                    Start::Response { .. } => drop(call.call.on_response(now, message, &mut self.context.out)),
                }
                self.agenda.add(call.due_at(), number);
            }
            return;
        }
        match message.start {
            Start::Request { method: "INVITE", .. } if message.tag("To").is_none() => {
                self.on_invite(call_id, message, bytes, source, now);
            }
            _ => self.context.out.extend(outside_of_calls(message).map(|answer| (source, answer))),
        }
    }

    fn on_invite(&mut self, call_id: &str, message: &Message<'_>, bytes: &[u8], source: SocketAddr, now: u64) {
        add(&self.context.counters.invites);
        if self.context.behaviour == Behaviour::Ignore {
            return;
        }
        let number = self.next;
        let opened = if self.calls.len() < MOST_CALLS { self.ports.open().ok() } else { None };
        let Some((socket, rtp)) = opened else {
            let busy = Reply::new(503, "none").to(message);
            return self.context.out.push((source, busy));
        };
        if self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, number)).is_err() {
            return;
        }
        self.next += 1;
        let call = Answered::begin(number, (socket, rtp), (message, bytes), source, now, &mut self.context);
        self.agenda.add(call.due_at(), number);
        self.names.insert(call_id.to_owned(), number);
        self.calls.insert(number, call);
    }

    /// Sends back what came, with a source and numbers of our own.
    fn echo(&mut self, number: u64) {
        let Some(call) = self.calls.get(&number) else { return };
        while let Ok(Read::Packet { length, source, .. }) = self.reader.read(&call.socket, 0) {
            add(&self.context.counters.packets_received);
            let bytes = self.reader.buffer.get(..length).unwrap_or_default();
            let Some(packet) = Packet::parse(bytes).filter(|_| call.echoes) else { continue };
            let ours = Packet { ssrc: !packet.ssrc, sequence: packet.sequence.wrapping_add(1_000), ..packet };
            ours.write(&mut self.packet);
            if call.socket.send_to(&self.packet, source).is_ok() {
                add(&self.context.counters.packets_sent);
            }
        }
    }
}

#[cfg(test)]
mod tests;
