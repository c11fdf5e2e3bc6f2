//! The `m=` lines of a session keep their number and their places: read from the session descriptions that cross the
//! border.

use super::{Breach, Invariant};
use crate::sim::network::SWITCH;
use crate::ua::message::{Message, Start};
use crate::ua::sdp;
use std::collections::BTreeMap;

/// What is known of the lines of each call, by media type and in order.
#[derive(Debug, Default)]
pub(in crate::sim) struct Lines {
    /// What agents offered, by Call-ID and CSeq number.
    offered: BTreeMap<(String, u32), Vec<String>>,
    /// What the switch has answered last, by Call-ID.
    answered: BTreeMap<String, Vec<String>>,
}

impl Lines {
    /// A message reaches the switch.
    pub fn delivered(&mut self, bytes: &[u8], is_whole: bool) {
        let Ok(message) = Message::parse(bytes) else { return };
        let (Some(call_id), Some((cseq, "INVITE"))) = (message.header("Call-ID"), message.cseq()) else { return };
        if let Start::Request { .. } = message.start {
            // The first one counts; of one that was changed on the way nothing is known.
            let lines = if is_whole { media_of(message.body) } else { Vec::new() };
            self.offered.entry((call_id.to_owned(), cseq)).or_insert(lines);
        }
    }

    /// The switch sends a message.
    pub fn sent(&mut self, bytes: &[u8]) -> Option<Breach> {
        let message = Message::parse(bytes).ok()?;
        let (call_id, (cseq, method)) = (message.header("Call-ID")?, message.cseq()?);
        let said = media_of(message.body);
        if method != "INVITE" || said.is_empty() {
            return None;
        }
        let offered = match message.start {
            Start::Response { .. } => self.offered.get(&(call_id.to_owned(), cseq)).filter(|lines| !lines.is_empty()),
            Start::Request { .. } => None,
        };
        let Some(offered) = offered else {
            // An offer of the switch: what was agreed on comes first (RFC 3264 section 8).
            let before = self.answered.get(call_id)?;
            return (!said.starts_with(before)).then(|| breach(call_id, &said, before));
        };
        let breach = (said != *offered).then(|| breach(call_id, &said, offered));
        self.answered.insert(call_id.to_owned(), said);
        breach
    }
}

fn media_of(body: &[u8]) -> Vec<String> {
    sdp::lines(body).into_iter().map(|(media, _)| media).collect()
}

fn breach(call_id: &str, said: &[String], expected: &[String]) -> Breach {
    let what = format!("the switch describes the lines {said:?} where {expected:?} were offered or agreed");
    Breach::new(Invariant::LinesStay, what, [format!("Call-ID {call_id}"), format!("of {SWITCH}")])
}
