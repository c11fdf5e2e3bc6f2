//! What the operator does to relate sessions and to set their priorities, with dice of its own.

use super::{Dice, Purpose};
use ringworld_components::call::{
    DependencyKind, EndingRule, GroupChoice, GroupKind, PriorityLevel, QosClass, SessionState,
};
use ringworld_components::edge::{Operation, Reply};
use ringworld_components::kernel::StableId;
use std::collections::{BTreeMap, BTreeSet};

/// How many groups are remembered.
const GROUPS_MAX: usize = 8;
/// How many replies are waited for; some get lost in a kill.
const ASKED_MAX: usize = 64;

/// Relates sessions at random.
pub(super) struct Relator {
    dice: Dice,
    /// The groups that were made last, of which some no longer exist.
    groups: Vec<StableId>,
    /// The commands whose reply names a group.
    asked: BTreeSet<u64>,
}

impl Relator {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed, Purpose::Relations, 0), groups: Vec::new(), asked: BTreeSet::new() }
    }

    /// One operation, now and then.
    pub fn choose(&mut self, sessions: &BTreeMap<StableId, SessionState>) -> Option<Operation> {
        if !self.dice.happens(400) {
            return None;
        }
        let (session, other) = (self.session(sessions)?, self.session(sessions)?);
        Some(match self.dice.below(12) {
            0..4 => {
                let kind = self.dice.pick(&[(DependencyKind::Dependent, 3), (DependencyKind::Independent, 1)]);
                Operation::Link { parent: session, child: other, kind }
            }
            4 => Operation::Unlink { child: session },
            5..8 => {
                use EndingRule::{AWithB, Apart, BWithA, Together};
                let rule = self.dice.pick(&[(Together, 3), (BWithA, 2), (AWithB, 1), (Apart, 1)]);
                Operation::Sequence { a: session, b: other, rule }
            }
            8 | 9 => Operation::EnterGroup { session, group: self.group() },
            10 => self.leave(session),
            _ => {
                let level = PriorityLevel::ALL[self.dice.below(6) as usize];
                let class = QosClass::ALL[self.dice.below(3) as usize];
                Operation::SetPriority { session, level, class }
            }
        })
    }

    fn session(&mut self, sessions: &BTreeMap<StableId, SessionState>) -> Option<StableId> {
        let at = self.dice.below(sessions.len() as u64) as usize;
        sessions.keys().nth(at).copied()
    }

    fn group(&mut self) -> GroupChoice {
        let known = self.dice.below(self.groups.len() as u64 + 2) as usize;
        match self.groups.get(known) {
            Some(group) => GroupChoice::Existing(*group),
            None => GroupChoice::New(self.dice.pick(&[
                (GroupKind::Conference, 1),
                (GroupKind::Transfer, 1),
                (GroupKind::Bridge, 1),
                (GroupKind::Consultation, 1),
                (GroupKind::Custom("simulated".to_owned()), 1),
            ])),
        }
    }

    fn leave(&mut self, session: StableId) -> Operation {
        let at = self.dice.below(self.groups.len() as u64) as usize;
        match self.groups.get(at).copied() {
            Some(group) if self.dice.happens(300) => Operation::EndGroup { group },
            Some(group) => Operation::LeaveGroup { session, group },
            None => Operation::EnterGroup { session, group: GroupChoice::New(GroupKind::Bridge) },
        }
    }

    /// A command leaves.
    pub fn asked(&mut self, number: u64, operation: &Operation) {
        if matches!(operation, Operation::EnterGroup { .. }) {
            self.asked.insert(number);
            if self.asked.len() > ASKED_MAX {
                self.asked.pop_first();
            }
        }
    }

    /// A reply came.
    pub fn hear(&mut self, reply: &Reply) {
        if let (true, Ok(group)) = (self.asked.remove(&reply.number), &reply.result)
            && !self.groups.contains(group)
        {
            self.groups.push(*group);
            if self.groups.len() > GROUPS_MAX {
                self.groups.remove(0);
            }
        }
    }
}
