//! What must hold in every run, whatever faults it has.
//!
//! Each [`Invariant`] is watched by one file of this folder. Most watch the border of the switch: what goes in and what
//! comes out, read by the agents' own parser. `world.rs` and `agreement.rs` also look into the world.

mod agreement;
mod audible;
mod counters;
mod digits;
mod hold;
mod informed;
mod lines;
mod pauses;
mod relations;
mod sessions;
mod voices;
mod wire;
mod world;

pub(super) use agreement::{calls_up, check as agree};
use audible::Audible;
pub(super) use counters::Crossings;
use digits::Digits;
use hold::Holds;
use informed::InfoDigits;
use lines::Lines;
use pauses::Pauses;
use ringworld_components::call::SipIdentity;
use ringworld_components::edge::{Event, Packet};
use ringworld_components::kernel::{StableId, StableIds};
use sessions::Sessions;
use std::fmt;
pub(super) use voices::Lags;
use wire::Wire;
pub(super) use world::{deep, nothing_left};

use super::agent::{Agent, Hearing};
use crate::engine::Engine;

/// The invariants, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every session ends, once, and none is ending for longer than its transactions can take.
    SessionsEnd,
    /// Sessions change their state only as the matrix has it, from the state that they were in.
    StatesFollow,
    /// No entity, port, timer, buffer or room outlives its owner; at the end nothing is left.
    NothingOutlives,
    /// Once the network has healed, switch and agents agree on which dialogs there are and which side holds the other.
    BothAgree,
    /// CSeq numbers and tags obey RFC 3261 section 12, branches section 8.1.1.7.
    SequenceAndTags,
    /// There is at most one final response a transaction, and nothing after it but itself again.
    OneFinal,
    /// No timer acts once what it waited for has happened, nor before its time.
    TimersStop,
    /// A caller never hears itself in a room, nor a caller of another room; in an echo it hears only itself.
    RoomsArePrivate,
    /// Nothing is sent to a peer that does not want to receive.
    HoldIsSilent,
    /// An agent that nothing disturbs hears itself in an echo, and the others of its room, though it is behind a NAT,
    /// has moved, or other hosts send to the port of its call.
    EachIsHeard,
    /// No peer that wants to receive is sent nothing for longer than the set pause.
    PausesAreFilled,
    /// The lines of a session description keep their number and their places.
    LinesStay,
    /// What is heard was sent not long ago.
    DelayBounded,
    /// Every digit arrives once and in order; one whose packets all came without a fault arrives.
    DigitsOnce,
    /// Counters add up to what crossed the border.
    CountersAddUp,
    /// A world that was encoded and restored is the same.
    RestoredIsSame,
    /// Everything in the world is registered.
    AllRegistered,
    /// No call that is up is lost by a kill.
    CallsSurvive,
    /// Nothing of which anything has left the switch is lost by a kill.
    NothingForgotten,
    /// A world that was recovered is the one that was killed, but for ids, which are of a new life.
    RecoveredIsSame,
    /// What can't be recovered is reported.
    LossIsTold,
    /// The world's time is all the time that has passed, whether it was down or its ticks came late.
    TimeIsWhole,
    /// No system panics.
    NoPanics,
    /// Messages and keep-alives come out of a stream as they were sent into it, however its bytes are cut on the way.
    StreamsAreCut,
    /// No dependent child outlives the tick in which its parent ends, and no other child ends with it.
    ChildrenFollow,
    /// A sequence is in the state that its legs give it.
    SequencesFollow,
    /// Accounts of resources are the sums of what was charged.
    ResourcesAddUp,
    /// The same seed gives the same digests, whatever the legal order of systems and the number of threads.
    SameAgain,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Invariant; 28] = [
        Self::SessionsEnd,
        Self::StatesFollow,
        Self::NothingOutlives,
        Self::BothAgree,
        Self::SequenceAndTags,
        Self::OneFinal,
        Self::TimersStop,
        Self::RoomsArePrivate,
        Self::HoldIsSilent,
        Self::EachIsHeard,
        Self::PausesAreFilled,
        Self::LinesStay,
        Self::DelayBounded,
        Self::DigitsOnce,
        Self::CountersAddUp,
        Self::RestoredIsSame,
        Self::AllRegistered,
        Self::CallsSurvive,
        Self::NothingForgotten,
        Self::RecoveredIsSame,
        Self::LossIsTold,
        Self::TimeIsWhole,
        Self::NoPanics,
        Self::StreamsAreCut,
        Self::ChildrenFollow,
        Self::SequencesFollow,
        Self::ResourcesAddUp,
        Self::SameAgain,
    ];

    /// The rule, in a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::SessionsEnd => "every session ends, once",
            Self::StatesFollow => "sessions change their state as the matrix has it",
            Self::NothingOutlives => "no entity, port, timer, buffer or room outlives its owner",
            Self::BothAgree => "both ends agree on the dialog once the network has healed",
            Self::SequenceAndTags => "CSeq numbers, tags and branches obey RFC 3261",
            Self::OneFinal => "at most one final response a transaction",
            Self::TimersStop => "no timer acts too early, or once what it waited for has happened",
            Self::RoomsArePrivate => "a member of a room hears neither itself nor a member of another room",
            Self::HoldIsSilent => "nothing is sent to a peer that does not want to hear",
            Self::EachIsHeard => "each hears what it should, unless something disturbs it",
            Self::PausesAreFilled => "what is sent to a peer that wants to hear pauses for as long as is set at most",
            Self::LinesStay => "the lines of a session description keep their number and places",
            Self::DelayBounded => "the delay of audio stays bounded",
            Self::DigitsOnce => "every digit arrives once and in order",
            Self::CountersAddUp => "counters add up",
            Self::RestoredIsSame => "a restored world is the same",
            Self::AllRegistered => "everything in the world is registered",
            Self::CallsSurvive => "no call that is up is lost by a kill",
            Self::NothingForgotten => "nothing of which anything has left is forgotten by a kill",
            Self::RecoveredIsSame => "a recovered world is the one that was killed",
            Self::LossIsTold => "what can't be recovered is told of",
            Self::TimeIsWhole => "the world has lived all the time that has passed",
            Self::NoPanics => "no system panics",
            Self::StreamsAreCut => "messages come out of a stream as they were sent into it",
            Self::ChildrenFollow => "a dependent child ends with its parent, an independent one does not",
            Self::SequencesFollow => "a sequence is in the state that its legs give it",
            Self::ResourcesAddUp => "accounts are the sums of what was charged",
            Self::SameAgain => "the same seed gives the same digests",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which one.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
    /// The sessions, calls and agents involved.
    pub involved: Vec<String>,
}

