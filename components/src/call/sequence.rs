//! Two sessions in sequence: the A-leg, which asked for a call, and the B-leg, which was made for it.
//!
//! A sequence has a state of its own that follows from the states of its legs, and a rule about endings that is part of
//! its state. It routes nothing and joins no media.

use super::SessionState;
use crate::kernel::{Now, StableId};
use crate::record::Record;
use bevy_ecs::prelude::*;
use std::fmt;

/// Two sessions in sequence. Goes when both have ended.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    state: SequenceState,
    since: Now,
    /// Which ending ends the other leg.
    pub rule: EndingRule,
}

/// The session is the A-leg of a sequence.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = ALeg)]
pub struct ALegOf(pub Entity);

/// The A-leg of a sequence.
#[derive(Component, Debug)]
#[relationship_target(relationship = ALegOf)]
pub struct ALeg(Vec<Entity>);

/// The session is the B-leg of a sequence.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = BLeg)]
pub struct BLegOf(pub Entity);

/// The B-leg of a sequence.
#[derive(Component, Debug)]
#[relationship_target(relationship = BLegOf)]
pub struct BLeg(Vec<Entity>);

/// Which leg's ending ends the other one.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndingRule {
    /// Either leg's ending ends the other.
    Together,
    /// The B-leg ends with the A-leg; the A-leg outlives the B-leg, and may get another one.
    BWithA,
    /// The A-leg ends with the B-leg; the B-leg outlives the A-leg.
    AWithB,
    /// Neither ends with the other.
    Apart,
}

impl EndingRule {
    /// Whether the ending of the A-leg ends the B-leg.
    pub fn a_ends_b(self) -> bool {
        matches!(self, Self::Together | Self::BWithA)
    }

    /// Whether the ending of the B-leg ends the A-leg.
    pub fn b_ends_a(self) -> bool {
        matches!(self, Self::Together | Self::AWithB)
    }
}

/// The state of a sequence.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SequenceState {
    /// There is an A-leg, and no living B-leg.
    Waiting,
    /// The B-leg was begun.
    Trying,
    /// The B-leg is ringing.
    Alerting,
    /// The B-leg was answered, the A-leg was not.
    BAnswered,
    /// Both legs were answered.
    Connected,
    /// One leg has ended, and its ending is the end of the sequence.
    Ending,
    /// Both legs have ended. The sequence is about to be despawned.
    Ended,
}

use SequenceState::{Alerting, BAnswered, Connected, Ended, Ending, Trying, Waiting};

/// `MATRIX[from][to]`; a state never changes to itself.
const MATRIX: [[u8; 7]; 7] = [
    // Waiting
    [0, 1, 1, 1, 1, 1, 1],
    // Trying
    [1, 0, 1, 1, 1, 1, 1],
    // Alerting
    [1, 0, 0, 1, 1, 1, 1],
    // BAnswered
    [1, 0, 0, 0, 1, 1, 1],
    // Connected
    [1, 0, 0, 0, 0, 1, 1],
    // Ending
    [0, 0, 0, 0, 0, 0, 1],
    // Ended
    [0, 0, 0, 0, 0, 0, 0],
];

impl SequenceState {
    /// All states, in the order of the matrix.
    pub const ALL: [SequenceState; 7] = [Waiting, Trying, Alerting, BAnswered, Connected, Ending, Ended];

    /// Whether a sequence may go from this state to `to`.
    pub fn can_transition_to(self, to: SequenceState) -> bool {
        MATRIX[self as usize][to as usize] == 1
    }

    /// The state of a sequence whose legs are in these states; `None` for a leg that is not there any more.
    pub fn of(a: Option<SessionState>, b: Option<SessionState>, rule: EndingRule) -> Self {
        let a = a.filter(|state| !state.is_over());
        let b = b.filter(|state| !state.is_over());
        match (a, b) {
            (None, None) => Ended,
            (None, Some(_)) => Ending,
            (Some(_), None) if rule.b_ends_a() => Ending,
            (Some(_), None) => Waiting,
            (Some(_), Some(SessionState::Initializing | SessionState::Dialing)) => Trying,
            (Some(_), Some(SessionState::Ringing)) => Alerting,
            (Some(SessionState::Initializing | SessionState::Dialing | SessionState::Ringing), Some(_)) => BAnswered,
            (Some(_), Some(_)) => Connected,
        }
    }
}

impl fmt::Display for SequenceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Sequence {
    /// A sequence that was just made.
    pub fn new(state: SequenceState, rule: EndingRule, now: Now) -> Self {
        Self { state, since: now, rule }
    }

    /// The state it is in.
    pub fn state(&self) -> SequenceState {
        self.state
    }

    /// Since when it is in this state.
    pub fn since(&self) -> Now {
        self.since
    }

    /// Goes to another state; `false`, and nothing changed, if the matrix does not allow it.
    pub fn change(&mut self, to: SequenceState, now: Now) -> bool {
        let is_legal = self.state.can_transition_to(to);
        if is_legal {
            (self.state, self.since) = (to, now);
        }
        is_legal
    }
}

/// Why two sessions can't be put in sequence. Nothing was changed.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum SequenceError {
    /// There is no such session, or it has ended or is ending.
    UnknownSession(StableId),
    /// One session can't be both legs.
    SameSession(StableId),
    /// The A-leg has a living B-leg.
    HasBLeg {
        /// The A-leg.
        a: StableId,
        /// Its B-leg.
        b: StableId,
    },
    /// The B-leg is that of another sequence.
    IsBLeg(StableId),
    /// The sequence of the A-leg is ending.
    Ending(StableId),
}

impl fmt::Display for SequenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSession(id) => write!(f, "there is no session {id} that could be in a sequence"),
            Self::SameSession(id) => write!(f, "{id} can't be both legs of a sequence"),
            Self::HasBLeg { a, b } => write!(f, "{a} has the B-leg {b} already"),
            Self::IsBLeg(id) => write!(f, "{id} is the B-leg of another sequence"),
            Self::Ending(id) => write!(f, "the sequence of {id} is ending"),
        }
    }
}

impl std::error::Error for SequenceError {}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [EndingRule; 4] = [EndingRule::Together, EndingRule::BWithA, EndingRule::AWithB, EndingRule::Apart];

    #[test]
    fn whatever_its_legs_do_the_matrix_allows_what_follows() {
        for rule in RULES {
            for (a, b) in SessionState::ALL.into_iter().flat_map(|a| SessionState::ALL.map(|b| (a, b))) {
                let before = SequenceState::of(Some(a), Some(b), rule);
                for to in SessionState::ALL {
                    let moved = [(to, b, a), (a, to, b)];
                    for (a_now, b_now, _) in moved.into_iter().filter(|(_, _, from)| from.can_transition_to(to)) {
                        let after = SequenceState::of(Some(a_now), Some(b_now), rule);
                        let is_legal = before == after || before.can_transition_to(after);
                        assert!(is_legal, "{rule:?}: {a}/{b} {before} to {a_now}/{b_now} {after}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_leaves_the_end_and_an_illegal_change_changes_nothing() {
        for state in SequenceState::ALL {
            let mut sequence = Sequence::new(Ended, EndingRule::Apart, Now(1));
            assert!(!sequence.change(state, Now(2)));
            assert_eq!((sequence.state(), sequence.since()), (Ended, Now(1)));
            assert_eq!(state.can_transition_to(Ended), state != Ended);
        }
    }
}
