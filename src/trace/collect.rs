//! Observes a recording while it is played, and keeps what belongs to one call.

use super::media::Media;
use super::{Call, Packet, SipStep, Step, Trace, What};
use crate::capture::message;
use crate::config::RecordMedia;
use crate::engine::Engine;
use crate::replay::{Player, Witness};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{Session, SipIdentity};
use ringworld_components::edge::{ConnId, Event, Flow, Input, Operation, Output, Outputs, Transport};
use ringworld_components::kernel::{Now, StableId, StableIds};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use xxhash_rust::xxh3::xxh3_64;

/// Other calls that are remembered by name.
const OTHERS_MAX: usize = 10_000;

/// How long a packet waits for its tick at most, in microseconds.
const BEHIND_US_MAX: i64 = 1_000_000;

pub(super) struct Collector {
    call: Call,
    trace: Trace,
    /// Sessions that were looked at already.
    known: BTreeSet<StableId>,
    /// Our address for each peer.
    locals: BTreeMap<(Transport, SocketAddr), SocketAddr>,
    /// The peers' ends of connections that messages came over.
    connections: BTreeMap<ConnId, SocketAddr>,
    /// Messages seen, by direction and content.
    seen: BTreeSet<(bool, u64)>,
    media: Media,
    arrivals: Arrivals,
    /// What this tick takes in, kept until the call that it belongs to is known.
    messages: Vec<(Flow, Bytes)>,
    commands: Vec<(u64, Operation)>,
}

impl Collector {
    pub fn new(player: &Player, call: Call) -> Self {
        let header = player.header();
        let trace = Trace {
            began_unix_ms: header.began_unix_ms,
            call_ids: match &call {
                Call::Id(id) => BTreeSet::from([id.clone()]),
                Call::Session(_) => BTreeSet::new(),
            },
            sessions: BTreeSet::new(),
            steps: Vec::new(),
            packets: Vec::new(),
            has_media: header.media == RecordMedia::Full,
            others: BTreeSet::new(),
        };
        let mut collector = Self {
            call,
            trace,
            known: BTreeSet::new(),
            locals: BTreeMap::new(),
            connections: BTreeMap::new(),
            seen: BTreeSet::new(),
            media: Media::default(),
            arrivals: Arrivals::default(),
            messages: Vec::new(),
            commands: Vec::new(),
        };
        // A recording may begin in the middle of the call.
        let world = player.engine().world();
        let living = world.iter_entities().filter(|entity| entity.contains::<Session>());
        let ids: Vec<StableId> = living.filter_map(|entity| entity.get::<StableId>().copied()).collect();
        let now = player.engine().now();
        for id in ids {
            collector.meet(world, id);
            let session = world.resource::<StableIds>().find(id).and_then(|entity| world.get::<Session>(entity));
            if let Some(session) = session.filter(|_| collector.trace.sessions.contains(&id)) {
                let since = crate::inspect::seconds(session.since());
                collector.add(now, What::State(format!("{} since {since}; the recording begins", session.state())));
            }
        }
        collector
    }

    /// What was gathered, with the state of the media that go on at `now`.
    pub fn finish(mut self, now: Now) -> Trace {
        self.add_flows(now, &self.media.ports());
        self.trace
    }

    fn add_flows(&mut self, now: Now, ports: &[u16]) {
        let is_of = |flow: &super::RtpFlow| ports.contains(&flow.from.port()) || ports.contains(&flow.to.port());
        for flow in self.trace.flows().into_iter().filter(is_of) {
            self.add(now, What::Media(flow.to_string()));
        }
    }

    /// Finds out whether a session is the one we look for.
    fn meet(&mut self, world: &World, id: StableId) {
        if !self.known.insert(id) {
            return;
        }
        let Some(session) = world.resource::<StableIds>().find(id) else { return };
        let Some(identity) = world.get::<SipIdentity>(session) else { return };
        let call_id = String::from_utf8_lossy(&identity.call_id).into_owned();
        let is_wanted = match &self.call {
            Call::Id(wanted) => call_id == *wanted,
            Call::Session(wanted) => *wanted == id,
        };
        if is_wanted {
            self.trace.sessions.insert(id);
            self.trace.call_ids.insert(call_id);
            let target = identity.target;
            self.locals.entry((target.transport, target.remote)).or_insert(identity.local_address);
        }
    }