impl Breach {
    pub(super) fn new(
        invariant: Invariant,
        what: impl Into<String>,
        involved: impl IntoIterator<Item = String>,
    ) -> Self {
        Self { invariant, what: what.into(), involved: involved.into_iter().collect() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)?;
        if self.involved.is_empty() { Ok(()) } else { write!(f, " ({})", self.involved.join(", ")) }
    }
}

/// All watchers of one run.
#[derive(Default)]
pub(super) struct Invariants {
    pub wire: Wire,
    pub holds: Holds,
    pub pauses: Pauses,
    pub audible: Audible,
    pub lines: Lines,
    pub digits: Digits,
    pub informed: InfoDigits,
    pub sessions: Sessions,
    pub crossings: Crossings,
    pub lags: Lags,
    /// What was found; the run ends with the first.
    pub breaches: Vec<Breach>,
}

impl Invariants {
    /// A SIP message reaches the switch.
    pub fn sip_in(&mut self, tick: u64, agent: &Agent, bytes: &[u8], is_whole: bool) {
        self.wire.delivered(tick, agent, bytes, is_whole);
        self.holds.delivered(tick, bytes, is_whole);
        self.lines.delivered(bytes, is_whole);
        self.informed.delivered(bytes, is_whole);
    }

    /// The switch sends a SIP message to an agent.
    pub fn sip_out(&mut self, tick: u64, agent: Option<&Agent>, bytes: &[u8]) {
        self.wire.sent(tick, agent, bytes, &mut self.breaches);
        self.holds.sent(tick, bytes);
        self.informed.sent(bytes);
        self.breaches.extend(self.lines.sent(bytes));
    }

    /// The switch sends a packet.
    pub fn rtp_out(&mut self, tick: u64, packet: &Packet) {
        self.breaches.extend(self.holds.packet(tick, packet));
        self.pauses.sent(tick, packet.port);
    }

    /// Something happened in the world.
    pub fn event(&mut self, tick: u64, engine: &Engine, event: &Event) {
        self.sessions.event(tick, engine, event, &mut self.breaches);
        if let Event::Digit { session, digit, .. } = event {
            if call_id_of(engine, *session).is_some_and(|call_id| self.informed.is_heard(&call_id, *digit)) {
                self.digits.count += 1;
            } else {
                self.breaches.extend(self.digits.heard(*session, *digit));
            }
        }
    }

    /// Digits that came in calm, or by an INFO that was taken, and were never heard.
    pub fn missed_digits(&self) -> Option<Breach> {
        let by_info = || self.informed.missed(|call_id| self.wire.said_bye(call_id));
        self.digits.missed().or_else(|| by_info().filter(|_| !self.digits.is_void))
    }

    /// The world has lost its last ticks, and with them what was seen of it: continues from its present state.
    pub fn rewind(&mut self, engine: &Engine) {
        self.sessions.rewind(engine);
        self.holds = Holds::default();
        self.pauses = Pauses::default();
        self.audible = Audible::default();
        self.lines = Lines::default();
        self.digits.is_void = true;
        self.crossings.is_void = true;
    }

    /// An agent heard something.
    pub fn heard(
        &mut self,
        now: u64,
        agent: &Agent,
        agents: &[Agent],
        hearing: &Hearing,
        asked: Option<(StableId, &str)>,
    ) {
        self.audible.heard(now, agent.number, hearing);
        voices::check(now, agent, agents, hearing, &self.lags, &mut self.breaches);
        if let (Some(digit), Some((session, asked))) = (hearing.digit, asked) {
            self.breaches.extend(self.digits.agent_heard(session, digit, asked, agent.number));
        }
    }
}

fn call_id_of(engine: &Engine, session: StableId) -> Option<String> {
    let world = engine.world();
    let entity = world.resource::<StableIds>().find(session)?;
    let identity = world.get::<SipIdentity>(entity)?;
    Some(String::from_utf8_lossy(&identity.call_id).into_owned())
}

/// The names of agents in a breach.
fn of_agent(number: u32) -> String {
    format!("agent {number}")
}
