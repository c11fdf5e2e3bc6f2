//! Legs: one party of a session.

use super::Service;
use crate::edge::Target;
use crate::record::Record;
use bevy_ecs::prelude::*;
use bytes::Bytes;
use std::net::SocketAddr;

/// The signalling of one party of a session, from the first INVITE on.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The Call-ID.
    pub call_id: Bytes,
    /// Our tag.
    pub local_tag: Bytes,
    /// The transaction of the INVITE that has no final response yet; ours or the peer's.
    pub invite: Option<Entity>,
    /// The offer (RFC 3264) of the peer that we have not answered yet.
    pub offer: Option<Bytes>,
    /// The dialog that the call goes on in: of forks the first that was answered.
    pub dialog: Option<Entity>,
    /// Our address towards the peer: for Contact, Via and, its IP, for SDP.
    pub local_address: SocketAddr,
    /// Where the first request came from, or was sent to.
    pub target: Target,
    /// What the call is connected to when it is answered.
    pub service: Service,
    /// An INVITE of ours that waits to be sent, or is on its way.
    pub outgoing: Option<OutgoingInvite>,
    /// The identifier of our session description (RFC 4566 section 5.2).
    pub sdp_session: u64,
    /// The version of our session description.
    pub sdp_version: u64,
    /// Whether we hold the peer.
    pub we_hold: bool,
    /// Whether the peer holds us.
    pub peer_holds: bool,
}

/// An INVITE of ours that has no final response yet.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct OutgoingInvite {
    /// What we are after.
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
    /// To take the peer back.
    Resume,
}

/// Of a leg whose re-INVITE met another one (491): try again when [`GlareWait`] fires (section 14.1).
#[derive(Component, Record, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glare {
    /// What to try again.
    pub aim: InviteAim,
}

/// Timer of [`Glare`].
pub struct GlareWait;

impl Leg {
    /// A leg with nothing agreed yet.
    pub fn new(call_id: Bytes, local_tag: Bytes, target: Target, local_address: SocketAddr, sdp_session: u64) -> Self {
        Self {
            call_id,
            local_tag,
            invite: None,
            offer: None,
            dialog: None,
            local_address,
            target,
            service: Service::Echo,
            outgoing: None,
            sdp_session,
            sdp_version: 1,
            we_hold: false,
            peer_holds: false,
        }
    }
}
