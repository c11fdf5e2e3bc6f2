//! The INVITE of a session, and what its dialogs have in common.

use crate::edge::Target;
use crate::record::Record;
use bevy_ecs::prelude::*;
use bytes::Bytes;
use std::net::SocketAddr;

/// What all dialogs of a session have in common, and the addresses of its first request.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
pub struct SipIdentity {
    /// The Call-ID.
    pub call_id: Bytes,
    /// Our tag.
    pub local_tag: Bytes,
    /// Our address towards the peer: for Contact, Via and, its IP, for SDP.
    pub local_address: SocketAddr,
    /// Where the first request came from, or was sent to.
    pub target: Target,
}

/// The INVITE of a session that has no final response yet. There is one at a time (RFC 3261 section 14.1).
#[derive(Component, Record, Clone, Debug, Default, PartialEq, Eq)]
pub enum PendingInvite {
    /// There is none.
    #[default]
    None,
    /// The peer's.
    Received {
        /// Its server transaction.
        transaction: Entity,
    },
    /// Ours.
    Sent(SentInvite),
}

/// An INVITE of ours that has no final response yet.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct SentInvite {
    /// Its client transaction; none before it is sent.
    pub transaction: Option<Entity>,
    /// What it is for.
    pub aim: InviteAim,
    /// Whether a provisional response has come: without one there is no CANCEL (section 9.1).
    pub provisional: bool,
    /// Whether to cancel it as soon as we may.
    pub cancel: bool,
    /// The CSeq number it went out with.
    pub cseq: u32,
}

/// What an INVITE of ours is for.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteAim {
    /// A new call.
    Call,
    /// To hold the peer.
    Hold,
    /// To resume the peer.
    Resume,
}

impl PendingInvite {
    /// One of ours that is about to be sent.
    pub fn to_send(aim: InviteAim) -> Self {
        Self::Sent(SentInvite { transaction: None, aim, provisional: false, cancel: false, cseq: 0 })
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// The server transaction of the peer's.
    pub fn received(&self) -> Option<Entity> {
        match self {
            Self::Received { transaction } => Some(*transaction),
            Self::None | Self::Sent(_) => None,
        }
    }

    /// Ours.
    pub fn sent(&self) -> Option<&SentInvite> {
        match self {
            Self::Sent(sent) => Some(sent),
            Self::None | Self::Received { .. } => None,
        }
    }

    /// Ours, to be changed.
    pub fn sent_mut(&mut self) -> Option<&mut SentInvite> {
        match self {
            Self::Sent(sent) => Some(sent),
            Self::None | Self::Received { .. } => None,
        }
    }

    /// Takes ours out; the peer's stays.
    pub fn take_sent(&mut self) -> Option<SentInvite> {
        match std::mem::take(self) {
            Self::Sent(sent) => Some(sent),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// Of a session whose re-INVITE met another one (491): try again when [`GlareWait`] fires (section 14.1).
#[derive(Component, Record, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glare {
    /// What to try again.
    pub aim: InviteAim,
}

/// Timer of [`Glare`].
pub struct GlareWait;
