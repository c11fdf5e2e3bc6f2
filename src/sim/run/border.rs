//! What passes between the world, the network and the agents.

use super::lives::Met;
use super::{DEEP_TICKS, Run};
use crate::sim::agent::{Agent, Out};
use crate::sim::fault::Kind;
use crate::sim::intruders::Intruders;
use crate::sim::invariants::{Breach, Invariant, deep};
use crate::sim::network::{Arrival, Delivery};
use crate::sim::{SECOND, TICK};
use crate::ua::rtp::Packet as Rtp;
use bevy_ecs::prelude::*;
use ringworld_components::call::{Service, SipIdentity, StreamOf};
use ringworld_components::edge::{Input, Output, Outputs, PACKET_BYTES_MAX, RtpOut};
use ringworld_components::kernel::StableId;
use ringworld_components::media::{RtpState, Stream, StreamTable};
use ringworld_components::wire::rtp::is_rtcp;
use ringworld_components::wire::sip::{Limits, parse_datagram};
use std::net::SocketAddr;

/// How long a released port is kept back before it is offered again.
const REST: u64 = SECOND / 10;

impl Run {
    /// Something reaches an agent.
    pub(super) fn deliver(&mut self, now: u64, delivery: &Delivery) {
        let number = delivery.agent;
        let agents = &mut self.desk.agents;
        let Some(agent) = agents.get_mut(number as usize).filter(|_| self.scenario.has(number)) else { return };
        if delivery.port == 5060 {
            agent.is_tainted |= !delivery.is_whole;
            let mut out = Out::default();
            agent.on_sip(now, delivery.from, &delivery.bytes, &mut out);
            return self.carry(number, out);
        }
        let hearing = agent.on_rtp(delivery.port, delivery.from, &delivery.bytes);
        if hearing.sounds.is_empty() && hearing.digit.is_none() {
            return;
        }
        self.exercised.voices += hearing.sounds.len() as u64;
        let asked = hearing.digit.and_then(|_| session_of_call(&self.engine, &hearing.call_id));
        // In an echo it hears its own digits.
        let asked = asked.filter(|(_, service)| service != "echo").map(|(session, _)| session);
        let digits = asked.and_then(|session| Some((session, self.operator.digits.get(&session)?.clone())));
        let Some(agent) = self.desk.agents.get(number as usize) else { return };
        let digits = digits.as_ref().map(|(session, digits)| (*session, digits.as_str()));
        self.watchers.heard(now, agent, &self.desk.agents, &hearing, digits);
    }

    /// Sends what an agent puts out.
    pub(super) fn carry(&mut self, number: u32, out: Out) {
        let now = self.clock.now;
        let over_tcp = self.desk.agents.get(number as usize).is_some_and(|agent| agent.habits.over_tcp);
        for (_, bytes) in out.sip {
            self.network.sip_to_switch(now, number, over_tcp, bytes);
        }
        for (timestamp, digit) in out.pressed {
            let undisturbed = self.is_calm(now, number);
            let call = self.desk.agents.get(number as usize).and_then(|agent| agent.call());
            let is_calm = undisturbed && call.is_some_and(|call| call.ua.is_calm() && call.ua.began + 2 * SECOND < now);
            self.watchers.digits.pressed(number, timestamp, digit, is_calm);
        }
        for (port, to, bytes) in out.rtp {
            self.network.rtp_to_switch(now, number, port, to, bytes);
        }
        self.desk.note(now, number);
    }

    /// Something reaches the switch.
    pub(super) fn arrive(&mut self, at: u64, arrival: Arrival) {
        if self.down.is_some() {
            return;
        }
        match arrival {
            Arrival::Sip { agent, flow, bytes, is_whole } => {
                if let Some(agent) = self.desk.agents.get_mut(agent as usize) {
                    agent.is_tainted |= !is_whole;
                }
                let message = parse_datagram(bytes.clone(), &Limits::default());
                // The network threads drop what gets no answer.
                if message.as_ref().is_err_and(|malformed| malformed.response.is_none()) {
                    return;
                }
                if self.rings.push(Input::Sip { flow, bytes: bytes.clone(), message: Box::new(message) }) {
                    self.under_way.push((agent, bytes, is_whole));
                }
            }
            Arrival::Readable(_) => {}
            Arrival::Opened(flow) => drop(self.rings.push(Input::ConnOpened(flow))),
            Arrival::Closed(conn) => drop(self.rings.push(Input::ConnClosed(conn))),
            Arrival::Failed { transaction, failure } => {
                self.rings.push(Input::SendFailed { transaction, failure });
            }
            Arrival::Rtp { agent, port, peer, bytes } => self.arrive_rtp(at, (agent, port, peer), &bytes),
        }
    }

