//! The engine in the place of the host.

use super::account::{Account, Report};
use super::call::Call;
use super::compare::compare;
use super::stream::Happening;
use super::{Local, rewrite};
use crate::config::{Config, sip_limits};
use crate::engine::{Engine, WorldConfig};
use crate::replay::{RecordError, Recorder};
use crate::trace::sip;
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{Leg, Legs};
use ringworld_components::edge::{Command, Event, Flow, Input, Operation, Output, Packet, PlaceCall};
use ringworld_components::kernel::{StableId, StableIds, TICK};
use ringworld_components::wire::sip::{Limits, parse_datagram};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How long a released port rests, in ticks.
const PORT_RESTS: u64 = 20;

/// How long the engine goes on behind the last frame, in ticks: its last answers are to be seen.
const AFTERWARDS: u64 = 200;

/// Ticks that are skipped at most when nothing happens, as a running switch does it.
const QUIET_TICKS_MAX: u64 = 40;

/// Calls that are told apart; what is more is not used.
const CALLS_MAX: usize = 1_000_000;

/// A world that lives through a capture, and its recording.
pub(super) struct StandIn {
    engine: Engine,
    recorder: Recorder,
    limits: Limits,
    local: Local,
    service: String,
    began: Duration,
    pending: Vec<Input>,
    released: Vec<(u64, u16)>,
    /// By the Call-ID in the capture.
    calls: BTreeMap<Bytes, Call>,
    /// From the Call-ID in the engine, where it is another one.
    placed: BTreeMap<Bytes, Bytes>,
    /// The call that named a port of the host last.
    ports: BTreeMap<u16, Bytes>,
    /// The call in which a peer named this address for its media last.
    sources: BTreeMap<SocketAddr, Bytes>,
    commands: u64,
}

impl StandIn {
    pub fn begin(local: Local, config: &Config, out: &Path, began: Duration) -> Result<Self, RecordError> {
        // The seed is fixed: the same capture gives the same recording.
        let began_unix_ms = u64::try_from(began.as_millis()).unwrap_or(u64::MAX);
        let (settings, secret) = (config.settings(), [0x52; 32]);
        let world = WorldConfig { settings, secret, began_unix_ms, ..WorldConfig::default() };
        let recorder = Recorder::create(out, &world, &config.record)?;
        let range = config.network.rtp_ports;
        let pairs = (range.first.next_multiple_of(2)..range.last).step_by(2);
        Ok(Self {
            engine: Engine::new(&world),
            recorder,
            limits: sip_limits(&config.sip),
            local,
            service: config.services.default.clone(),
            began,
            pending: pairs.map(Input::PortOpened).collect(),
            released: Vec::new(),
            calls: BTreeMap::new(),
            placed: BTreeMap::new(),
            ports: BTreeMap::new(),
            sources: BTreeMap::new(),
            commands: 0,
        })
    }

