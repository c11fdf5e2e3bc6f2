//! One thread that drives many callers from one loop of a millisecond.
//!
//! The loop sleeps to absolute deadlines, does what is due, sends the packets of this millisecond, and reads every
//! socket that has something. Times of arrival come from the kernel, so reading a millisecond later distorts nothing.

mod listening;
mod signals;
mod streams;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::clock::{self, Agenda, MS, SECOND};
use super::group::{Group, Hearing};
use super::media::{Media, PacketCounts};
use super::net::{Reader, RtpPorts, open, open_sip};
use super::plan::Plan;
use super::report::{Measured, Progress, Report};
use crate::ua::tone::Tones;
use crate::ua::{Call, Outbox, Signalling};

/// Ended calls stay this long to answer retransmissions.
const LINGER: u64 = 5 * SECOND;
/// The last call's share of that, before the loop ends.
const LAST_LINGER: u64 = 300 * MS;
/// Between the last packet of a group and its BYEs: what is in flight may still arrive.
const DRAIN: u64 = 200 * MS;
/// Milliseconds in a packet, and lists of callers that send in the same one.
const SLOTS: usize = 20;

const SIP_TOKEN: u64 = u64::MAX;
const SINK_TOKEN: u64 = u64::MAX - 1;

/// What a worker reports while it runs.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub started: AtomicU64,
    pub connected: AtomicU64,
    pub ended: AtomicU64,
    pub failed: AtomicU64,
    pub packets_sent: AtomicU64,
    pub packets_received: AtomicU64,
    /// Since they were last read.
    pub pause_us: AtomicU64,
    pub silence_us: AtomicU64,
}

impl Shared {
    pub fn add_to(&self, progress: &mut Progress) {
        progress.started += self.started.load(Ordering::Relaxed);
        progress.connected += self.connected.load(Ordering::Relaxed);
        progress.ended += self.ended.load(Ordering::Relaxed);
        progress.failed += self.failed.load(Ordering::Relaxed);
        progress.packets_sent += self.packets_sent.load(Ordering::Relaxed);
        progress.packets_received += self.packets_received.load(Ordering::Relaxed);
        progress.pause_us = progress.pause_us.max(self.pause_us.swap(0, Ordering::Relaxed));
        progress.silence_us = progress.silence_us.max(self.silence_us.swap(0, Ordering::Relaxed));
    }
}

/// What becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The next call begins.
    Start,
    /// A call's own timer.
    Timer(usize),
    /// A group has been held long enough: listen and stop speaking.
    Listen(usize),
    /// A member hangs up.
    Leave(usize),
    /// An ended call is forgotten.
    Forget(usize),
}

struct Caller {
    call: Call,
    group: usize,
    member: usize,
    media: Option<Media>,
    connected: bool,
    /// Its stream was handed over to be judged.
    listened: bool,
    /// The time for which a timer is in the agenda.
    armed_at: u64,
}

/// What a worker leaves behind.
pub(crate) struct Account {
    pub report: Report,
    pub setup: Measured,
    pub round_trip: Measured,
}

pub(crate) struct Worker {
    plan: Plan,
    rate_per_s: u64,
    groups: Vec<Group>,
    /// Group and member of each call.
    members: Vec<(usize, usize)>,
    callers: Vec<Option<Box<Caller>>>,
    next_call: usize,
    live: usize,
    last_end: u64,
    stopping: bool,
    agenda: Agenda<Due>,
    out: Outbox,
    signalling: Signalling,
    setup: Measured,
    packets: PacketCounts,
    report: Report,
    heard_sip: bool,
    epoll: Epoll,
    sip: UdpSocket,
    local: SocketAddr,
    sink: UdpSocket,
    sink_address: SocketAddr,
    ports: RtpPorts,
    reader: Reader,
    packet: Vec<u8>,
    tones: Tones,
    random: u64,
    run: u64,
    /// Which callers send in which millisecond of a packet's twenty.
    slots: [Vec<usize>; SLOTS],
    next_ms: u64,
    hearings: VecDeque<Hearing>,
    shared: Arc<Shared>,
}

