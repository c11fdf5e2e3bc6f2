//! What is known of one call of the capture: its names at the host, and its names at the engine.

use crate::capture::{description, message};
use bytes::Bytes;
use ringworld_components::kernel::StableId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// A call, or another exchange of messages with one Call-ID.
#[derive(Default)]
pub(super) struct Call {
    /// Its Call-ID in the engine; another one than in the capture if the engine placed it.
    pub call_id: Bytes,
    /// The tag that the host chose, and the one that the engine did.
    pub host_tag: Option<Bytes>,
    pub engine_tag: Option<Bytes>,
    /// The RTP ports that both named last.
    pub host_port: Option<u16>,
    pub engine_port: Option<u16>,
    /// The payload types of digits, the timestamp of the last one each way, and those that the host has heard of late.
    pub digit_types: BTreeSet<u8>,
    pub last_heard: Option<u32>,
    pub last_sent: Option<u32>,
    pub heard: Vec<(Duration, char)>,
    /// The engine's session, and when and why it ended.
    pub session: Option<StableId>,
    pub ended: Option<(Duration, String)>,
    /// The last request of the engine of each method: what responses are made to fit.
    pub requests: BTreeMap<String, Bytes>,
    /// Requests of the host by CSeq that the engine repeats by another method, or does not repeat.
    pub repeats: BTreeMap<(u32, String), Option<&'static str>>,
    /// Whether the host holds the peer, and the CSeq number of its last re-INVITE that would change that.
    pub holds: bool,
    pub asked: Option<u32>,
    /// Whether that re-INVITE crossed one of the peer's (491): the engine sends it again by itself.
    pub met: bool,
    /// The CSeq number of the INVITE that the application outside the engine has still to decide about.
    pub undecided: Option<u32>,
    /// The address that the engine was asked to call, until its INVITE is seen.
    pub placing: Option<SocketAddr>,
    /// What the host sent, and what the engine did.
    pub captured: Vec<Sent>,
    pub given: Vec<Sent>,
    /// The tick in which a message of a peer was last given to the engine.
    pub given_at: u64,
}

/// A message that was sent.
#[derive(Clone)]
pub(super) struct Sent {
    pub at: Duration,
    pub bytes: Bytes,
}

impl Call {
    pub fn new(call_id: &[u8]) -> Self {
        Self { call_id: Bytes::copy_from_slice(call_id), ..Self::default() }
    }

    /// Learns from a message of the host; whether it is not the same one again.
    pub fn captured(&mut self, at: Duration, bytes: &Bytes) -> bool {
        learn(bytes, &mut self.host_tag, &mut self.host_port);
        self.digit_types.extend(description::digit_type(bytes));
        push(&mut self.captured, at, bytes)
    }

    /// Learns from a message of the engine.
    pub fn given(&mut self, at: Duration, bytes: &Bytes) {
        learn(bytes, &mut self.engine_tag, &mut self.engine_port);
        if message::status(bytes).is_none()
            && let Some((_, method)) = message::cseq(bytes)
        {
            self.requests.insert(method, bytes.clone());
        }
        push(&mut self.given, at, bytes);
    }

    /// Learns from a message of the peer.
    pub fn received(&mut self, bytes: &[u8]) {
        self.digit_types.extend(description::digit_type(bytes));
        match (message::status(bytes), message::cseq(bytes)) {
            (Some(status @ 200..), Some((number, _))) if self.asked == Some(number) => {
                self.asked = None;
                self.met = status == 491;
                // A refusal leaves the session as it was (RFC 3261 section 14.1).
                self.holds ^= status >= 300 && !self.met;
            }
            (None, Some((number, method))) if method == "INVITE" && self.host_tag.is_none() => {
                self.undecided = Some(number);
            }
            (None, Some((_, method))) if method == "CANCEL" => self.undecided = None,
            _ => {}
        }
    }

    /// Whether the message has to wait for the engine's outputs: one before it was given in this very tick.
    pub fn has_to_wait(&self, tick: u64) -> bool {
        self.given_at == tick
    }

    /// By which method the engine repeats a request of the host.
    pub fn repeated_by<'m>(&self, cseq: u32, method: &'m str) -> &'m str {
        self.repeats.get(&(cseq, method.to_owned())).copied().flatten().unwrap_or(method)
    }

    /// Whether this is a request of the host that the engine does not repeat, its ACK, or a response to it.
    pub fn is_not_repeated(&self, message: &[u8]) -> bool {
        let Some((number, method)) = message::cseq(message) else { return false };
        let method = if method == "ACK" { "INVITE".to_owned() } else { method };
        self.repeats.get(&(number, method)).is_some_and(Option::is_none)
    }
}

fn learn(bytes: &[u8], tag: &mut Option<Bytes>, port: &mut Option<u16>) {
    let name = if message::status(bytes).is_some() { "To" } else { "From" };
    if let Some(found) = message::header(bytes, name).and_then(message::tag) {
        *tag = Some(Bytes::copy_from_slice(found));
    }
    *port = description::audio_port(bytes).filter(|&port| port != 0).or(*port);
}

/// What is sent again is not a second message.
fn push(sent: &mut Vec<Sent>, at: Duration, bytes: &Bytes) -> bool {
    let is_new = !sent.iter().any(|other| other.bytes == *bytes);
    if is_new {
        sent.push(Sent { at, bytes: bytes.clone() });
    }
    is_new
}
