//! SIP as it crosses the border of the switch: transactions and dialogs as an observer of every message sees them.

use super::{Breach, Invariant, of_agent};
use crate::sim::agent::Agent;
use crate::ua::message::{Message, Start};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// How often a request or a 2xx can be sent in 64*T1 at most: at 0, 0.5, 1.5, 3.5, 7.5 ... 31.5 s.
const SENDINGS_MAX: u32 = 11;

/// The switch's part in a transaction of an agent.
#[derive(Debug, Default)]
struct Served {
    tag: Option<String>,
    last: Option<(u16, u64)>,
    /// All that was sent in it.
    seen: BTreeSet<(u16, u64)>,
    acked: Option<u64>,
}

/// A transaction of the switch.
#[derive(Debug)]
struct Asked {
    bytes: u64,
    sent: u32,
    provisional: Option<u64>,
    final_: Option<u64>,
}

/// What is known of the dialogs of one Call-ID.
#[derive(Debug, Default)]
struct Watched {
    switch_tag: Option<String>,
    agent_tags: BTreeSet<String>,
    /// The last CSeq number of the switch, by the agent's tag.
    cseq: BTreeMap<String, u32>,
    /// The CSeq numbers of the switch's INVITEs.
    invites: BTreeSet<u32>,
    /// When the agent's ACK of a 2xx came, by CSeq number.
    acked: BTreeMap<u32, u64>,
    said_bye: bool,
}

/// Watches.
#[derive(Debug, Default)]
pub(in crate::sim) struct Wire {
    served: BTreeMap<(u32, String, String), Served>,
    asked: BTreeMap<(String, String), Asked>,
    calls: BTreeMap<String, Watched>,
    /// Responses sent by status: each once, and all.
    pub responses: BTreeMap<u16, (u64, u64)>,
    /// Whole requests that reached the switch from agents that obey the RFCs, by method.
    pub requests: BTreeMap<String, u64>,
}

impl Wire {
    /// Whether the switch has sent a BYE in this call.
    pub fn said_bye(&self, call_id: &str) -> bool {
        self.calls.get(call_id).is_some_and(|call| call.said_bye)
    }

    /// A message reaches the switch.
    pub fn delivered(&mut self, tick: u64, agent: &Agent, bytes: &[u8], is_whole: bool) {
        let Ok(message) = Message::parse(bytes) else { return };
        let (Some(call_id), Some((cseq, method))) = (message.header("Call-ID"), message.cseq()) else { return };
        let call = self.calls.entry(call_id.to_owned()).or_default();
        match message.start {
            Start::Request { method, .. } => {
                // An agent that received something damaged may repeat it as it is.
                if is_whole && agent.is_honest() && !agent.is_tainted {
                    *self.requests.entry(method.to_owned()).or_default() += 1;
                }
                call.agent_tags.extend(message.tag("From").map(str::to_owned));
                if method == "ACK" {
                    if message.tag("To") == call.switch_tag.as_deref() {
                        call.acked.entry(cseq).or_insert(tick);
                    }
                    let key = (agent.number, message.branch().unwrap_or_default().to_owned(), "INVITE".to_owned());
                    if let Some(served) = self.served.get_mut(&key) {
                        served.acked.get_or_insert(tick);
                    }
                }
            }
            Start::Response { status, .. } => {
                call.agent_tags.extend(message.tag("To").map(str::to_owned));
                let key = (message.branch().unwrap_or_default().to_owned(), method.to_owned());
                if let Some(asked) = self.asked.get_mut(&key) {
                    let place = if status < 200 { &mut asked.provisional } else { &mut asked.final_ };
                    place.get_or_insert(tick);
                }
            }
        }
    }

