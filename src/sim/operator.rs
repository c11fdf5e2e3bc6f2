//! The operator: places calls to agents, acts upon sessions, and decides about calls where nothing else does.

use super::relator::Relator;
use super::{Dice, Purpose, SECOND, network};
use crate::sim::network::SWITCH;
use ringworld_components::call::SessionState;
use ringworld_components::edge::{Command, Event, Operation, PlaceCall, Reply};
use ringworld_components::kernel::StableId;
use std::collections::{BTreeMap, VecDeque};

/// What the operator knows and plans to do.
pub(super) struct Operator {
    dice: Dice,
    /// The room of each agent: no agent is moved into another one.
    rooms: Vec<String>,
    next_at: u64,
    /// The mean time between two of its actions.
    pace: u64,
    numbered: u64,
    /// Sessions that live, with the state last heard of.
    sessions: BTreeMap<StableId, SessionState>,
    /// Calls to decide about, and when.
    undecided: VecDeque<(u64, StableId, String)>,
    /// Digits that were asked to be sent, by session.
    pub digits: BTreeMap<StableId, String>,
    is_off_duty: bool,
    relator: Relator,
}

impl Operator {
    pub fn new(seed: u64, rooms: Vec<String>) -> Self {
        let pace = (10 * SECOND / (rooms.len() as u64).max(1)).max(SECOND / 100);
        Self {
            dice: Dice::new(seed, Purpose::Operator, 0),
            rooms,
            next_at: SECOND,
            pace,
            numbered: 0,
            sessions: BTreeMap::new(),
            undecided: VecDeque::new(),
            digits: BTreeMap::new(),
            is_off_duty: false,
            relator: Relator::new(seed),
        }
    }

    /// Does nothing more but decide.
    pub fn rest(&mut self) {
        self.is_off_duty = true;
    }

    /// When it next does something.
    pub fn due_at(&self) -> u64 {
        let decision = self.undecided.iter().map(|it| it.0).min().unwrap_or(u64::MAX);
        if self.is_off_duty { decision } else { decision.min(self.next_at) }
    }

    /// Handles an event.
    pub fn hear(&mut self, now: u64, event: &Event) {
        match event {
            Event::StateChanged { session, to, .. } => {
                self.sessions.insert(*session, *to);
            }
            Event::Ended { session, .. } => {
                self.sessions.remove(session);
            }
            Event::Incoming { session, to, .. } => {
                let user = to.trim_start_matches("sip:").split('@').next().unwrap_or_default().to_owned();
                let after = self.dice.pick(&[(0, 3), (SECOND, 2), (20 * SECOND, 1)]);
                self.undecided.push_back((now + after, *session, user));
            }
            Event::Answered { .. } | Event::MediaEstablished { .. } | Event::Digit { .. } => {}
        }
    }

    /// Handles the reply to a command.
    pub fn hear_reply(&mut self, reply: &Reply) {
        self.relator.hear(reply);
    }

    /// The switch was started again, and asks again about the calls that are undecided.
    pub fn hear_again(&mut self, now: u64, undecided: &[Event]) {
        self.undecided.clear();
        undecided.iter().for_each(|event| self.hear(now, event));
    }

    /// What it does now.
    pub fn act(&mut self, now: u64) -> Vec<Command> {
        let mut operations = Vec::new();
        let mut undecided = std::mem::take(&mut self.undecided);
        undecided.retain(|(at, session, user)| {
            let waits = *at > now;
            if !waits {
                operations.extend(self.decide(*session, user));
            }
            waits
        });
        self.undecided = undecided;
        while !self.is_off_duty && self.next_at <= now {
            self.next_at += self.pace / 2 + self.dice.below(self.pace);
            operations.extend(self.choose());
            operations.extend(self.relator.choose(&self.sessions));
        }
        let numbered = |operation| {
            self.numbered += 1;
            self.relator.asked(self.numbered, &operation);
            Command { number: self.numbered, operation }
        };
        operations.into_iter().map(numbered).collect()
    }

    fn decide(&mut self, session: StableId, user: &str) -> Vec<Operation> {
        let answer = || Operation::Answer { session, service: user.to_owned() };
        let fallback = || Operation::Answer { session, service: "echo".to_owned() };
        match self.dice.below(10) {
            0 => vec![Operation::Reject { session, status: 480 }],
            1 => vec![Operation::Ring { session }],
            2 => vec![Operation::Ring { session }, answer(), fallback()],
            3 => vec![Operation::HangUp { session }],
            _ => vec![answer(), fallback()],
        }
    }

    fn choose(&mut self) -> Option<Operation> {
        if self.dice.happens(500) {
            return Some(self.place());
        }
        let at = self.dice.below(self.sessions.len() as u64) as usize;
        let (&session, &state) = self.sessions.iter().nth(at)?;
        let digits = ["1", "42", "0*#", "5550"][self.dice.below(4) as usize].to_owned();
        let hold =
            if state == SessionState::OnHold { Operation::Resume { session } } else { Operation::Hold { session } };
        let operation = match self.dice.below(10) {
            0..4 => hold,
            4..7 => Operation::SendDtmf { session, digits },
            7 => Operation::Resume { session },
            8 => Operation::Ring { session },
            _ => Operation::HangUp { session },
        };
        if let Operation::SendDtmf { session, digits } = &operation {
            self.digits.entry(*session).or_default().push_str(digits);
        }
        Some(operation)
    }

    fn place(&mut self) -> Operation {
        let agent = self.dice.below(self.rooms.len() as u64) as usize;
        let service = match self.dice.below(6) {
            0..3 => "echo".to_owned(),
            3 => "tone".to_owned(),
            4 => "silence".to_owned(),
            _ => self.rooms.get(agent).cloned().unwrap_or_default(),
        };
        let agent = agent as u32;
        let remote = network::outside(agent, 5060, 1);
        Operation::Place(PlaceCall {
            from: format!("sip:operator@{SWITCH}"),
            to: format!("sip:agent{agent}+{service}@{remote}"),
            remote,
            over_tcp: !network::is_behind_nat(agent) && self.dice.happens(200),
            local: SWITCH,
            service,
            sdp: None,
        })
    }
}
