//! What is known of one call of the capture: by which names the host has it, and by which the engine.

use crate::trace::sip;
use bytes::Bytes;
use ringworld_components::kernel::StableId;
use std::collections::BTreeMap;
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
    /// The engine's session.
    pub session: Option<StableId>,
    /// The last request of the engine of each method: what responses are made to fit.
    pub requests: BTreeMap<String, Bytes>,
    /// Whether the host holds the peer.
    pub holds: bool,
    /// The number of the command that places it, until its INVITE is seen.
    pub placing: Option<(u64, SocketAddr)>,
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

    /// Learns from a message of the host.
    pub fn captured(&mut self, at: Duration, bytes: &Bytes) {
        learn(bytes, &mut self.host_tag, &mut self.host_port);
        push(&mut self.captured, at, bytes);
    }

    /// Learns from a message of the engine.
    pub fn given(&mut self, at: Duration, bytes: &Bytes) {
        learn(bytes, &mut self.engine_tag, &mut self.engine_port);
        if sip::status(bytes).is_none()
            && let Some((_, method)) = sip::cseq(bytes)
        {
            self.requests.insert(method, bytes.clone());
        }
        push(&mut self.given, at, bytes);
    }

    /// Whether the message has to wait until the engine has had its say: it names a tag of the host whose counterpart
    /// is not known, or the one before it was given in this very tick.
    pub fn has_to_wait(&self, tick: u64) -> bool {
        self.given_at == tick
    }
}

fn learn(bytes: &[u8], tag: &mut Option<Bytes>, port: &mut Option<u16>) {
    let (name, compact) = if sip::status(bytes).is_some() { ("To", "t") } else { ("From", "f") };
    if let Some(found) = sip::header(bytes, name, compact).and_then(sip::tag) {
        *tag = Some(Bytes::copy_from_slice(found));
    }
    *port = sip::audio_port(bytes).filter(|&port| port != 0).or(*port);
}

/// What is sent again is not a second message.
fn push(sent: &mut Vec<Sent>, at: Duration, bytes: &Bytes) {
    if !sent.iter().any(|other| other.bytes == *bytes) {
        sent.push(Sent { at, bytes: bytes.clone() });
    }
}