    /// The switch sends a message.
    pub fn sent(&mut self, tick: u64, agent: Option<&Agent>, bytes: &[u8], breaches: &mut Vec<Breach>) {
        let number = agent.map_or(u32::MAX, |agent| agent.number);
        let status = bytes.strip_prefix(b"SIP/2.0 ").and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok());
        if let Some(status) = status.and_then(|status| status.parse().ok()) {
            self.responses.entry(status).or_default().1 += 1;
        }
        // An agent whose messages were changed on the way, or break the rules, may get a response to a request that the
        // agent did not send.
        let is_trusted = agent.is_some_and(|agent| agent.is_honest() && !agent.is_tainted);
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(_) if !is_trusted => return,
            Err(why) => {
                let what = format!("the switch sent what is no SIP: {why}");
                return breaches.push(Breach::new(Invariant::SequenceAndTags, what, [of_agent(number)]));
            }
        };
        let Some((cseq, method)) = message.cseq() else { return };
        let call_id = message.header("Call-ID").unwrap_or_default().to_owned();
        let found = match message.start {
            Start::Response { status, .. } => self.responded(tick, number, (status, cseq, method), &message, bytes),
            Start::Request { method, .. } => self.requested(tick, (method, cseq), &message, bytes),
        };
        let involved = [of_agent(number), format!("Call-ID {call_id}")];
        breaches.extend(found.filter(|_| is_trusted).map(|(invariant, what)| Breach::new(invariant, what, involved)));
    }

    fn responded(
        &mut self,
        tick: u64,
        agent: u32,
        (status, cseq, method): (u16, u32, &str),
        message: &Message<'_>,
        bytes: &[u8],
    ) -> Option<(Invariant, String)> {
        let key = (agent, message.branch().unwrap_or_default().to_owned(), method.to_owned());
        let served = self.served.entry(key).or_default();
        let hash = xxh3_64(bytes);
        let (distinct, _) = self.responses.entry(status).or_default();
        let tag = message.tag("To").map(str::to_owned);
        let call = self.calls.entry(message.header("Call-ID").unwrap_or_default().to_owned()).or_default();
        let makes_dialog = method == "INVITE" && (101..300).contains(&status);
        let last = served.last.replace((status, hash));
        if last.is_some_and(|before| before.0 == 503 && before != (status, hash)) {
            served.tag = None;
        }
        *distinct += u64::from(served.seen.insert((status, hash)));
        match last {
            // What was refused past a limit, without a transaction, may be served when it comes again.
            Some((before, of_before)) if before >= 200 && before != 503 && (before, of_before) != (status, hash) => {
                return Some((Invariant::OneFinal, format!("{status} to {method} {cseq} after {before}")));
            }
            Some((before, _)) if before >= 300 && before != 503 && served.acked.is_some_and(|at| at < tick) => {
                return Some((Invariant::TimersStop, format!("{status} to {method} {cseq} again after its ACK")));
            }
            Some((before, _))
                if (200..300).contains(&before)
                    && method == "INVITE"
                    && call.acked.get(&cseq).is_some_and(|&at| at < tick) =>
            {
                return Some((Invariant::TimersStop, format!("{status} to {method} {cseq} again after its ACK")));
            }
            _ => {}
        }
        if status > 100 && tag.is_none() {
            return Some((Invariant::SequenceAndTags, format!("{status} to {method} {cseq} has no To tag")));
        }
        if let (Some(before), Some(tag)) = (&served.tag, &tag)
            && before != tag
        {
            let what = format!("To tag {tag} in {status} to {method} {cseq} was {before} before");
            return Some((Invariant::SequenceAndTags, what));
        }
        served.tag = tag.clone().or(served.tag.take());
        if makes_dialog {
            if message.header("Contact").is_none() {
                return Some((Invariant::SequenceAndTags, format!("{status} to {method} {cseq} has no Contact")));
            }
            if let (Some(known), Some(tag)) = (&call.switch_tag, &tag)
                && known != tag
            {
                return Some((Invariant::SequenceAndTags, format!("the switch's tag was {known} and is {tag}")));
            }
            call.switch_tag = tag.or(call.switch_tag.take());
        }
        None
    }

    fn requested(
        &mut self,
        tick: u64,
        (method, cseq): (&str, u32),
        message: &Message<'_>,
        bytes: &[u8],
    ) -> Option<(Invariant, String)> {
        let branch = message.branch().unwrap_or_default().to_owned();
        let wrong = |what: String| Some((Invariant::SequenceAndTags, format!("{method} {cseq}: {what}")));
        if !branch.starts_with("z9hG4bK") {
            return wrong(format!("branch {branch:?}"));
        }
        let call = self.calls.entry(message.header("Call-ID").unwrap_or_default().to_owned()).or_default();
        call.said_bye |= method == "BYE";
        let own = message.tag("From").map(str::to_owned);
        if own.is_none() || call.switch_tag.as_ref().is_some_and(|known| Some(known) != own.as_ref()) {
            return wrong(format!("From tag {own:?}, but the switch's is {:?}", call.switch_tag));
        }
        call.switch_tag = own;
        let theirs = message.tag("To").unwrap_or_default().to_owned();
        if !theirs.is_empty() && !call.agent_tags.contains(&theirs) {
            return wrong(format!("To tag {theirs} was never chosen by the agent"));
        }
        if method == "ACK" {
            let known = call.invites.contains(&cseq);
            return if known { None } else { wrong("no INVITE had this number".to_owned()) };
        }
        let hash = xxh3_64(bytes);
        let key = (branch, method.to_owned());
        if let Some(asked) = self.asked.get_mut(&key) {
            asked.sent += 1;
            if asked.bytes != hash {
                return wrong("sent again with other content under the same branch".to_owned());
            }
            let answered = |at: Option<u64>| at.is_some_and(|at| at < tick);
            let late = answered(asked.final_) || (method == "INVITE" && answered(asked.provisional));
            let often = asked.sent > SENDINGS_MAX;
            return (late || often).then(|| {
                let why = if late { "though it was answered" } else { "too often" };
                (Invariant::TimersStop, format!("{method} {cseq} sent again {why}"))
            });
        }
        self.asked.insert(key, Asked { bytes: hash, sent: 1, provisional: None, final_: None });
        if method == "CANCEL" {
            return if call.invites.contains(&cseq) { None } else { wrong("no INVITE had this number".to_owned()) };
        }
        if method == "INVITE" {
            call.invites.insert(cseq);
        }
        // A fork continues from the INVITE (section 12.1.2).
        let before = call.cseq.get(&theirs).or_else(|| call.cseq.get("")).copied();
        call.cseq.insert(theirs, cseq);
        match before {
            Some(before) if cseq != before + 1 => wrong(format!("the number before was {before}")),
            _ => None,
        }
    }
}