    fn arrive_rtp(&mut self, at: u64, (agent, port, peer): (u32, u16, SocketAddr), bytes: &[u8]) {
        // The network threads drop what comes to a port that is not at a world's disposal, too.
        let rests = self.resting.iter().any(|(_, resting)| *resting == port & !1);
        if bytes.len() > PACKET_BYTES_MAX || rests {
            return;
        }
        // Payload types differ from call to call; a telephone-event has four octets (RFC 4733 section 2.3), audio more.
        if let Some(event) = Rtp::parse(bytes).filter(|packet| packet.payload.len() == 4) {
            self.note_digit(agent, port, peer, event.timestamp);
        }
        let mut packet = self.stock.pop().unwrap_or_default();
        packet.fill(bytes);
        (packet.port, packet.is_rtcp) = (port & !1, port & 1 == 1);
        (packet.peer, packet.arrived_us) = (peer, at / 1_000);
        match self.rings.push_rtp(packet) {
            Ok(()) => self.note_rtcp(agent, port, bytes),
            Err(packet) => self.stock.push(packet),
        }
    }

    /// RTCP reaches a stream, from the host that its agent is at.
    fn note_rtcp(&mut self, agent: u32, port: u16, bytes: &[u8]) {
        let Some(session) = self.session_at(port & !1).filter(|_| is_rtcp(bytes)) else { return };
        let world = self.engine.world();
        let is_own = self.agent_of(session).is_some_and(|own| own.number == agent);
        if let Some(session) = world.get::<StableId>(session).filter(|_| is_own) {
            self.watchers.sessions.rtcp(self.clock.now / TICK, *session);
        }
    }

    /// Hosts that are of no call send to its ports.
    pub(super) fn intrude(&mut self, now: u64) {
        while let Some((port, sent)) = self.intruders.next_due(now) {
            let agent = self.session_at(port).and_then(|session| self.agent_of(session));
            // An agent that never sends can't show that another host is in its place.
            let speaks = agent.is_some_and(|agent| agent.habits.voice.is_some());
            if self.down.is_none() {
                let (peer, bytes) = Intruders::packet(port, sent, speaks);
                self.arrive_rtp(now, (u32::MAX, port, peer), &bytes);
            }
        }
    }

    /// The session that has an RTP port.
    fn session_at(&self, port: u16) -> Option<Entity> {
        let world = self.engine.world();
        let stream = world.resource::<StreamTable>().find(port)?;
        world.get::<StreamOf>(stream).map(|of| of.0)
    }

    /// The agent that has a call with a session.
    fn agent_of(&self, session: Entity) -> Option<&Agent> {
        let call_id = &self.engine.world().get::<SipIdentity>(session)?.call_id;
        let has_call = |agent: &&Agent| agent.calls.iter().any(|call| call.ua.identity.call_id.as_bytes() == call_id);
        self.desk.agents.iter().find(has_call)
    }

    /// A packet of a key reaches a stream.
    fn note_digit(&mut self, agent: u32, port: u16, peer: SocketAddr, timestamp: u32) {
        let world = self.engine.world();
        let Some(stream) = world.resource::<StreamTable>().find(port) else { return };
        let Some(session) = world.get::<StreamOf>(stream).and_then(|of| world.get::<StableId>(of.0)) else { return };
        let receives = world.get::<Stream>(stream).is_some_and(Stream::receives);
        let is_source = world.get::<RtpState>(stream).is_some_and(|flow| flow.latch.source() == Some(peer));
        self.watchers.digits.arrived(agent, *session, timestamp, receives && is_source);
    }

    /// Runs a tick of the world.
    pub(super) fn tick_world(&mut self, elapsed: u32) {
        let inputs = self.rings.drain();
        let tick = self.engine.now().0 + u64::from(elapsed);
        let before = self.before_death();
        let packets = inputs.iter().filter(|input| matches!(input, Input::Rtp(_))).count();
        let (free, misses) = (self.engine.pool().free(), self.engine.pool().misses);
        let lived = match &mut self.kept {
            Some(kept) => kept.keeper.live(&mut self.engine, elapsed, inputs),
            None => self.engine.tick_or_break(elapsed, inputs),
        };
        let Outputs { control, rtp } = match lived {
            Ok(outputs) => outputs,
            Err(panic) => return self.breach(Invariant::NoPanics, panic),
        };
        let met = self.met();
        if let Met::Unwritten = met {
            return self.die(before);
        }
        self.note_lived();
        for (agent, bytes, is_whole) in std::mem::take(&mut self.under_way) {
            if let Some(agent) = self.desk.agents.get_mut(agent as usize) {
                agent.touched = tick;
                self.watchers.sip_in(tick, agent, &bytes, is_whole);
            }
        }
        self.watchers.crossings.rtp_in += packets as u64;
        self.count_buffers(free + packets, rtp.len(), misses);
        self.exercised.ticks += 1;
        // What does not leave any more counts as lost on its way: no peer can tell the difference.
        let leaving = match met {
            Met::Written(part) => (control.len() + rtp.len()) * part as usize / 1000,
            _ => usize::MAX,
        };
        if leaving.min(control.len() + rtp.len()) > 0 {
            self.note_left(tick);
        }
        let of_packets = leaving.saturating_sub(control.len());
        for (number, output) in control.into_iter().enumerate() {
            self.put_out(tick, output, number < leaving);
        }
        for (number, RtpOut(packet)) in rtp.into_iter().enumerate() {
            self.watchers.crossings.rtp_out += 1;
            self.watchers.rtp_out(tick, &packet);
            if number < of_packets {
                self.network.rtp_to_agent(self.clock.now, packet.port, packet.peer, packet.bytes());
            }
            self.stock.push(packet);
        }
        if tick != self.tick() {
            let what = format!("the world is at tick {tick}, and tick {} is due", self.tick());
            self.breach(Invariant::TimeIsWhole, what);
        }
        self.look_after(tick);
        match met {
            Met::Written(_) => self.die(None),
            _ => self.end_kept_tick(),
        }
    }

