//! What an operator can set in a world. Part of the recording: the same settings, seed and inputs give the same world.

use super::{PrioritySettings, ResourceSettings};
use crate::record::Record;
use crate::wire::sdp::Codec;
use bevy_ecs::prelude::*;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::{IpAddr, SocketAddr};

/// All settings of a world.
#[derive(Resource, Record, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Signalling.
    pub sip: SipSettings,
    /// How much of everything there may be.
    pub limits: LimitSettings,
    /// How long anything may take.
    pub timers: TimerSettings,
    /// Audio.
    pub media: MediaSettings,
    /// What calls are connected to.
    pub services: ServiceSettings,
    /// What sets the priority of calls.
    pub priority: PrioritySettings,
    /// What calls are charged, and the budgets.
    pub resources: ResourceSettings,
}

/// Signalling.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct SipSettings {
    /// The round-trip estimate T1 of RFC 3261 section 17.1.1.1, in milliseconds.
    pub t1_ms: u32,
    /// The longest retransmission interval T2, in milliseconds.
    pub t2_ms: u32,
    /// How long messages live in the network, T4, in milliseconds.
    pub t4_ms: u32,
    /// The address that peers are told (Contact, Via and SDP) instead of the local one; empty: the local one.
    #[serde(with = "empty_is_none")]
    pub advertised_address: Option<IpAddr>,
    /// The longest message taken, in bytes.
    pub message_bytes_max: u32,
    /// The most header fields taken in one message.
    pub headers_max: u32,
    /// How long a binding of a REGISTER lives at most, in seconds.
    pub registration_s_max: u32,
}

impl Default for SipSettings {
    fn default() -> Self {
        Self {
            t1_ms: 500,
            t2_ms: 4000,
            t4_ms: 5000,
            advertised_address: None,
            message_bytes_max: 65_535,
            headers_max: 128,
            registration_s_max: 3600,
        }
    }
}

impl SipSettings {
    /// The address that peers are told in place of one of ours.
    pub fn advertised(&self, local: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.advertised_address.unwrap_or(local.ip()), local.port())
    }

    /// 64*T1: how long a transaction tries, and how long it lingers.
    pub fn transaction_ms(&self) -> u64 {
        64 * u64::from(self.t1_ms)
    }
}

/// How much of everything there may be in one world. Past a limit the answer is 503 with Retry-After.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Sessions.
    pub sessions: u32,
    /// Transactions. Each finished one waits 64*T1: 5,000 calls a second need 320,000.
    pub transactions: u32,
    /// Dialogs.
    pub dialogs: u32,
    /// Dialogs that one INVITE of ours may be forked into.
    pub forks: u32,
    /// Rooms.
    pub rooms: u32,
    /// Participants of one room.
    pub participants: u32,
    /// Bindings of registered addresses.
    pub registrations: u32,
    /// Sessions of one user, by its address-of-record; 0: no limit. Past it the answer is 403.
    pub sessions_per_user: u32,
    /// Sessions of one endpoint, by its IP address; 0: no limit.
    pub sessions_per_endpoint: u32,
    /// Children of one session.
    pub children: u32,
    /// Parents above a session, one above the other.
    pub dependency_depth: u32,
    /// Groups.
    pub groups: u32,
    /// Members of one group.
    pub group_members: u32,
    /// Groups that one session is in.
    pub groups_per_session: u32,
    /// The Retry-After of a 503, in seconds.
    pub retry_after_s: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            sessions: 100_000,
            transactions: 1_000_000,
            dialogs: 200_000,
            forks: 16,
            rooms: 20_000,
            participants: 10_000,
            registrations: 10_000,
            sessions_per_user: 0,
            sessions_per_endpoint: 0,
            children: 1_000,
            dependency_depth: 16,
            groups: 20_000,
            group_members: 10_000,
            groups_per_session: 16,
            retry_after_s: 5,
        }
    }
}

/// How long anything may take; 0 means for ever.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct TimerSettings {
    /// How long a call may ring, in seconds; then 480 (incoming) or CANCEL (outgoing).
    pub ringing_s: u32,
    /// How long a call may wait for a decision, by a behaviour or a handler outside, in seconds; then 480.
    pub deferral_s: u32,
    /// How long a call may last, in seconds; then BYE.
    pub call_s: u32,
    /// How long an established stream that expects RTP may be without RTP and RTCP, in seconds; then BYE.
    pub rtp_silence_s: u32,
    /// How long a stream that may send sends nothing, in seconds; then a frame of silence.
    pub rtp_pause_s: u32,
}

impl Default for TimerSettings {
    fn default() -> Self {
        Self { ringing_s: 180, deferral_s: 30, call_s: 14_400, rtp_silence_s: 300, rtp_pause_s: 5 }
    }
}

/// A codec stands in the configuration by its name.
impl Serialize for Codec {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.label())
    }
}

impl<'de> Deserialize<'de> for Codec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let known = || Codec::ALL.iter().map(|codec| codec.label()).collect::<Vec<_>>().join(", ");
        Codec::labelled(&name).ok_or_else(|| D::Error::custom(format!("{name:?} is none of {}", known())))
    }
}

/// Audio.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct MediaSettings {
    /// The codecs that are taken: of an offer, the first that is among them.
    pub codecs: Vec<Codec>,
    /// Those of them that we offer, the preferred one first; all, if none is among them.
    pub offered: Vec<Codec>,
    /// The packet time that we offer, in milliseconds.
    pub ptime_ms: u8,
    /// The highest rate that a room is mixed at: 8,000, 16,000 or 48,000 Hz. It has that of its members, if that is
    /// lower.
    pub room_rate_hz_max: u32,
}

impl MediaSettings {
    /// The codecs that an offer of ours has.
    pub fn offered(&self) -> &[Codec] {
        let is_allowed = |codec: &Codec| self.codecs.contains(codec);
        if self.offered.iter().any(is_allowed) { &self.offered } else { &self.codecs }
    }
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            codecs: Codec::ALL.to_vec(),
            offered: vec![Codec::Pcmu, Codec::Pcma],
            ptime_ms: 20,
            room_rate_hz_max: 48_000,
        }
    }
}

/// What calls are connected to.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceSettings {
    /// The service of a call whose request URI names none.
    pub default: String,
    /// Whether a handler outside decides about calls instead of the request URI.
    pub ask_handler: bool,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self { default: "echo".into(), ask_handler: false }
    }
}

/// An address that may be left empty.
mod empty_is_none {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::net::IpAddr;

    pub fn serialize<S: Serializer>(address: &Option<IpAddr>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&address.map(|address| address.to_string()).unwrap_or_default())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| D::Error::custom(format!("{text:?} is not an IP address (or empty)")))
    }
}
