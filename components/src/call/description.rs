//! Our side of the offer/answer exchange (RFC 3264) within one INVITE usage.

use crate::record::Record;
use bevy_ecs::prelude::*;
use bytes::Bytes;

/// What our session descriptions are written from, and who holds whom. Each INVITE usage has its own. A placed call has one
/// before there is a usage: that of its first INVITE, of which each fork's usage is given a copy.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
pub struct LocalDescription {
    /// The offer of the peer that we have not answered yet.
    pub offer: Option<Bytes>,
    /// The identifier of our session description (RFC 4566 section 5.2).
    pub sdp_session: u64,
    /// The version of our next session description.
    pub sdp_version: u64,
    /// Whether we hold the peer.
    pub we_hold: bool,
    /// Whether the peer holds us.
    pub peer_holds: bool,
}

impl LocalDescription {
    /// One with nothing agreed yet.
    pub fn new(sdp_session: u64, offer: Option<Bytes>) -> Self {
        Self { offer, sdp_session, sdp_version: 1, we_hold: false, peer_holds: false }
    }
}
