//! Whether each agent hears what it should.

use super::{Breach, Invariant, of_agent};
use crate::engine::Engine;
use crate::sim::SECOND;
use crate::sim::agent::{Agent, Call, Hearing, Sound};
use crate::ua::State;
use bevy_ecs::prelude::*;
use ringworld_components::call::{Session, SessionState, SipIdentity, Streams};
use ringworld_components::media::{Playback, Stream};
use std::collections::{BTreeMap, BTreeSet};

/// How long nothing must have changed before an agent has to hear: longer than a former source is refused, and than
/// another host that was taken for the source must be silent.
const SETTLED: u64 = 4 * SECOND;

/// How long nothing may be heard then.
const GAP_MAX: u64 = 3 * SECOND / 2;

/// What an agent is in the middle of: its call, and the port where it receives audio.
type Talk = (String, u16);

/// Watches.
#[derive(Debug, Default)]
pub(in crate::sim) struct Audible {
    /// When an agent last heard a voice, by agent and number of the voice.
    heard: BTreeMap<(u32, u8), u64>,
    /// Since when an agent is in the middle of the same talk.
    settled: BTreeMap<u32, (Talk, u64)>,
}

impl Audible {
    /// An agent heard something.
    pub fn heard(&mut self, now: u64, agent: u32, hearing: &Hearing) {
        for sound in &hearing.sounds {
            if let Sound::Voice(voice, _) = sound {
                self.heard.insert((agent, voice.id), now);
            }
        }
    }

    /// Looks at all agents that send audio; `calm` says which of them nothing disturbs.
    pub fn look(&mut self, now: u64, engine: &Engine, agents: &[Agent], calm: &[bool]) -> Option<Breach> {
        let talking = talking(engine);
        let before = std::mem::take(&mut self.settled);
        for agent in agents.iter().zip(calm).filter(|(_, calm)| **calm).map(|(agent, _)| agent) {
            if let Some(call) = talk(now, agent).filter(|call| talking.contains(&format_of(call))) {
                let talk = (call.ua.identity.call_id.clone(), call.ua.rtp.port());
                let since =
                    before.get(&agent.number).filter(|(same, _)| *same == talk).map_or(now, |(_, since)| *since);
                self.settled.insert(agent.number, (talk, since));
            }
        }
        let is_settled = |agent: &&Agent| self.settled.get(&agent.number).is_some_and(|it| it.1 + SETTLED < now);
        let settled: Vec<&Agent> = agents.iter().filter(is_settled).collect();
        settled.iter().find_map(|agent| {
            let service = &agent.call()?.service;
            let is_echo = service == "echo" || service.starts_with("ring-");
            let is_due = |other: &&&Agent| match is_echo {
                true => other.number == agent.number,
                false => {
                    let shares = other.call().is_some_and(|call| call.service == *service);
                    shares && service.starts_with("conf-") && other.number != agent.number
                }
            };
            let missed = settled.iter().filter(is_due).find(|other| {
                let id = other.habits.voice.map_or(0, |voice| voice.id);
                self.heard.get(&(agent.number, id)).is_none_or(|at| at + GAP_MAX < now)
            })?;
            let what = format!("it does not hear agent {} in {service}, though nothing disturbs them", missed.number);
            Some(Breach::new(Invariant::EachIsHeard, what, [of_agent(agent.number)]))
        })
    }
}

/// The call in which an agent sends audio and wants to receive it.
fn talk(now: u64, agent: &Agent) -> Option<&Call> {
    let speaks = agent.habits.voice.is_some() && now < agent.habits.silent_from;
    let call = agent.call().filter(|_| speaks && agent.is_honest() && !agent.is_tainted && !agent.is_forgotten)?;
    let remote = call.ua.remote.as_ref()?;
    let flows = remote.sends && remote.receives && remote.address.is_some() && !call.ua.we_hold && !call.ua.they_hold;
    (flows && call.ua.state == State::Confirmed && call.ua.is_calm() && call.ua.is_sure).then_some(call)
}

/// The Call-ID of a call, and the payload type in which its agent sends and expects audio. Where the two sides do not
/// agree on that (RFC 3264 section 6.1 leaves several), nothing is to be heard.
fn format_of(call: &Call) -> (Vec<u8>, u8) {
    let codec = call.ua.remote.as_ref().map(|remote| remote.codec);
    let payload_type = codec.map_or(u8::MAX, |codec| call.ua.layout.payload_type(codec));
    (call.ua.identity.call_id.as_bytes().to_vec(), payload_type)
}

/// The Call-IDs and payload types of the sessions whose peers should hear the service, and nothing else that is played
/// to them.
fn talking(engine: &Engine) -> BTreeSet<(Vec<u8>, u8)> {
    let world = engine.world();
    let sessions = world.try_query::<(&Session, &SipIdentity, &Streams)>();
    let Some(mut sessions) = sessions else { return BTreeSet::new() };
    let format = |streams: &Streams| {
        streams.iter().find_map(|entity| {
            let stream = world.get::<Stream>(entity).filter(|stream| stream.sends() && stream.receives())?;
            let agreed = stream.negotiated.as_ref().filter(|_| world.get::<Playback>(entity).is_none())?;
            Some(agreed.payload_type)
        })
    };
    let up = sessions.iter(world).filter(|(session, ..)| session.state() == SessionState::Connected);
    up.filter_map(|(_, identity, streams)| Some((identity.call_id.to_vec(), format(streams)?))).collect()
}