    fn is_ours(&mut self, message: &[u8]) -> bool {
        let Some(id) = message::call_id(message).and_then(|id| std::str::from_utf8(id).ok()) else { return false };
        let is_ours = self.trace.call_ids.contains(id);
        if !is_ours && self.trace.others.len() < OTHERS_MAX && !self.trace.others.contains(id) {
            self.trace.others.insert(id.to_owned());
        }
        is_ours
    }

    fn add(&mut self, at: Now, what: What) {
        self.trace.steps.push(Step { at, what });
    }

    fn add_message(&mut self, at: Now, is_ours: bool, transport: Transport, peer: SocketAddr, bytes: Bytes) {
        // Without a message from that peer or a session with it, the address is not known.
        let unknown: IpAddr = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let nowhere = SocketAddr::from((unknown, 5060));
        let any = self.locals.values().next().copied().unwrap_or(nowhere);
        let local = self.locals.get(&(transport, peer)).copied().unwrap_or(any);
        let is_again = !self.seen.insert((is_ours, xxh3_64(&bytes)));
        self.add(at, What::Sip(SipStep { transport, peer, local, is_ours, is_again, bytes }));
    }

    fn add_inputs(&mut self, at: Now, outputs: &Outputs) {
        for (flow, bytes) in std::mem::take(&mut self.messages) {
            if self.is_ours(&bytes) {
                self.locals.insert((flow.transport, flow.remote), flow.local);
                if flow.conn != ConnId::NONE {
                    self.connections.insert(flow.conn, flow.remote);
                }
                self.add_message(at, false, flow.transport, flow.remote, bytes);
            }
        }
        for (number, operation) in std::mem::take(&mut self.commands) {
            let answered = outputs.control.iter().find_map(|output| match output {
                Output::Reply(reply) if reply.number == number => Some(&reply.result),
                _ => None,
            });
            let about = operation.session().or_else(|| answered.and_then(|result| result.as_ref().ok().copied()));
            if about.is_some_and(|session| self.trace.sessions.contains(&session)) {
                let refused = answered.and_then(|result| result.as_ref().err());
                let refused = refused.map(|refusal| format!(" (refused: {refusal})")).unwrap_or_default();
                self.add(at, What::Command(format!("{}{refused}", in_words(&operation))));
            }
        }
    }

    fn add_outputs(&mut self, at: Now, outputs: &Outputs) {
        for output in &outputs.control {
            match output {
                Output::Sip { target, bytes, .. } if self.is_ours(bytes) => {
                    // The address of a target is where a new connection would go.
                    let peer = self.connections.get(&target.conn).copied().unwrap_or(target.remote);
                    self.add_message(at, true, target.transport, peer, bytes.clone());
                }
                Output::Event(Event::StateChanged { session, from, to }) if self.trace.sessions.contains(session) => {
                    self.add(at, What::State(format!("{from} → {to}")));
                }
                Output::Event(Event::Ended { session, cause, status }) if self.trace.sessions.contains(session) => {
                    // A status that was kept for a refusal but was never sent means nothing.
                    let is_known =
                        self.trace.messages().any(|message| message::status(&message.bytes) == Some(*status));
                    let status = if is_known { format!(" ({status})") } else { String::new() };
                    self.add(at, What::State(format!("ended: {}{status}", cause.as_str())));
                }
                Output::Event(Event::Digit { session, digit, duration_ms })
                    if self.trace.sessions.contains(session) =>
                {
                    self.add(at, What::Media(format!("heard digit {digit}, {duration_ms} ms")));
                }
                _ => {}
            }
        }
    }
}

impl Witness for Collector {
    fn takes(&mut self, engine: &Engine, elapsed: u32, inputs: &[Input]) {
        let tick_us = Now(engine.now().0.saturating_add(u64::from(elapsed))).as_millis().saturating_mul(1_000);
        for input in inputs {
            match input {
                Input::Sip { flow, bytes, .. } => self.messages.push((*flow, bytes.clone())),
                Input::Command(command) => self.commands.push((command.number, command.operation.clone())),
                Input::Rtp(packet) => {
                    let at_us = self.arrivals.in_time_of_ticks(packet.arrived_us, tick_us);
                    if let Some(ip) = self.media.local_ip(packet.port) {
                        let local = SocketAddr::new(ip, packet.port + u16::from(packet.is_rtcp));
                        let (peer, bytes) = (packet.peer, packet.bytes().to_vec());
                        self.trace.packets.push(Packet { at_us, peer, local, is_ours: false, bytes });
                    }
                }
                _ => {}
            }
        }
    }

