//! Digits that agents send by INFO.

use super::{Breach, Invariant};
use crate::ua::message::{Message, Start};
use std::collections::BTreeMap;

/// An INFO with a digit that reached the switch.
#[derive(Debug)]
struct Informed {
    cseq: u32,
    digit: char,
    heard: bool,
    /// Whether it was answered with 200.
    is_taken: bool,
}

/// What was sent and heard.
#[derive(Debug, Default)]
pub(in crate::sim) struct InfoDigits {
    /// By Call-ID, in the order of arrival.
    calls: BTreeMap<String, Vec<Informed>>,
    /// How many came damaged: the switch may read another digit in them than the watcher, or none.
    damaged: u32,
}

impl InfoDigits {
    /// A message reaches the switch.
    pub fn delivered(&mut self, bytes: &[u8], is_whole: bool) {
        if !is_whole {
            self.damaged += u32::from(bytes.windows(4).any(|word| word == b"dtmf"));
            return;
        }
        let Ok(message) = Message::parse(bytes) else { return };
        let (Start::Request { method: "INFO", .. }, Some(call_id)) = (message.start, message.header("Call-ID")) else {
            return;
        };
        let is_key = message.header("Content-Type").is_some_and(|kind| kind.starts_with("application/dtmf"));
        let (Some((cseq, _)), Some(digit)) = (message.cseq(), digit_in(message.body)) else { return };
        let known = self.calls.entry(call_id.to_owned()).or_default();
        if is_key && known.iter().all(|informed| informed.cseq != cseq) {
            known.push(Informed { cseq, digit, heard: false, is_taken: false });
        }
    }

    /// The switch sends a message.
    pub fn sent(&mut self, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let (Start::Response { status: 200, .. }, Some((cseq, "INFO"))) = (message.start, message.cseq()) else {
            return;
        };
        let known = message.header("Call-ID").and_then(|call_id| self.calls.get_mut(call_id)).into_iter().flatten();
        known.filter(|informed| informed.cseq == cseq).for_each(|informed| informed.is_taken = true);
    }

    /// Whether a digit that the switch heard in this call is one of an INFO, which is heard with that.
    pub fn is_heard(&mut self, call_id: &str, digit: char) -> bool {
        let mut known = self.calls.get_mut(call_id).into_iter().flatten();
        if let Some(next) = known.find(|informed| !informed.heard && informed.digit == digit) {
            next.heard = true;
            return true;
        }
        let is_damaged = self.damaged > 0;
        self.damaged = self.damaged.saturating_sub(1);
        is_damaged
    }

    /// Digits of INFOs that were taken must have been heard, unless the switch was ending the call.
    pub fn missed(&self, is_ending: impl Fn(&str) -> bool) -> Option<Breach> {
        let mut calls = self.calls.iter().filter(|(call_id, _)| !is_ending(call_id));
        calls.find_map(|(call_id, known)| {
            let missed = known.iter().find(|informed| informed.is_taken && !informed.heard)?;
            let what = format!("digit {} came by INFO, was answered with 200 and was never heard", missed.digit);
            Some(Breach::new(Invariant::DigitsOnce, what, [format!("Call-ID {call_id}")]))
        })
    }
}

/// The digit in a body as agents write it: `Signal=5`, or alone.
fn digit_in(body: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(body).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("Signal=")).unwrap_or(text);
    value.trim().chars().next()
}
