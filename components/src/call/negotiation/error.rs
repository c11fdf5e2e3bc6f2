//! Why an offer or an answer is not taken.

use crate::record::Record;
use crate::wire::sdp::SdpError;
use crate::wire::sip::Warning;
use std::fmt;

/// Why a session description is not taken.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfferAnswerError {
    /// The description can't be read, or there is nothing to agree on.
    Description(SdpError),
    /// A request of ours is under way (RFC 3261 section 14.2, RFC 3311 section 5.2).
    RequestPending,
    /// An earlier request of the peer is under way; the refusal has a Retry-After of up to ten seconds.
    PeerRequestPending,
    /// No description may stand in this message now (RFC 6337 section 2).
    NotAllowed,
    /// The message had to carry the answer to an offer.
    AnswerMissing,
    /// The message had to carry an offer.
    OfferMissing,
}

impl OfferAnswerError {
    /// The status that a request is refused with because of it.
    pub fn status(self) -> u16 {
        match self {
            Self::Description(why) => why.status(),
            Self::RequestPending => 491,
            Self::PeerRequestPending => 500,
            Self::NotAllowed => 400,
            Self::AnswerMissing | Self::OfferMissing => 488,
        }
    }
}

impl OfferAnswerError {
    /// Says in the refusal why the offer was not taken (RFC 3261 sections 13.3.1.3 and 20.43).
    pub fn warning(self) -> Warning {
        let code = if let Self::Description(why) = self { why.warning_code() } else { 399 };
        Warning::new(code, self.to_string())
    }
}

impl From<SdpError> for OfferAnswerError {
    fn from(why: SdpError) -> Self {
        Self::Description(why)
    }
}

impl fmt::Display for OfferAnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Description(why) => why.fmt(f),
            Self::RequestPending => f.write_str("a request of ours is under way"),
            Self::PeerRequestPending => f.write_str("an earlier request of the peer is under way"),
            Self::NotAllowed => f.write_str("no session description may stand here"),
            Self::AnswerMissing => f.write_str("the answer to an offer is missing"),
            Self::OfferMissing => f.write_str("an offer is missing"),
        }
    }
}

impl std::error::Error for OfferAnswerError {}