    fn gives(&mut self, engine: &Engine, outputs: &Outputs) {
        let (world, now) = (engine.world(), engine.now());
        for output in &outputs.control {
            if let Output::Event(Event::StateChanged { session, .. } | Event::Incoming { session, .. }) = output {
                self.meet(world, *session);
            }
        }
        self.add_inputs(now, outputs);
        self.add_outputs(now, outputs);
        for packet in outputs.rtp.iter().map(|out| &out.0) {
            if let Some(ip) = self.media.local_ip(packet.port) {
                let local = SocketAddr::new(ip, packet.port + u16::from(packet.is_rtcp));
                let (at_us, peer, bytes) = (now.as_millis() * 1_000, packet.peer, packet.bytes().to_vec());
                self.trace.packets.push(Packet { at_us, peer, local, is_ours: true, bytes });
            }
        }
        let (facts, released) = self.media.look(world, now, &self.trace.sessions, self.trace.has_media);
        for fact in facts {
            self.add(now, What::Media(fact));
        }
        if !released.is_empty() {
            self.add_flows(now, &released);
        }
    }
}

/// How far the clock that stamps packets is ahead of the ticks: it begins with the network, the ticks with the world.
#[derive(Default)]
struct Arrivals {
    ahead_us: Option<i64>,
}

impl Arrivals {
    /// When a packet arrived that tick took in: none can before it has arrived.
    fn in_time_of_ticks(&mut self, arrived_us: u64, tick_us: u64) -> u64 {
        let ahead_us = arrived_us.wrapping_sub(tick_us) as i64;
        let most_us = self.ahead_us.map_or(ahead_us, |most| most.max(ahead_us));
        self.ahead_us = Some(most_us);
        // Behind is what waited a while for its tick, unless all are far behind.
        let is_apart = !(-BEHIND_US_MAX..=0).contains(&most_us);
        if is_apart { arrived_us.wrapping_sub(most_us as u64) } else { arrived_us }
    }
}

fn in_words(operation: &Operation) -> String {
    match operation {
        Operation::Place(call) => format!("place a call to {}", call.to),
        Operation::Answer { service, .. } => format!("answer with {service}"),
        Operation::Ring { .. } => "let it ring".to_owned(),
        Operation::Reject { status, .. } => format!("reject with {status}"),
        Operation::HangUp { .. } => "hang up".to_owned(),
        Operation::Hold { .. } => "hold".to_owned(),
        Operation::Resume { .. } => "resume".to_owned(),
        Operation::SendDtmf { digits, .. } => format!("send digits {digits}"),
        Operation::Announce { clip, .. } => format!("play {clip}"),
        Operation::Claim { by, lasts_ms, .. } => format!("claim for {by}, {lasts_ms} ms"),
        Operation::Release { by, .. } => format!("release the claim of {by}"),
        Operation::Respond { status, .. } => format!("respond with {status}"),
        Operation::SendRequest(request) => format!("send {}", request.method),
        Operation::Drain => "end all calls".to_owned(),
        Operation::Reanchor { .. } => "set its clock".to_owned(),
        Operation::Link { parent, kind, .. } => format!("make it a child of {parent} ({kind:?})"),
        Operation::Unlink { .. } => "take its parent away".to_owned(),
        Operation::Sequence { b, rule, .. } => format!("put it in sequence with {b} ({rule:?})"),
        Operation::EnterGroup { group, .. } => format!("let it enter a group: {group:?}"),
        Operation::LeaveGroup { group, .. } => format!("let it leave the group {group}"),
        Operation::ReportLoad { cpu_permille } => format!("tell it a load of {cpu_permille} in 1,000"),
        Operation::EndGroup { group } => format!("end the group {group}"),
        Operation::SetPriority { level, class, .. } => {
            format!("set its priority: {} {}", level.as_str(), class.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_never_later_than_the_tick_that_took_them_in() {
        let mut arrivals = Arrivals::default();
        let mut at = |arrived, tick| arrivals.in_time_of_ticks(arrived, tick);
        assert_eq!((at(9_000, 10_000), at(14_000, 10_000), at(31_500, 30_000)), (9_000, 10_000, 27_500));
        let mut restarted = Arrivals::default();
        assert_eq!(restarted.in_time_of_ticks(4_000, 9_000_000_000), 9_000_000_000);
    }
}
