//! Descriptions: our offers and answers (RFC 3264), and what is agreed.

use super::{Call, Happened};
use crate::ua::codec::Codec;
use crate::ua::sdp::{self, Layout, RemoteAudio};
use std::net::SocketAddr;

impl Call {
    /// A description of our side: an offer, in which what [`Call::reshape`] asked for is tried, or an answer.
    pub(super) fn describe(&mut self, direction: &str, is_offer: bool) -> String {
        self.version += 1;
        let (layout, address) = self.offered.filter(|_| is_offer).unwrap_or((self.layout, self.rtp));
        let (codecs, session, version) = (&self.codecs, self.session, self.version);
        sdp::describe(&sdp::Local { address, codecs, session, version, direction, layout, is_offer })
    }

    /// Our next offer is written like this, and says that we receive audio there. Both count once the peer has agreed.
    pub fn reshape(&mut self, layout: Layout, rtp: SocketAddr) {
        self.offered = Some((layout, rtp));
    }

    /// The peer has agreed to our offer, or not.
    pub(super) fn offer_settled(&mut self, is_agreed: bool) {
        if let Some(offered) = self.offered.take().filter(|_| is_agreed) {
            (self.layout, self.rtp) = offered;
        }
    }

    /// Reads an offer of the peer.
    pub(super) fn read_offer(&self, body: &[u8]) -> Option<RemoteAudio> {
        let keeps = self.prefers_own || self.remote.is_some();
        sdp::read(body, self.codec_of_ours().filter(|_| keeps))
    }

    /// The codec that we prefer, or the agreed one.
    pub(super) fn codec_of_ours(&self) -> Option<Codec> {
        self.codecs.first().copied()
    }

    /// Takes what the peer describes.
    pub(super) fn agree(&mut self, audio: RemoteAudio) {
        self.codecs = vec![audio.codec];
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