    /// Every buffer that was there or went in is still there or came out, unless there were more than the pool keeps.
    fn count_buffers(&mut self, before: usize, sent: usize, misses: u64) {
        let share = self.config.pool_share;
        let mut pool = self.engine.pool();
        let (free, allocated) = (pool.free(), (pool.misses - misses) as usize);
        if before + allocated < share && free + sent != before + allocated {
            let what = format!("{free} packet buffers are in the pool, not {} less {sent}", before + allocated);
            self.watchers.breaches.push(Breach::new(Invariant::NothingOutlives, what, []));
        }
        while pool.free() > share / 2 {
            self.stock.push(pool.take());
        }
    }

    fn put_out(&mut self, tick: u64, output: Output, leaves: bool) {
        let now = self.clock.now;
        match output {
            Output::Sip { target, bytes, transaction } => {
                let number = self.network.agent_at(target.remote.ip());
                let mut agent = number.and_then(|number| self.desk.agents.get_mut(number as usize));
                agent.iter_mut().for_each(|agent| agent.touched = tick);
                self.watchers.sip_out(tick, agent.as_deref(), &bytes);
                if leaves {
                    self.network.sip_to_agent(now, target, bytes, transaction);
                }
            }
            Output::PortTaken(port) => {
                self.watchers.holds.port_taken(port);
                self.intruders.port_taken(now, port);
            }
            Output::PortReleased(port) => self.resting.push_back((now + REST, port)),
            Output::Event(event) => {
                self.watchers.crossings.ended +=
                    u64::from(matches!(event, ringworld_components::edge::Event::Ended { .. }));
                self.watchers.event(tick, &self.engine, &event);
                if leaves {
                    self.operator.hear(now, &event);
                }
            }
            Output::Reply(reply) if leaves => self.operator.hear_reply(&reply),
            Output::PortMarked(..) | Output::Reply(_) => {}
        }
    }

    fn look_after(&mut self, tick: u64) {
        if let Some(trace) = &mut self.trace {
            trace.chain.push((tick, self.engine.chain()));
        }
        if let Some((system, count)) = self.engine.counters().panics.first_key_value() {
            self.breach(Invariant::NoPanics, format!("{system} panicked {count} times"));
        }
        if tick >= self.next_deep {
            // With many agents a look costs more, and is taken more seldom.
            self.next_deep = tick + DEEP_TICKS * u64::from(1 + self.scenario.agents / 50);
            self.watchers.breaches.extend(deep(&self.engine));
            self.watchers.breaches.extend(self.watchers.pauses.look(tick, &self.engine));
            let now = self.clock.now;
            let calm: Vec<bool> = (0..self.scenario.agents).map(|agent| self.is_audio_calm(now, agent)).collect();
            let found = self.watchers.audible.look(now, &self.engine, &self.desk.agents, &calm);
            self.watchers.breaches.extend(found);
            if let Some(trace) = &mut self.trace {
                trace.worlds.push((tick, self.engine.digest()));
            }
        }
        for (kind, count) in [(Kind::LateTicks, &mut self.clock.late), (Kind::SkippedTicks, &mut self.clock.skipped)] {
            if *count > 0 {
                *self.exercised.faults.entry(kind).or_default() += std::mem::take(count);
            }
        }
        debug_assert!(tick * TICK <= self.clock.now);
    }
}

/// The session of a call, and its service.
fn session_of_call(engine: &crate::engine::Engine, call_id: &str) -> Option<(StableId, String)> {
    let world = engine.world();
    let mut sessions = world.try_query::<(&StableId, &SipIdentity, &Service)>()?;
    let (id, _, service) = sessions.iter(world).find(|(_, identity, _)| identity.call_id == call_id.as_bytes())?;
    let service = match service {
        Service::Echo | Service::RingThenEcho { .. } => "echo",
        _ => "other",
    };
    Some((*id, service.to_owned()))
}
