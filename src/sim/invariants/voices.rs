//! Who is heard, and how long ago it was said.

use super::{Breach, Invariant, of_agent};
use crate::sim::agent::{Agent, FRAMES, Hearing, Sound};
use crate::sim::{MS, SECOND};

/// What may lie between mouth and ear: the jitter buffer's 200 ms, three concealed frames, and a network at its worst (a
/// delay of 190 ms and a jitter of 80 each way, 60 for what is overtaken, ticks 300 ms late).
const DELAY_MAX: u64 = 1_300 * MS;

/// How long a voice may still be heard after its call.
const ECHO: u64 = 2 * SECOND;

pub(super) fn check(now: u64, agent: &Agent, agents: &[Agent], hearing: &Hearing, breaches: &mut Vec<Breach>) {
    let Some(call) = agent.calls.iter().find(|call| call.identity.call_id == hearing.call_id) else { return };
    let own = agent.habits.voice;
    let is_room = call.service.starts_with("conf-");
    if !is_room && ["tone", "silence"].iter().any(|name| call.service.starts_with(name)) {
        return;
    }
    for sound in &hearing.sounds {
        let breach = match *sound {
            Sound::Noise { slot } => Some(format!("noise in slot {slot}")),
            Sound::Voice(voice, _) if is_room && Some(voice) == own => Some("it hears itself in a room".to_owned()),
            Sound::Voice(voice, _) if is_room => {
                let speaker = agents.iter().find(|other| other.habits.voice == Some(voice));
                let is_there = speaker.is_some_and(|speaker| was_in(speaker, &call.service, now));
                (!is_there).then(|| match speaker {
                    Some(speaker) => format!("it hears agent {}, who is not in {}", speaker.number, call.service),
                    None => format!("it hears nobody's voice: {voice:?}"),
                })
            }
            Sound::Voice(voice, _) => (Some(voice) != own).then(|| format!("it hears {voice:?} in an echo")),
        };
        let who = || [of_agent(agent.number), format!("Call-ID {}", hearing.call_id)];
        breaches.extend(breach.map(|what| Breach::new(Invariant::RoomsArePrivate, what, who())));
        if let Sound::Voice(_, frame) = *sound {
            let present = now / (20 * MS);
            let frames = present.wrapping_sub(u64::from(frame)) % FRAMES;
            if frames * 20 * MS > DELAY_MAX {
                let what = format!("what it hears was said {} ms ago", frames * 20);
                breaches.push(Breach::new(Invariant::DelayBounded, what, who()));
            }
        }
    }
}

/// Whether an agent is in the room, or was so shortly before. One that is gone left its call behind.
fn was_in(agent: &Agent, room: &str, now: u64) -> bool {
    let calls = agent.calls.iter().filter(|call| call.service == room);
    agent.is_gone() || calls.into_iter().any(|call| call.ended.saturating_add(ECHO) > now)
}
