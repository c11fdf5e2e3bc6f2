//! Digits, both ways.

use super::{Breach, Invariant, of_agent};
use ringworld_components::kernel::StableId;
use std::collections::BTreeMap;

/// A key that an agent pressed.
#[derive(Debug)]
struct Pressed {
    timestamp: u32,
    digit: char,
    /// How many of its packets reached the switch.
    arrived: u32,
    heard: bool,
    /// Whether no fault disturbed the call when it was pressed.
    is_calm: bool,
}

/// What was pressed and heard.
#[derive(Debug, Default)]
pub(in crate::sim) struct Digits {
    /// By agent, those that its present call has pressed; moved to the session with the first packet.
    pressed: BTreeMap<u32, Vec<Pressed>>,
    sessions: BTreeMap<StableId, (u32, Vec<Pressed>)>,
    /// Digits of the switch that an agent heard, by session: the place in what was asked for.
    heard: BTreeMap<StableId, usize>,
    /// How many digits were heard by the switch.
    pub count: u64,
    /// Whether the switch has lost some ticks, and nothing is known of digits any more.
    pub is_void: bool,
}

impl Digits {
    /// An agent presses a key.
    pub fn pressed(&mut self, agent: u32, timestamp: u32, digit: char, is_calm: bool) {
        let pressed = Pressed { timestamp, digit, arrived: 0, heard: false, is_calm };
        self.pressed.entry(agent).or_default().push(pressed);
    }

    /// A packet of a key reaches the stream of a session; `is_taken` says whether that receives, and from there.
    pub fn arrived(&mut self, agent: u32, session: StableId, timestamp: u32, is_taken: bool) {
        let waiting = self.pressed.entry(agent).or_default();
        let (_, pressed) = self.sessions.entry(session).or_insert_with(|| (agent, Vec::new()));
        if let Some(at) = waiting.iter().position(|key| key.timestamp == timestamp) {
            // Those before it were lost: they stay behind, in their order.
            pressed.extend(waiting.drain(..=at));
        }
        if let Some(key) = pressed.iter_mut().find(|key| key.timestamp == timestamp) {
            key.arrived += 1;
            key.is_calm &= is_taken;
        }
    }

    /// The switch heard a digit.
    pub fn heard(&mut self, session: StableId, digit: char) -> Option<Breach> {
        self.count += 1;
        if self.is_void {
            return None;
        }
        let found = self.sessions.get_mut(&session);
        let involved = found.as_ref().map(|(agent, _)| of_agent(*agent));
        let next = found.and_then(|(_, pressed)| {
            let after = pressed.iter().rposition(|key| key.heard).map_or(0, |at| at + 1);
            pressed.iter_mut().skip(after).find(|key| key.arrived > 0 && key.digit == digit)
        });
        match next {
            Some(key) => {
                key.heard = true;
                None
            }
            None => {
                let what = format!("digit {digit} was heard once too often or out of order");
                Some(Breach::new(
                    Invariant::DigitsOnce,
                    what,
                    involved.into_iter().chain([format!("session {session}")]),
                ))
            }
        }
    }

    /// Digits that arrived without a fault must have been heard.
    pub fn missed(&self) -> Option<Breach> {
        let sessions = Some(&self.sessions).filter(|_| !self.is_void)?;
        sessions.iter().find_map(|(session, (agent, pressed))| {
            let all_calm = pressed.iter().all(|key| key.is_calm && key.arrived >= 8);
            let missed = pressed.iter().find(|key| !key.heard).filter(|_| all_calm)?;
            let what = format!("digit {} arrived in calm and was never heard", missed.digit);
            Some(Breach::new(Invariant::DigitsOnce, what, [of_agent(*agent), format!("session {session}")]))
        })
    }

    /// An agent heard a digit of the switch, which was asked to send `asked` in this session.
    pub fn agent_heard(&mut self, session: StableId, digit: char, asked: &str, agent: u32) -> Option<Breach> {
        if self.is_void {
            return None;
        }
        let place = self.heard.entry(session).or_default();
        match asked.chars().skip(*place).position(|next| next == digit) {
            Some(skipped) => {
                *place += skipped + 1;
                None
            }
            None => {
                let what = format!("the agent heard digit {digit}, asked for were {asked:?}, {place} of them heard");
                Some(Breach::new(Invariant::DigitsOnce, what, [of_agent(agent), format!("session {session}")]))
            }
        }
    }
}
