//! The agents and when each has something to do: no agent is looked at before its time.

use super::agent::Agent;
use super::network::{SWITCH, inside};
use super::{Scenario, fault::Fault};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// All agents.
pub(super) struct Desk {
    pub agents: Vec<Agent>,
    agenda: BinaryHeap<Reverse<(u64, u32)>>,
    /// When each is next due; older entries of the agenda don't count.
    noted: Vec<u64>,
}

impl Desk {
    pub fn new(scenario: &Scenario, faults: &[Fault]) -> Self {
        let agent = |number| Agent::new((scenario.seed, number, scenario.agents), inside, SWITCH, faults);
        let agents: Vec<Agent> = (0..scenario.agents).map(agent).collect();
        let mut desk = Self { noted: vec![u64::MAX; agents.len()], agents, agenda: BinaryHeap::new() };
        scenario.participants().into_iter().for_each(|number| desk.note(0, number));
        desk
    }

    /// Writes down when the agent is due: after `now`, as it has just had its turn.
    pub fn note(&mut self, now: u64, number: u32) {
        let (Some(agent), Some(noted)) = (self.agents.get(number as usize), self.noted.get_mut(number as usize)) else {
            return;
        };
        let due = agent.due_at().max(now + 1);
        if due != *noted {
            *noted = due;
            self.agenda.push(Reverse((due, number)));
        }
    }

    /// The next agent that is due by `now`.
    pub fn next_due(&mut self, now: u64) -> Option<u32> {
        loop {
            let Reverse((at, number)) = self.agenda.peek().copied().filter(|Reverse((at, _))| *at <= now)?;
            self.agenda.pop();
            if let Some(noted) = self.noted.get_mut(number as usize).filter(|noted| **noted == at) {
                *noted = u64::MAX;
                return Some(number);
            }
        }
    }

    /// When the next agent is due.
    pub fn next_time(&self) -> u64 {
        self.agenda.peek().map_or(u64::MAX, |Reverse((at, _))| *at)
    }
}
