//! The engine in the place of the host.

use super::account::Account;
use super::call::Call;
use super::compare::compare;
use super::legs::{self, Legs};
use super::report::{NotRepeated, Report};
use super::stream::Happening;
use super::{Local, rewrite};
use crate::capture::{description, message};
use crate::config::{Config, sip_limits};
use crate::engine::{Engine, WorldConfig};
use crate::replay::{RecordError, Recorder};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{ServiceSettings, SipIdentity};
use ringworld_components::edge::{Event, Flow, Input, Output};
use ringworld_components::kernel::{StableId, StableIds, TICK};
use ringworld_components::wire::sip::{Limits, parse_datagram};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How long a released port is kept back, in ticks.
const PORT_RESTS: u64 = 20;

/// How long the engine goes on behind the last frame, in ticks: its last answers are to be seen.
const AFTERWARDS: u64 = 200;

/// Ticks that are skipped at most when nothing happens, as a running switch does it.
const QUIET_TICKS_MAX: u64 = 40;

/// Calls that are followed, at most; further ones are not used.
const CALLS_MAX: usize = 1_000_000;

/// A world that runs through a capture, and its recording.
pub(super) struct StandIn {
    pub(super) engine: Engine,
    recorder: Recorder,
    limits: Limits,
    pub(super) local: Local,
    pub(super) services: ServiceSettings,
    began: Duration,
    pub(super) pending: Vec<Input>,
    released: Vec<(u64, u16)>,
    /// By the leg in the capture.
    pub(super) calls: BTreeMap<Bytes, Call>,
    pub(super) legs: Legs,
    /// From the Call-ID in the engine, where it is another one, to the leg.
    placed: BTreeMap<Bytes, Bytes>,
    /// The calls that the engine was asked to place, by the number of the command, until it has replied.
    pub(super) orders: BTreeMap<u64, Bytes>,
    /// The call of each session.
    sessions: BTreeMap<StableId, Bytes>,
    /// The call that named a port of the host last.
    pub(super) ports: BTreeMap<u16, Bytes>,
    /// The call in which a peer named this address for its media last.
    pub(super) sources: BTreeMap<SocketAddr, Bytes>,
    pub(super) commands: u64,
    pub(super) not_repeated: Vec<NotRepeated>,
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
            services: config.services.clone(),
            began,
            pending: pairs.map(Input::PortOpened).collect(),
            released: Vec::new(),
            calls: BTreeMap::new(),
            legs: Legs::default(),
            placed: BTreeMap::new(),
            orders: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ports: BTreeMap::new(),
            sources: BTreeMap::new(),
            commands: 0,
            not_repeated: Vec::new(),
        })
    }

    /// The time that the world has come to, by the clock of the capture.
    pub fn now(&self) -> Duration {
        self.began.saturating_add(Duration::from_millis(self.engine.now().as_millis()))
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
            Happening::PacketSent { port, bytes } => self.packet_sent(at, port, &bytes, account),
        }
    }

    /// Ends the recording and compares.
    pub fn finish(mut self, account: Account) -> Report {
        let end = self.engine.now().0.saturating_add(AFTERWARDS);
        self.tick(1);
        self.advance_before(end);
        let (mut alike, mut differences) = (0, Vec::new());
        for (leg, call) in &self.calls {
            let (like, unlike) = compare(&legs::in_words(leg), call);
            alike += like;
            // Without the host's side there is nothing to compare with.
            differences.extend(unlike.into_iter().filter(|_| account.sip_from_us > 0));
        }
        differences.sort_by_key(|difference| difference.at);
        let ticks = self.recorder.finish(&self.engine).ticks;
        let began_unix_ms = u64::try_from(self.began.as_millis()).unwrap_or(u64::MAX);
        let (calls, not_repeated) = (self.calls.len() as u64, self.not_repeated);
        Report { account, began_unix_ms, ticks, calls, alike, differences, not_repeated }
    }

    /// Runs all ticks before this one, each with its inputs.
    fn advance_before(&mut self, tick: u64) {
        while self.engine.now().0.saturating_add(1) < tick {
            let now = self.engine.now().0;
            let rests = self.released.first().map(|(at, _)| at + PORT_RESTS);
            let due = self.engine.next_due().0.min(rests.unwrap_or(u64::MAX));
            let quiet = if self.pending.is_empty() { due.min(tick - 1).saturating_sub(now) } else { 1 };
            self.tick(quiet.clamp(1, QUIET_TICKS_MAX) as u32);
        }
    }

    pub(super) fn tick(&mut self, elapsed: u32) {
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
                    let key = self.orders.remove(&reply.number);
                    match (key, reply.result) {
                        (Some(key), Ok(session)) => self.begins(session, &key),
                        (Some(key), Err(_)) => {
                            self.calls.get_mut(&key).into_iter().for_each(|call| call.placing = None);
                        }
                        (None, _) => {}
                    }
                }
                Output::Event(Event::StateChanged { session, .. } | Event::Incoming { session, .. }) => {
                    self.name(session);
                }
                Output::Event(Event::Ended { session, cause, .. }) => {
                    let call = self.sessions.remove(&session).and_then(|key| self.calls.get_mut(&key));
                    if let Some(call) = call {
                        call.ended = Some((at, cause.as_str().to_owned()));
                    }
                }
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
        let identity = entity.and_then(|entity| world.get::<SipIdentity>(entity));
        if let Some(id) = identity.map(|identity| &identity.call_id) {
            let key = self.placed.get(id).or_else(|| self.legs.incoming(id)).unwrap_or(id).clone();
            self.begins(session, &key);
        }
    }

    fn begins(&mut self, session: StableId, key: &Bytes) {
        if let Some(call) = self.calls.get_mut(key)
            && call.session.replace(session) != Some(session)
        {
            call.ended = None;
            self.sessions.insert(session, key.clone());
        }
    }

    /// A message of the engine.
    fn given(&mut self, at: Duration, remote: SocketAddr, bytes: &Bytes) {
        let Some(id) = message::call_id(bytes) else { return };
        let key = match self.placed.get(id) {
            Some(key) => key.clone(),
            None if self.calls.contains_key(id) => self.legs.of_incoming(bytes).unwrap_or_default(),
            None => {
                // The first message of a call that the engine was asked to place.
                let waiting = self.calls.iter_mut().find(|(_, call)| call.placing == Some(remote));
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

    pub(super) fn call(&mut self, leg: &Bytes) -> Option<&mut Call> {
        if !self.calls.contains_key(leg) {
            if self.calls.len() >= CALLS_MAX {
                return None;
            }
            self.calls.insert(leg.clone(), Call::new(legs::call_id_of(leg)));
        }
        self.calls.get_mut(leg)
    }

    /// The leg that a message of the capture belongs to.
    pub(super) fn leg_of(&mut self, bytes: &[u8], by_host: bool) -> Option<Bytes> {
        self.legs.of(bytes, by_host, |leg| self.calls.contains_key(leg))
    }

    /// A message of a peer.
    fn receive(&mut self, flow: Flow, bytes: &Bytes, account: &mut Account) {
        let tick = self.engine.now().0 + 1;
        let id = self.leg_of(bytes, false);
        // One message of a call in a tick: what follows in the capture may follow from the host's answer.
        if id.as_ref().and_then(|id| self.calls.get(id)).is_some_and(|call| call.has_to_wait(tick)) {
            self.tick(1);
        }
        let tick = self.engine.now().0 + 1;
        let mut fitting = bytes.clone();
        if let (Some(id), Some(source)) = (&id, description::audio_address(bytes)) {
            self.sources.insert(source, id.clone());
        }
        if let Some(call) = id.and_then(|id| self.call(&id)) {
            call.given_at = tick;
            call.received(bytes);
            if message::status(bytes).is_none() {
                let tag = message::header(bytes, "To").and_then(message::tag);
                // Where the host's side was not captured, a tag that is there can only be its own.
                let is_ours = tag.is_some() && call.host_tag.as_deref().is_none_or(|host| Some(host) == tag);
                fitting = rewrite::request(bytes, &call.call_id, call.engine_tag.as_deref().filter(|_| is_ours));
            } else {
                let answered = message::cseq(bytes).filter(|_| !call.is_not_repeated(bytes));
                let request = answered.and_then(|(cseq, method)| call.requests.get(call.repeated_by(cseq, &method)));
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
}
