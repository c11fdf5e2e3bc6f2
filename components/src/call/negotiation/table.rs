//! Which message may carry an offer or an answer, and when (RFC 6337 section 2).

use super::OfferAnswerError;
use crate::record::Record;

/// One of the two parties of a dialog.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// We.
    Us,
    /// The peer.
    Peer,
}

impl Side {
    /// The other party.
    pub fn other(self) -> Self {
        match self {
            Self::Us => Self::Peer,
            Self::Peer => Self::Us,
        }
    }
}

/// A message that can carry a session description. Failure responses carry none that counts.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// INVITE, the first one or a re-INVITE.
    Invite,
    /// A provisional response to INVITE that is sent unreliably.
    Provisional,
    /// A provisional response to INVITE that is sent reliably (RFC 3262).
    ReliableProvisional,
    /// The 2xx response to INVITE.
    Success,
    /// The ACK of a 2xx response to INVITE.
    Ack,
    /// PRACK (RFC 3262).
    Prack,
    /// The 2xx response to PRACK.
    PrackSuccess,
    /// UPDATE (RFC 3311).
    Update,
    /// The 2xx response to UPDATE.
    UpdateSuccess,
}

impl Carrier {
    /// Every carrier.
    pub const ALL: &[Self] = &[
        Self::Invite,
        Self::Provisional,
        Self::ReliableProvisional,
        Self::Success,
        Self::Ack,
        Self::Prack,
        Self::PrackSuccess,
        Self::Update,
        Self::UpdateSuccess,
    ];

    /// Whether it is a request that can be refused.
    fn is_request(self) -> bool {
        matches!(self, Self::Invite | Self::Prack | Self::Update)
    }
}

/// What a session description in a message is.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// An offer.
    Offer,
    /// The answer to the offer that is out.
    Answer,
    /// What the answer will be, in a message that may be lost (RFC 6337 section 2.1).
    Preview,
    /// Nothing: the exchange that it belongs to is over (RFC 3261 section 13.2.1).
    Ignored,
}

/// Where an exchange of offer and answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Position {
    /// No INVITE is open and no offer is out.
    Idle,
    /// An INVITE without an offer is open: its first reliable response must make one.
    InviteBare,
    /// The offer in the INVITE is out.
    InviteOffered,
    /// The INVITE is open, and its exchange is over.
    InviteSettled,
    /// The offer in a reliable provisional response is out.
    ProvisionalOffered,
    /// The offer in a PRACK is out.
    PrackOffered,
    /// The offer in an UPDATE is out.
    UpdateOffered,
    /// The offer in the 2xx response to INVITE is out.
    SuccessOffered,
}

/// The sender of a message, by its part in the request that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The sender of that request: of the INVITE, PRACK or UPDATE.
    Requester,
    /// The one that responds to it.
    Responder,
    /// Either.
    Either,
}

/// A legal position of a session description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) position: Position,
    pub(super) from: Role,
    pub(super) carrier: Carrier,
    pub(super) part: Part,
}

const fn row(position: Position, from: Role, carrier: Carrier, part: Part) -> Row {
    Row { position, from, carrier, part }
}

/// Every legal position of a session description: patterns 1 to 6 of RFC 6337 table 1, the preview of section 2.1, and
/// what is to be ignored.
pub(super) const ROWS: &[Row] = {
    use Carrier::{Ack, Invite, Prack, PrackSuccess, Provisional, ReliableProvisional, Success, Update, UpdateSuccess};
    use Part::{Answer, Ignored, Offer, Preview};
    use Position::{
        Idle, InviteBare, InviteOffered, InviteSettled, PrackOffered, ProvisionalOffered, SuccessOffered, UpdateOffered,
    };
    use Role::{Either, Requester, Responder};
    &[
        // Patterns 1 and 3: the offer in the INVITE, the answer in its first reliable response.
        row(Idle, Either, Invite, Offer),
        row(InviteOffered, Responder, Success, Answer),
        row(InviteOffered, Responder, ReliableProvisional, Answer),
        row(InviteOffered, Responder, Provisional, Preview),
        // Pattern 2: the offer in the 2xx, the answer in the ACK.
        row(InviteBare, Responder, Success, Offer),
        row(SuccessOffered, Requester, Ack, Answer),
        // Pattern 4: the offer in a reliable provisional response, the answer in its PRACK.
        row(InviteBare, Responder, ReliableProvisional, Offer),
        row(ProvisionalOffered, Requester, Prack, Answer),
        // Pattern 5: the offer in a PRACK, once the INVITE has its answer; the answer in the 2xx to the PRACK.
        row(InviteSettled, Requester, Prack, Offer),
        row(PrackOffered, Responder, PrackSuccess, Answer),
        // Pattern 6: the offer in an UPDATE, the answer in its 2xx.
        row(InviteSettled, Either, Update, Offer),
        row(Idle, Either, Update, Offer),
        row(UpdateOffered, Responder, UpdateSuccess, Answer),
        // RFC 3261 section 13.2.1: what comes in responses after the answer does not count; nor does an offer that may
        // be lost.
        row(InviteBare, Responder, Provisional, Ignored),
        row(InviteSettled, Responder, Provisional, Ignored),
        row(InviteSettled, Responder, ReliableProvisional, Ignored),
        row(InviteSettled, Responder, Success, Ignored),
        row(ProvisionalOffered, Responder, Provisional, Ignored),
        row(ProvisionalOffered, Responder, ReliableProvisional, Ignored),
        row(ProvisionalOffered, Responder, Success, Ignored),
        row(PrackOffered, Responder, Provisional, Ignored),
        row(PrackOffered, Responder, ReliableProvisional, Ignored),
        row(PrackOffered, Responder, Success, Ignored),
        row(UpdateOffered, Either, Provisional, Ignored),
        row(UpdateOffered, Either, ReliableProvisional, Ignored),
        row(UpdateOffered, Either, Success, Ignored),
        row(Idle, Either, Success, Ignored),
        row(Idle, Either, Ack, Ignored),
        row(UpdateOffered, Either, Ack, Ignored),
    ]
};

/// What a description is that `from` sends in this carrier, while `requester` has the request of this position under
/// way.
///
/// # Errors
/// RFC 6337 section 2.2 and RFC 3261 section 14.2: a request that can't be taken now is refused with 491 if the request
/// under way is ours, and with 500 if it is the peer's own. A description that can't stand where it is, is refused with
/// 400.
pub(super) fn find(
    position: Position,
    requester: Option<Side>,
    from: Side,
    carrier: Carrier,
) -> Result<Part, OfferAnswerError> {
    let is_from = |role: Role| match role {
        Role::Requester => requester == Some(from),
        Role::Responder => requester == Some(from.other()),
        Role::Either => true,
    };
    let found = ROWS
        .iter()
        .find(|row| row.position == position && row.carrier == carrier && is_from(row.from))
        .map(|row| row.part);
    found.ok_or(match requester {
        Some(requester) if carrier.is_request() && carrier != Carrier::Prack => {
            if requester == Side::Us {
                OfferAnswerError::RequestPending
            } else {
                OfferAnswerError::PeerRequestPending
            }
        }
        _ => OfferAnswerError::NotAllowed,
    })
}