impl Worker {
    pub fn new(plan: Plan, mut groups: Vec<Group>, rate_per_s: u64, shared: Arc<Shared>) -> io::Result<Worker> {
        let mut members = Vec::new();
        for (index, group) in groups.iter_mut().enumerate() {
            group.first = members.len();
            members.extend((0..group.size).map(|member| (index, member)));
        }
        let sip = open_sip(SocketAddr::new(plan.bind, 0))?;
        let sink = open(SocketAddr::new(plan.bind, 0))?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&sip, EpollEvent::new(EpollFlags::EPOLLIN, SIP_TOKEN))?;
        epoll.add(&sink, EpollEvent::new(EpollFlags::EPOLLIN, SINK_TOKEN))?;
        let random = getrandom::u64().unwrap_or_else(|_| clock::now());
        Ok(Worker {
            rate_per_s,
            groups,
            callers: members.iter().map(|_| None).collect(),
            members,
            next_call: 0,
            live: 0,
            last_end: 0,
            stopping: false,
            agenda: Agenda::new(),
            out: Outbox::new(),
            signalling: Signalling::default(),
            setup: Measured::new(),
            packets: PacketCounts::new(),
            report: Report::default(),
            heard_sip: false,
            epoll,
            local: sip.local_addr()?,
            sip,
            sink_address: sink.local_addr()?,
            sink,
            ports: RtpPorts::new(plan.bind, random),
            plan,
            reader: Reader::new(),
            packet: Vec::new(),
            tones: Tones::new(),
            run: random,
            random,
            slots: Default::default(),
            next_ms: 0,
            hearings: VecDeque::new(),
            shared,
        })
    }

    /// Drives all calls to their end.
    pub fn run(mut self) -> io::Result<Account> {
        let start = clock::now();
        self.next_ms = start;
        self.last_end = start;
        self.agenda.add(start, Due::Start);
        loop {
            let now = clock::now();
            self.do_due(now);
            self.send_packets(now);
            self.read_sockets()?;
            self.flush();
            self.tell();
            if self.is_done(now) {
                break;
            }
            self.judge_one();
            clock::sleep_until(self.next_ms);
        }
        Ok(self.account(start))
    }

    fn is_done(&self, now: u64) -> bool {
        let all_started = self.stopping || self.next_call == self.members.len();
        all_started && self.live == 0 && now >= self.last_end + LAST_LINGER
    }

    fn do_due(&mut self, now: u64) {
        if !self.stopping && self.plan.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            self.stop(now);
        }
        while let Some((at, due)) = self.agenda.take_due(now) {
            match due {
                Due::Start => self.start_call(at, now),
                Due::Timer(index) => self.on_timer(now, index),
                Due::Listen(group) => self.listen(now, group),
                Due::Leave(index) => self.leave(now, index),
                Due::Forget(index) => self.forget(index),
            }
        }
    }

    /// Hangs up all calls and begins no further ones.
    fn stop(&mut self, now: u64) {
        self.stopping = true;
        for index in 0..self.next_call {
            self.agenda.add(now + self.pause() * index as u64, Due::Leave(index));
        }
    }

    /// Nanoseconds between two calls at the planned rate.
    fn pause(&self) -> u64 {
        SECOND / self.rate_per_s.max(1)
    }

    /// The next random number (splitmix64); nothing secret depends on it.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn tell(&mut self) {
        self.shared.packets_sent.store(self.packets.sent, Ordering::Relaxed);
        self.shared.packets_received.store(self.packets.received, Ordering::Relaxed);
        let (pause, silence) = (self.packets.pause.take_longest(), self.packets.silence.take_longest());
        self.shared.pause_us.fetch_max(pause / 1_000, Ordering::Relaxed);
        self.shared.silence_us.fetch_max(silence / 1_000, Ordering::Relaxed);
    }

    fn account(mut self, start: u64) -> Account {
        let seconds = (clock::now() - start) as f64 / SECOND as f64;
        while self.judge_any() {}
        let mut report = self.report;
        report.calls = self.next_call as u64;
        for caller in self.callers.iter().flatten() {
            self.signalling += caller.call.count;
        }
        report.count_signalling(self.signalling);
        report.packets_sent = self.packets.sent;
        report.packets_received = self.packets.received;
        report.packets_foreign = self.packets.foreign;
        report.packets_late = self.packets.late;
        report.packets_skipped = self.packets.skipped;
        report.late_max_us = self.packets.late_max / 1_000;
        report.seconds = seconds;
        Account { report, setup: self.setup, round_trip: self.packets.round_trip }
    }
}