    pub fn live_through(&mut self, at: Duration, happening: Happening, account: &mut Account) {
        let at = at.saturating_sub(self.began);
        let tick = u64::try_from(at.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        self.advance_before(tick);
        match happening {
            Happening::Received { flow, bytes } => self.receive(flow, &rewrite::unfolded(&bytes), account),
            Happening::Sent { remote, bytes } => self.sent(at, remote, &rewrite::unfolded(&bytes), account),
            Happening::Opened(flow) => self.pending.push(Input::ConnOpened(flow)),
            Happening::Closed(conn) => self.pending.push(Input::ConnClosed(conn)),
            Happening::Packet { port, peer, bytes } => self.packet(at, port, peer, &bytes, account),
        }
    }

    /// Ends the recording and compares.
    pub fn finish(mut self, account: Account) -> Report {
        let end = self.engine.now().0.saturating_add(AFTERWARDS);
        self.tick(1);
        self.advance_before(end);
        let (mut alike, mut differences) = (0, Vec::new());
        for (call_id, call) in &self.calls {
            let (like, unlike) = compare(&String::from_utf8_lossy(call_id), call);
            alike += like;
            // Without the host's side there is nothing to compare with.
            differences.extend(unlike.into_iter().filter(|_| account.sip_from_us > 0));
        }
        differences.sort_by_key(|difference| difference.at);
        let ticks = self.recorder.finish(&self.engine).ticks;
        let began_unix_ms = u64::try_from(self.began.as_millis()).unwrap_or(u64::MAX);
        Report { account, began_unix_ms, ticks, calls: self.calls.len() as u64, alike, differences }
    }

    /// Runs all ticks before this one, each with what happened in it.
    fn advance_before(&mut self, tick: u64) {
        while self.engine.now().0.saturating_add(1) < tick {
            let now = self.engine.now().0;
            let rests = self.released.first().map(|(at, _)| at + PORT_RESTS);
            let due = self.engine.next_due().0.min(rests.unwrap_or(u64::MAX));
            let quiet = if self.pending.is_empty() { due.min(tick - 1).saturating_sub(now) } else { 1 };
            self.tick(quiet.clamp(1, QUIET_TICKS_MAX) as u32);
        }
    }

    fn tick(&mut self, elapsed: u32) {
        let now = self.engine.now().0 + u64::from(elapsed);
        let rested = self.released.iter().take_while(|(at, _)| at + PORT_RESTS <= now).count();
        self.pending.extend(self.released.drain(..rested).map(|(_, port)| Input::PortOpened(port)));
        let inputs = std::mem::take(&mut self.pending);
        self.recorder.inputs(elapsed, &inputs);
        let outputs = self.engine.tick(elapsed, inputs);
        self.recorder.end_of_tick(&self.engine);
        let at = Duration::from_millis(self.engine.now().as_millis());
        for output in outputs.control {
            match output {
                Output::Sip { target, bytes, .. } => self.given(at, target.remote, &bytes),
                Output::PortReleased(port) => self.released.push((now, port)),
                Output::Reply(reply) => {
                    let call = self
                        .calls
                        .values_mut()
                        .find(|call| call.placing.is_some_and(|(number, _)| number == reply.number));
                    if let (Some(call), Ok(session)) = (call, reply.result) {
                        call.session = Some(session);
                    }
                }
                Output::Event(Event::StateChanged { session, .. }) => self.name(session),
                _ => {}
            }
        }
        let mut pool = self.engine.pool();
        outputs.rtp.into_iter().for_each(|packet| pool.give(packet.0));
    }

    /// Remembers which call a session is.
    fn name(&mut self, session: StableId) {
        let world = self.engine.world();
        let entity = world.resource::<StableIds>().find(session);
        let legs = entity.and_then(|entity| world.get::<Legs>(entity)).into_iter().flat_map(|legs| legs.iter());
        let ids: Vec<Bytes> = legs.filter_map(|leg| world.get::<Leg>(leg)).map(|leg| leg.call_id.clone()).collect();
        for id in ids {
            let key = self.placed.get(&id).unwrap_or(&id);
            if let Some(call) = self.calls.get_mut(key) {
                call.session = Some(session);
            }
        }
    }

    /// A message of the engine.
    fn given(&mut self, at: Duration, remote: SocketAddr, bytes: &Bytes) {
        let Some(id) = sip::call_id(bytes) else { return };
        let key = match self.placed.get(id) {
            Some(key) => key.clone(),
            None if self.calls.contains_key(id) => Bytes::copy_from_slice(id),
            None => {
                // The first message of a call that the engine was asked to place.
                let waiting = self.calls.iter_mut().find(|(_, call)| call.placing.is_some_and(|(_, to)| to == remote));
                let Some((key, call)) = waiting else { return };
                call.placing = None;
                call.call_id = Bytes::copy_from_slice(id);
                self.placed.insert(call.call_id.clone(), key.clone());
                key.clone()
            }
        };
        if let Some(call) = self.calls.get_mut(&key) {
            call.given(at, bytes);
        }
    }

    fn call(&mut self, id: &[u8]) -> Option<&mut Call> {
        if !self.calls.contains_key(id) {
            if self.calls.len() >= CALLS_MAX {
                return None;
            }
            self.calls.insert(Bytes::copy_from_slice(id), Call::new(id));
        }
        self.calls.get_mut(id)
    }

    /// A message of a peer.
    fn receive(&mut self, flow: Flow, bytes: &Bytes, account: &mut Account) {
        let tick = self.engine.now().0 + 1;
        let id = sip::call_id(bytes).map(Bytes::copy_from_slice);
        // One message of a call in a tick: what follows in the capture may follow from the host's answer.
        if id.as_ref().and_then(|id| self.calls.get(id)).is_some_and(|call| call.has_to_wait(tick)) {
            self.tick(1);
        }
        let tick = self.engine.now().0 + 1;
        let mut fitting = bytes.clone();
        if let (Some(id), Some(source)) = (&id, sip::audio_address(bytes)) {
            self.sources.insert(source, id.clone());
        }
        if let Some(call) = id.and_then(|id| self.call(&id)) {
            call.given_at = tick;
            if sip::status(bytes).is_none() {
                let tag = sip::header(bytes, "To", "t").and_then(sip::tag);
                // Where the host's side was not captured, a tag that is there can only be its own.
                let is_ours = tag.is_some() && call.host_tag.as_deref().is_none_or(|host| Some(host) == tag);
                fitting = rewrite::request(bytes, &call.call_id, call.engine_tag.as_deref().filter(|_| is_ours));
            } else {
                let request = sip::cseq(bytes).and_then(|(_, method)| call.requests.get(&method));
                let Some(request) = request else {
                    account.responses_unused += 1;
                    return;
                };
                fitting = rewrite::response(bytes, request);
            }
        }
        account.sip_used += 1;
        let message = Box::new(parse_datagram(fitting.clone(), &self.limits));
        self.pending.push(Input::Sip { flow, bytes: fitting, message });
    }

    /// A message of the host: what it did of its own accord the engine is asked to do.
    fn sent(&mut self, at: Duration, remote: SocketAddr, bytes: &Bytes, account: &mut Account) {
        let Some(id) = sip::call_id(bytes).map(Bytes::copy_from_slice) else { return };
        let (default, local) = (self.service.clone(), self.local);
        let (number, tick) = (self.commands + 1, self.engine.now().0 + 1);
        let Some(call) = self.call(&id) else { return };
        let seen = call.captured.len();
        call.captured(at, bytes);
        let (is_new, host_port, session) = (call.captured.len() > seen, call.host_port, call.session);
        let mut repeat = |what: &str| *account.commands.entry(what.to_owned()).or_default() += 1;
        let method = if sip::status(bytes).is_some() { String::new() } else { method_of(bytes) };
        let direction = sip::description(bytes);
        let stops = direction.as_ref().is_some_and(|it| it.starts_with("sendonly") || it.starts_with("inactive"));
        let has_to_tag = sip::header(bytes, "To", "t").and_then(sip::tag).is_some();
        let operation = match (method.as_str(), session) {
            _ if !is_new => None,
            ("" | "ACK", _) => None,
            ("BYE" | "CANCEL", Some(session)) => {
                repeat("hang up");
                Some(Operation::HangUp { session })
            }
            ("INVITE", Some(session)) if has_to_tag && stops != call.holds => {
                call.holds = stops;
                repeat(if stops { "hold" } else { "resume" });
                Some(if stops { Operation::Hold { session } } else { Operation::Resume { session } })
            }
            ("INVITE", None) if !has_to_tag => {
                repeat("place a call");
                call.placing = Some((number, remote));
                Some(Operation::Place(place(bytes, remote, local, default)))
            }
            (other, _) => {
                *account.not_repeated.entry(other.to_owned()).or_default() += 1;
                None
            }
        };
        if operation.is_some() {
            call.given_at = tick;
        }
        if let Some(port) = host_port {
            self.ports.insert(port, id);
        }
        if let Some(operation) = operation {
            self.commands = number;
            self.pending.push(Input::Command(Command { number, operation }));
        }
    }

    /// A packet for a port of the host: the call is the one in which the host named the port or, where the host's side was
    /// not captured, the one in which the peer named its own.
    fn packet(&mut self, at: Duration, port: u16, peer: SocketAddr, bytes: &[u8], account: &mut Account) {
        let even = port & !1;
        let id = self.ports.get(&even).or_else(|| self.ports.get(&port));
        let id = id.or_else(|| self.sources.get(&peer)).cloned();
        let find = |calls: &BTreeMap<Bytes, Call>| {
            id.as_ref().and_then(|id| calls.get(id)).map(|call| (call.engine_port, call.given_at))
        };
        // The engine may not have had the time to name its port.
        if find(&self.calls).is_some_and(|(port, given_at)| port.is_none() && given_at > self.engine.now().0) {
            self.tick(1);
        }
        let mut packet = Box::new(Packet::default());
        let ours = find(&self.calls).and_then(|(port, _)| port);
        let Some(ours) = ours.filter(|_| packet.fill(bytes)) else {
            account.packets_unused += 1;
            return;
        };
        (packet.port, packet.is_rtcp, packet.peer) = (ours, port != even, peer);
        packet.arrived_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        account.packets_used += 1;
        self.pending.push(Input::Rtp(packet));
    }
}

fn method_of(bytes: &[u8]) -> String {
    sip::cseq(bytes).map(|(_, method)| method).unwrap_or_default()
}

/// The call that an INVITE of the host places.
fn place(invite: &[u8], remote: SocketAddr, local: Local, service: String) -> PlaceCall {
    let uri_of = |value: &[u8]| {
        let text = String::from_utf8_lossy(value).into_owned();
        let inner = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(uri, _)| uri.to_owned());
        inner.unwrap_or_else(|| text.split(';').next().unwrap_or_default().to_owned())
    };
    let from = sip::header(invite, "From", "f").map(uri_of).unwrap_or_default();
    let to = sip::title(invite).split(' ').nth(1).unwrap_or_default().to_owned();
    let via = sip::header(invite, "Via", "v").unwrap_or_default();
    let over_tcp = via.to_ascii_uppercase().starts_with(b"SIP/2.0/TCP");
    let local = SocketAddr::new(local.ip, local.port.unwrap_or(5060));
    PlaceCall { from, to, remote, over_tcp, local, service, sdp: None }
}
