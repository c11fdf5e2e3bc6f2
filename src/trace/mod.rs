//! One call of a recording, from its first message to its last: what was sent and received, how its state changed, and
//! what its media did.

mod calls;
mod collect;
mod flows;
mod frames;
mod ladder;
mod media;
mod pcap;
mod svg;
mod svg_text;

pub use calls::{ListedCall, calls};
pub use flows::RtpFlow;
pub use ladder::ladder;
pub use pcap::write_pcap;
pub use svg::svg;

use crate::replay::{Player, ReplayError};
use bytes::Bytes;
use collect::Collector;
use ringworld_components::edge::Transport;
use ringworld_components::kernel::{Now, StableId};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Which call is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The one with this Call-ID.
    Id(String),
    /// The session of this name.
    Session(StableId),
}

/// A call.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The time of day at tick 0, in milliseconds since 1970 (UTC).
    pub began_unix_ms: u64,
    /// The Call-IDs of its sessions.
    pub call_ids: BTreeSet<String>,
    /// Its session; several if a Call-ID was used again.
    pub sessions: BTreeSet<StableId>,
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// Its packets, as far as the recording holds them.
    pub packets: Vec<Packet>,
    /// Whether the recording holds payloads, so that packets are known.
    pub has_media: bool,
    /// Call-IDs of other calls of the recording, the first ten thousand, to choose from if this is none.
    pub others: BTreeSet<String>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Step {
    /// When.
    pub at: Now,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// A SIP message.
    Sip(SipStep),
    /// The session changed.
    State(String),
    /// The application outside asked for something.
    Command(String),
    /// Its media changed, or something was heard.
    Media(String),
}

/// A SIP message on its way.
#[derive(Clone, Debug)]
pub struct SipStep {
    /// The transport.
    pub transport: Transport,
    /// The peer.
    pub peer: SocketAddr,
    /// Our address.
    pub local: SocketAddr,
    /// Whether we sent it.
    pub is_ours: bool,
    /// Whether the same bytes went the same way before.
    pub is_again: bool,
    /// The message.
    pub bytes: Bytes,
}

/// An RTP or RTCP packet.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When, in microseconds since the world began.
    pub at_us: u64,
    /// The peer.
    pub peer: SocketAddr,
    /// Our address.
    pub local: SocketAddr,
    /// Whether we sent it.
    pub is_ours: bool,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// Plays a recording to its end and gathers what belongs to a call.
///
/// # Errors
/// As [`Player::step`], with what was gathered until then.
pub fn trace(player: &mut Player, call: &Call) -> (Trace, Result<(), ReplayError>) {
    let mut collector = Collector::new(player, call.clone());
    let played = loop {
        match player.step_before(&mut collector) {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    (collector.finish(player.engine().now()), played)
}

impl Trace {
    /// Whether nothing belongs to the call.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The peers that SIP was exchanged with, in the order in which they appear.
    pub fn peers(&self) -> Vec<SocketAddr> {
        let mut peers = Vec::new();
        for peer in self.messages().map(|message| message.peer) {
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        peers
    }

    /// Its RTP, one entry for each source and direction, in the order in which they begin.
    pub fn flows(&self) -> Vec<RtpFlow> {
        flows::of(&self.packets)
    }

    /// The SIP messages.
    pub fn messages(&self) -> impl Iterator<Item = &SipStep> {
        self.steps.iter().filter_map(|step| match &step.what {
            What::Sip(message) => Some(message),
            _ => None,
        })
    }

    /// What the call is, in one line.
    pub fn title(&self) -> String {
        let ids = self.call_ids.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let sessions = self.sessions.iter().map(StableId::to_string).collect::<Vec<_>>().join(", ");
        let session = if sessions.is_empty() { "no session".to_owned() } else { format!("session {sessions}") };
        let length = self.steps.first().zip(self.steps.last()).map(|(first, last)| last.at.since(first.at));
        format!("call {ids}, {session}, {}", crate::inspect::duration(length.unwrap_or_default()))
    }
}
