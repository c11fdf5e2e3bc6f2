//! Descriptions: what we offer and answer (RFC 3264), and what is agreed.

use super::{Call, Happened};
use crate::ua::g711::G711;
use crate::ua::sdp::{self, RemoteAudio};

impl Call {
    /// A description of our side.
    pub(super) fn describe(&mut self, direction: &str) -> String {
        self.version += 1;
        sdp::describe(self.rtp, &self.laws, self.session, self.version, direction)
    }

    /// Reads an offer of the peer.
    pub(super) fn read_offer(&self, body: &[u8]) -> Option<RemoteAudio> {
        let keeps = self.prefers_own || self.remote.is_some();
        sdp::read(body, self.law_of_ours().filter(|_| keeps))
    }

    /// The law that we prefer, or the agreed one.
    pub(super) fn law_of_ours(&self) -> Option<G711> {
        self.laws.first().copied()
    }

    /// Takes what the peer describes.
    pub(super) fn agree(&mut self, audio: RemoteAudio) {
        self.laws = vec![audio.law];
        self.remote = Some(audio);
    }

    /// The direction with which we answer an offer, or offer if there was none (RFC 3264, section 6.1).
    pub(super) fn answering_direction(&self, offer: Option<&RemoteAudio>) -> &'static str {
        match offer {
            Some(offer) => sdp::mirrored(offer.receives, offer.sends && !self.we_hold),
            None if self.we_hold => "sendonly",
            None => "sendrecv",
        }
    }

    /// What the stream is after a re-INVITE.
    pub(super) fn media_changed(&self) -> Happened {
        self.remote.clone().map_or(Happened::Nothing, Happened::MediaChanged)
    }
}
