//! The world of a testkit, its phones, and the network between them, in virtual time.

use super::device::Device;
use super::ladder::{Ladder, Message};
use crate::engine::{Census, ChainDigest, Engine};
use crate::ua::{MS, Outbox};
use bytes::Bytes;
use ringworld_components::call::CallError;
use ringworld_components::edge::{
    Command, ConnId, Event, Flow, Input, Operation, Output, Outputs, Packet, Reply, Transport,
};
use ringworld_components::kernel::{StableId, TICK};
use ringworld_components::wire::sip::{Limits, parse_datagram};
use std::net::SocketAddr;

/// The address of the switch.
pub(super) const SWITCH: ([u8; 4], u16) = ([10, 0, 0, 1], 5060);
/// How many pairs of RTP ports it has.
const PORTS: u16 = 200;
/// The first of them.
const FIRST_PORT: u16 = 10_000;
/// A tick, in nanoseconds.
pub(super) const TICK_NS: u64 = TICK.as_millis() as u64 * MS;

/// What the world is given, as it can be given again.
#[derive(Clone)]
enum Given {
    Sip(Flow, Bytes),
    Rtp(Box<Packet>),
    Port(u16),
    Command(Command),
}

impl Given {
    fn input(&self) -> Input {
        match self.clone() {
            Self::Sip(flow, bytes) => {
                let message = Box::new(parse_datagram(bytes.clone(), &Limits::default()));
                Input::Sip { flow, bytes, message }
            }
            Self::Rtp(packet) => Input::Rtp(packet),
            Self::Port(port) => Input::PortOpened(port),
            Self::Command(command) => Input::Command(command),
        }
    }
}

/// A step of the world, kept for a replay.
enum Lived {
    Tick { elapsed: u32, given: Vec<Given>, chain: ChainDigest },
    Restart,
}

pub(super) struct Lab {
    pub engine: Engine,
    make: Box<dyn Fn() -> Engine>,
    pub devices: Vec<Device>,
    pub events: Vec<Event>,
    pub ladder: Ladder,
    pub baseline: Census,
    replies: Vec<Reply>,
    commands: u64,
    pending: Vec<Given>,
    lived: Vec<Lived>,
}

impl Lab {
    pub fn new(make: Box<dyn Fn() -> Engine>) -> Self {
        let engine = make();
        let mut lab = Self {
            baseline: engine.census(),
            engine,
            make,
            devices: Vec::new(),
            events: Vec::new(),
            ladder: Ladder::default(),
            replies: Vec::new(),
            commands: 0,
            pending: (0..PORTS).map(|pair| Given::Port(FIRST_PORT + 2 * pair)).collect(),
            lived: Vec::new(),
        };
        lab.step(1);
        lab.baseline = lab.engine.census();
        lab
    }

    /// Nanoseconds since the world began.
    pub fn now(&self) -> u64 {
        self.engine.now().0 * TICK_NS
    }

    /// Goes on by the next tick in which something can happen, not past `end`.
    pub fn step(&mut self, end: u64) {
        let now = self.engine.now().0;
        let phones = self.devices.iter().map(Device::due_at).min().unwrap_or(u64::MAX).div_ceil(TICK_NS);
        let due = if self.pending.is_empty() { self.engine.next_due().0.min(phones) } else { 0 };
        let next = due.min(end).max(now + 1);
        self.let_phones_act(next * TICK_NS);
        let given = std::mem::take(&mut self.pending);
        let elapsed = (next - now) as u32;
        let outputs = self.engine.tick(elapsed, given.iter().map(Given::input).collect());
        self.lived.push(Lived::Tick { elapsed, given, chain: self.engine.chain() });
        self.carry(outputs);
    }

    fn let_phones_act(&mut self, now: u64) {
        for index in 0..self.devices.len() {
            let mut out = Outbox::new();
            let Some(device) = self.devices.get_mut(index) else { continue };
            for (port, to, bytes) in device.on_time(now, &mut out) {
                let mut packet = Box::new(Packet::default());
                packet.peer = SocketAddr::new(device.address.ip(), port);
                (packet.port, packet.is_rtcp) = (to.port() & !1, to.port() % 2 == 1);
                packet.arrived_us = now / 1_000;
                if packet.fill(&bytes) {
                    self.pending.push(Given::Rtp(packet));
                }
            }
            self.send(index, out);
        }
    }

