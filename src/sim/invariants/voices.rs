//! Which voices are heard, and how long ago each was sent.

use super::{Breach, Invariant, of_agent};
use crate::sim::agent::{Agent, Call, FRAMES, Hearing, Sound};
use crate::sim::fault::{Fault, Kind};
use crate::sim::{MS, SECOND, network};

/// The delay between two agents without faults: 200 ms of the jitter buffer, three frames that repeat what was
/// lost, the frame that is being mixed, a tick at each end, and both ways.
const CALM_MAX: u64 = 320 * MS + 2 * network::DELAY_MAX;

/// How long a fault has effects after its end, at most.
const AFTER: u64 = 2 * SECOND;

/// How late the network of a run can make audio.
#[derive(Debug, Default)]
pub(in crate::sim) struct Lags(Vec<Fault>);

impl Lags {
    pub fn new(faults: &[Fault]) -> Self {
        Self(faults.iter().filter(|fault| fault.lag() > 0).cloned().collect())
    }

    /// The delay from one agent to another.
    fn between(&self, now: u64, speaker: u32, listener: u32) -> u64 {
        let concerns = |fault: &&Fault| fault.agent.is_none_or(|agent| agent == speaker || agent == listener);
        let is_felt = |fault: &&Fault| fault.from <= now && fault.to.saturating_add(AFTER) > now;
        // One stop of the world may delay a frame in the buffer, and another one the repetition of that frame.
        let times = |fault: &Fault| if matches!(fault.kind, Kind::LateTicks | Kind::SkippedTicks) { 2 } else { 1 };
        let lags = self.0.iter().filter(concerns).filter(is_felt).map(|fault| times(fault) * fault.lag()).sum::<u64>();
        // In an echo the way of one is taken twice.
        CALM_MAX + if speaker == listener { 2 * lags } else { lags }
    }
}

/// How long a voice may still be heard after its call.
const ECHO: u64 = 2 * SECOND;

pub(super) fn check(
    now: u64,
    agent: &Agent,
    agents: &[Agent],
    hearing: &Hearing,
    lags: &Lags,
    breaches: &mut Vec<Breach>,
) {
    // An agent that still sends to a port that is another call's by now, against the rules or because the switch has
    // lost its call, may be heard and hear there.
    if !agent.is_honest() || agent.is_forgotten {
        return;
    }
    let Some(call) = agent.calls.iter().find(|call| call.ua.identity.call_id == hearing.call_id) else { return };
    let own = agent.habits.voice;
    let is_room = call.service.starts_with("conf-");
    if !is_room && ["tone", "silence"].iter().any(|name| call.service.starts_with(name)) {
        return;
    }
    for sound in &hearing.sounds {
        let breach = match *sound {
            Sound::Noise { slot } => {
                let of_slot = |other: &&Agent| other.habits.voice.is_some_and(|voice| voice.slot == slot);
                let is_excused = |other: &Agent| {
                    let calls = other.calls.iter().filter(|other| other.service == call.service);
                    other.is_forgotten || calls.filter(|call| is_heard(call, now)).count() > 1
                };
                // An agent that leaves a room and is back at once may be heard in both calls for a moment.
                (!agents.iter().filter(of_slot).any(is_excused)).then(|| format!("noise in slot {slot}"))
            }
            Sound::Voice(voice, _) if is_room && Some(voice) == own => {
                let said_before = is_in_twice(agent, &hearing.call_id, &call.service, now);
                (!said_before).then(|| "it hears itself in a room".to_owned())
            }
            Sound::Voice(voice, _) if is_room => {
                let speaker = agents.iter().find(|other| other.habits.voice == Some(voice));
                let is_there = speaker.is_some_and(|speaker| was_in(speaker, &call.service, now));
                (!is_there).then(|| match speaker {
                    Some(speaker) => format!("it hears agent {}, which is not in {}", speaker.number, call.service),
                    None => format!("it hears the voice of no agent: {voice:?}"),
                })
            }
            Sound::Voice(voice, _) => (Some(voice) != own).then(|| format!("it hears {voice:?} in an echo")),
        };
        let involved = || [of_agent(agent.number), format!("Call-ID {}", hearing.call_id)];
        breaches.extend(breach.map(|what| Breach::new(Invariant::RoomsArePrivate, what, involved())));
        if let Sound::Voice(voice, frame) = *sound {
            let present = now / (20 * MS);
            let frames = present.wrapping_sub(u64::from(frame)) % FRAMES;
            if frames * 20 * MS <= CALM_MAX {
                continue;
            }
            let speaker = agents.iter().find(|other| other.habits.voice == Some(voice)).map_or(0, |other| other.number);
            let most = lags.between(now, speaker, agent.number);
            if frames * 20 * MS > most {
                let what = format!("what it hears was said {} ms ago, at most {} are due", frames * 20, most / MS);
                breaches.push(Breach::new(Invariant::DelayBounded, what, involved()));
            }
        }
    }
}

/// Whether an agent has, or had until shortly before, another call to the room than `call_id`: it hears in this one
/// what it sent in the other.
fn is_in_twice(agent: &Agent, call_id: &str, room: &str, now: u64) -> bool {
    let others = agent.calls.iter().filter(|call| call.service == room && call.ua.identity.call_id != call_id);
    others.into_iter().any(|call| is_heard(call, now))
}

/// Whether a call is up, or was until shortly before.
fn is_heard(call: &Call, now: u64) -> bool {
    call.ua.ended.saturating_add(ECHO) > now
}

/// Whether an agent is in the room, or was so shortly before. One that disappeared left its call behind; of one that
/// breaks the rules nothing is known.
fn was_in(agent: &Agent, room: &str, now: u64) -> bool {
    let calls = agent.calls.iter().filter(|call| call.service == room);
    !agent.is_honest() || agent.is_forgotten || calls.into_iter().any(|call| is_heard(call, now))
}
