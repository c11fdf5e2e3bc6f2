//! Sessions as their events describe them.

use super::{Breach, Invariant};
use crate::engine::Engine;
use ringworld_components::call::{EndCause, Session, SessionState, Settings};
use ringworld_components::edge::Event;
use ringworld_components::kernel::{Now, StableId, TICK};
use std::collections::BTreeMap;

/// What is known of one session.
#[derive(Clone, Copy, Debug)]
struct Known {
    state: SessionState,
    /// When it began, and when it was answered.
    began: u64,
    answered: Option<u64>,
    /// When RTCP of its agent last came.
    rtcp: Option<u64>,
    has_ended: bool,
    /// Whether the switch has lost some ticks of it, and its times are not known.
    is_vague: bool,
}

/// Watches.
#[derive(Debug, Default)]
pub(in crate::sim) struct Sessions {
    known: BTreeMap<StableId, Known>,
    /// Changes of state, counted.
    pub changes: BTreeMap<(SessionState, SessionState), u64>,
}

impl Sessions {
    pub fn event(&mut self, tick: u64, engine: &Engine, event: &Event, breaches: &mut Vec<Breach>) {
        match event {
            Event::StateChanged { session, from, to } => self.changed(tick, *session, (*from, *to), breaches),
            Event::Ended { session, cause, .. } => self.ended(tick, engine, *session, *cause, breaches),
            _ => {}
        }
    }

    fn changed(
        &mut self,
        tick: u64,
        session: StableId,
        (from, to): (SessionState, SessionState),
        breaches: &mut Vec<Breach>,
    ) {
        *self.changes.entry((from, to)).or_default() += 1;
        let first = Known {
            state: SessionState::Initializing,
            began: tick,
            answered: None,
            rtcp: None,
            has_ended: false,
            is_vague: false,
        };
        let known = self.known.entry(session).or_insert(first);
        if known.state != from || !from.can_transition_to(to) || known.has_ended {
            let what = format!("from {from} to {to}, though it was {}", known.state);
            breaches.push(Breach::new(Invariant::StatesFollow, what, [format!("session {session}")]));
        }
        known.state = to;
        if to == SessionState::Connected {
            known.answered.get_or_insert(tick);
        }
    }

    fn ended(&mut self, tick: u64, engine: &Engine, session: StableId, cause: EndCause, breaches: &mut Vec<Breach>) {
        let Some(known) = self.known.get_mut(&session) else { return };
        let involved = [format!("session {session}")];
        if std::mem::replace(&mut known.has_ended, true) {
            return breaches.push(Breach::new(Invariant::SessionsEnd, "it ended twice", involved));
        }
        let timers = &engine.world().resource::<Settings>().timers;
        let lasted = |since: u64| Now(tick).since(Now(since)).saturating_add(TICK).as_secs();
        let early = match cause {
            EndCause::RingTimeout => known.answered.is_some() || lasted(known.began) + 1 < u64::from(timers.ringing_s),
            EndCause::DeferralTimeout => known.answered.is_some(),
            EndCause::DurationLimit => known.answered.is_none_or(|at| lasted(at) < u64::from(timers.call_s)),
            EndCause::MediaTimeout => {
                let lives = known.rtcp.is_some_and(|at| lasted(at) < u64::from(timers.rtp_silence_s));
                timers.rtp_silence_s == 0 || known.answered.is_none() || lives
            }
            _ => false,
        };
        if early && !known.is_vague {
            let age = lasted(known.began);
            let what = format!("it ended as {:?} after {age} s, though its time had not come", cause.as_str());
            breaches.push(Breach::new(Invariant::TimersStop, what, involved));
        }
    }

    /// RTCP of its agent reaches a session.
    pub fn rtcp(&mut self, tick: u64, session: StableId) {
        if let Some(known) = self.known.get_mut(&session) {
            known.rtcp = Some(tick);
        }
    }

    /// The world lost its last ticks: its sessions are known by its own state alone.
    pub fn rewind(&mut self, engine: &Engine) {
        let world = engine.world();
        let mut living = BTreeMap::new();
        if let Some(mut sessions) = world.try_query::<(&StableId, &Session)>() {
            living.extend(sessions.iter(world).map(|(id, session)| (*id, session.state())));
        }
        self.known.clear();
        for (session, state) in living {
            let has_ended = state == SessionState::Terminated;
            let known = Known { state, began: 0, answered: None, rtcp: None, has_ended, is_vague: true };
            self.known.insert(session, known);
        }
    }

    /// Sessions that never ended.
    pub fn endless(&self) -> Option<Breach> {
        let (session, known) = self.known.iter().find(|(_, known)| !known.has_ended)?;
        let what = format!("it never ended and is {}", known.state);
        Some(Breach::new(Invariant::SessionsEnd, what, [format!("session {session}")]))
    }
}