    /// A phone's messages go to the switch, with the next tick.
    pub fn send(&mut self, index: usize, out: Outbox) {
        let Some(device) = self.devices.get(index) else { return };
        let (transport, conn) = match device.reliable {
            true => (Transport::Tcp, ConnId(u64::from(device.number))),
            false => (Transport::Udp, ConnId::NONE),
        };
        let flow = Flow { transport, local: SWITCH.into(), remote: device.address, conn };
        for (_, bytes) in out {
            self.ladder.push(Message::new(self.engine.now(), index, true, &bytes));
            self.pending.push(Given::Sip(flow, bytes.into()));
        }
    }

    fn carry(&mut self, Outputs { control, rtp }: Outputs) {
        let now = self.now();
        for output in control {
            match output {
                Output::Sip { target, bytes, .. } => {
                    let to = self.devices.iter().position(|device| device.address == target.remote);
                    self.ladder.push(Message::new(self.engine.now(), to.unwrap_or(usize::MAX), false, &bytes));
                    let Some(index) = to else { continue };
                    let mut out = Outbox::new();
                    if let Some(device) = self.devices.get_mut(index) {
                        device.on_sip(now, SWITCH.into(), &bytes, &mut out);
                    }
                    self.send(index, out);
                }
                Output::PortReleased(port) => self.pending.push(Given::Port(port)),
                Output::Event(event) => self.events.push(event),
                Output::Reply(reply) => self.replies.push(reply),
                _ => {}
            }
        }
        for packet in rtp.into_iter().map(|out| out.0).filter(|packet| !packet.is_rtcp) {
            let device = self.devices.iter_mut().find(|device| device.address.ip() == packet.peer.ip());
            if let Some(device) = device {
                device.on_rtp(now, packet.peer.port(), packet.bytes());
            }
        }
    }

    /// Goes on for so long, in nanoseconds.
    pub fn run(&mut self, ns: u64) {
        let end = self.engine.now().0 + ns / TICK_NS;
        while self.engine.now().0 < end {
            self.step(end);
        }
    }

    /// Has an operation carried out, and waits for its result.
    pub fn issue(&mut self, operation: Operation) -> Result<StableId, CallError> {
        self.commands += 1;
        let number = self.commands;
        self.pending.push(Given::Command(Command { number, operation }));
        let end = self.engine.now().0 + 1;
        self.step(end);
        let reply = self.replies.iter().find(|reply| reply.number == number);
        reply.expect("every command is answered in the tick that takes it").result.clone()
    }

    /// The world is encoded, dropped, and restored into a fresh one, in which entities are spawned in another order.
    pub fn restart(&mut self) {
        self.engine = restarted(&self.engine, &self.make);
        self.lived.push(Lived::Restart);
    }

    /// Replays everything in a fresh world; the first tick that comes out differently.
    pub fn replay(&self) -> Result<(), u64> {
        let mut again = (self.make)();
        for lived in &self.lived {
            match lived {
                Lived::Tick { elapsed, given, chain } => {
                    again.tick(*elapsed, given.iter().map(Given::input).collect());
                    if again.chain() != *chain {
                        return Err(again.now().0);
                    }
                }
                Lived::Restart => again = restarted(&again, &self.make),
            }
        }
        if again.digest() == self.engine.digest() { Ok(()) } else { Err(again.now().0) }
    }
}

fn restarted(engine: &Engine, make: &dyn Fn() -> Engine) -> Engine {
    let mut fresh = make();
    let reversed = |count: usize| (0..count).rev().collect();
    fresh.restore(&engine.snapshot(), Some(&reversed)).expect("a snapshot of the same build");
    fresh.resume_chain(engine.chain());
    assert_eq!(fresh.digest(), engine.digest(), "the restored world is another one");
    fresh
}
