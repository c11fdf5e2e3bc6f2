//! Offer and answer (RFC 3264) as SIP carries them: the state of one INVITE usage.
//!
//! The rules of RFC 6337 section 2 are a table (`table.rs`): which message may carry what, and when. INVITE, its
//! responses, ACK, PRACK and UPDATE only carry descriptions; what these mean is decided here, on one value and nothing
//! else.

mod error;
mod state;
mod table;
#[cfg(test)]
mod tests;

pub use error::OfferAnswerError;
pub use state::{Agreement, OfferState};
pub use table::{Carrier, Part, Side};

use crate::record::Record;
use crate::wire::sdp::{
    LocalMedia, MediaLine, Negotiated, Origin, SessionDescription, accept_answer, accept_offer, taken, write_answer,
    write_offer,
};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use state::{LastSeen, OpenInvite};
use table::Position;

/// The negotiation of an INVITE usage: what is agreed, and the offer that is out, if one is. Each early dialog of a
/// forked INVITE has its own, made by [`Negotiation::fork`].
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
pub struct Negotiation {
    state: OfferState,
    invite: Option<OpenInvite>,
    agreed: Option<Box<Agreement>>,
    preview: Option<Box<Agreement>>,
    sent: LastSeen,
    received: Option<LastSeen>,
}

/// What was made of a description that the peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// What it is; `None` if the message carried none. A 2xx without one makes the preview the answer.
    pub part: Option<Part>,
    /// Whether the version of its `o=` line breaks RFC 3264 section 8. The content counts all the same.
    pub version_is_wrong: bool,
}

/// A description of ours, to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What it is.
    pub part: Part,
    /// The description; `None` where the message needs none.
    pub body: Option<Bytes>,
    /// Whether the version of the offer that it answers breaks RFC 3264 section 8.
    pub version_is_wrong: bool,
}

impl Negotiation {
    /// A negotiation with nothing agreed; the number is the session id of our `o=` line (RFC 8866 section 5.2).
    pub fn new(session_id: u64) -> Self {
        let sent = LastSeen { origin: Origin { session_id, version: 0 }, digest: 0 };
        Self { state: OfferState::Stable, invite: None, agreed: None, preview: None, sent, received: None }
    }

    /// The negotiation of one more early dialog of our INVITE: the same offer is out, and nothing is known of its
    /// answer.
    pub fn fork(&self) -> Self {
        Self { agreed: None, preview: None, received: None, ..self.clone() }
    }

    /// The state.
    pub fn state(&self) -> &OfferState {
        &self.state
    }

    /// What was agreed last.
    pub fn agreed(&self) -> Option<&Agreement> {
        self.agreed.as_deref()
    }

    /// What the answer to our offer will be, by a provisional response that may be lost.
    pub fn preview(&self) -> Option<&Agreement> {
        self.preview.as_deref()
    }

    /// The audio stream that is agreed on.
    pub fn audio(&self) -> Option<&Negotiated> {
        taken(self.lines()).map(|(_, agreed)| agreed)
    }

    /// Whether we hold the peer (RFC 3264 section 8.4).
    pub fn we_hold(&self) -> bool {
        self.agreed().is_some_and(|agreed| agreed.we_hold)
    }

    /// Whether the peer holds us: it does not want to hear us, or has turned all streams off.
    pub fn peer_holds(&self) -> bool {
        self.agreed().is_some_and(Agreement::peer_holds)
    }

    /// The identity of the last description that we sent; version 0 before the first.
    pub fn origin(&self) -> Origin {
        self.sent.origin
    }

    fn lines(&self) -> &[MediaLine] {
        self.agreed().map_or(&[], |agreed| &agreed.lines)
    }

    /// What a description is that this side sends in this message now.
    ///
    /// # Errors
    /// That no description may stand there, or not now.
    pub fn part_of(&self, from: Side, carrier: Carrier) -> Result<Part, OfferAnswerError> {
        let part = table::find(self.position(), self.requester(), from, carrier)?;
        // RFC 3311 section 5.1: an UPDATE changes a session, and there must be one.
        if carrier == Carrier::Update && part == Part::Offer && self.agreed.is_none() {
            return Err(OfferAnswerError::NotAllowed);
        }
        Ok(part)
    }

    /// Takes a message of the peer, with the description in it if there is one. An offer is kept until
    /// [`Negotiation::describe`] answers it or [`Negotiation::failed`] drops it; an answer makes an agreement.
    ///
    /// # Errors
    /// The message, or what it carries, is not taken. A request that came at the wrong time has changed nothing. After
    /// an answer that is missing or can't be used the exchange is over, and what was agreed before it stays.
    pub fn receive(&mut self, carrier: Carrier, body: Option<&[u8]>) -> Result<Received, OfferAnswerError> {
        let Some(body) = body else {
            return self.pass_bare(Side::Peer, carrier).map(|part| Received { part, version_is_wrong: false });
        };
        let part = self.part_of(Side::Peer, carrier)?;
        let mut version_is_wrong = false;
        let result = match part {
            Part::Offer => {
                self.state = OfferState::RemoteOffer { carrier, description: Bytes::copy_from_slice(body) };
                Ok(())
            }
            Part::Answer => self.take_answer(body).map(|is_wrong| version_is_wrong = is_wrong),
            Part::Preview => {
                self.preview = self.read_answer(body).ok().map(|(agreement, _)| Box::new(agreement));
                Ok(())
            }
            Part::Ignored => Ok(()),
        };
        self.note_passed(Side::Peer, carrier);
        result.map(|()| Received { part: Some(part), version_is_wrong })
    }

    /// Writes our description for this message: the answer if the peer's offer is out, else an offer, else none if
    /// there is nothing to say in it.
    ///
    /// # Errors
    /// That nothing may be said now, or that the offer can't be agreed to: nothing has changed then, and it is to be
    /// refused with the error's status.
    pub fn describe(&mut self, carrier: Carrier, local: &LocalMedia<'_>) -> Result<Described, OfferAnswerError> {
        let part = self.part_of(Side::Us, carrier)?;
        let described = match (part, self.state.clone()) {
            (Part::Offer, _) => {
                let before = self.agreed.take();
                let lines = before.as_ref().map_or(&[][..], |agreed| &agreed.lines);
                let body = self.sent.stamp(|origin| write_offer(lines, local, origin));
                self.agreed = before;
                let we_hold = !local.direction.receives();
                self.state = OfferState::LocalOffer { carrier, description: body.clone(), we_hold };
                Described { part, body: Some(body), version_is_wrong: false }
            }
            (Part::Answer | Part::Preview, OfferState::RemoteOffer { description, .. }) => {
                self.answer(part, &description, local)?
            }
            (Part::Answer | Part::Preview, _) => return Err(OfferAnswerError::NotAllowed),
            (Part::Ignored, _) => Described { part, body: None, version_is_wrong: false },
        };
        self.note_passed(Side::Us, carrier);
        Ok(described)
    }

    /// Offers the description of another party as it is: its media are not handled here.
    ///
    /// # Errors
    /// That no offer may be made now.
    pub fn offer_foreign(&mut self, carrier: Carrier, description: Bytes) -> Result<(), OfferAnswerError> {
        if self.part_of(Side::Us, carrier)? != Part::Offer {
            return Err(OfferAnswerError::NotAllowed);
        }
        if let Some(sent) = LastSeen::read(&description) {
            self.sent = sent;
        }
        self.state = OfferState::LocalOffer { carrier, description, we_hold: false };
        self.note_passed(Side::Us, carrier);
        Ok(())
    }

    /// The request in this carrier has failed, or, with [`Carrier::Ack`], the ACK never came: an offer that belongs to
    /// it is dropped, and what was agreed last goes on. Says whether an exchange was completed within a re-INVITE that
    /// failed: that change stays, and its sender should offer again, so that both sides know (RFC 6141 section 3.4).
    pub fn failed(&mut self, carrier: Carrier) -> bool {
        let belongs = |offer: Carrier| match carrier {
            Carrier::Invite => matches!(offer, Carrier::Invite | Carrier::ReliableProvisional | Carrier::Prack),
            Carrier::Ack => offer == Carrier::Success,
            Carrier::Prack => matches!(offer, Carrier::ReliableProvisional | Carrier::Prack),
            other => offer == other,
        };
        if self.state.carrier().is_some_and(belongs) {
            // The next description of the peer is counted from this one, though it was refused.
            if let OfferState::RemoteOffer { description, .. } = &self.state {
                self.received = LastSeen::read(description).or(self.received);
            }
            self.state = OfferState::Stable;
        }
        if carrier != Carrier::Invite {
            return false;
        }
        self.preview = None;
        self.invite.take().is_some_and(|invite| invite.is_settled)
    }

    fn position(&self) -> Position {
        match (self.state.carrier(), self.invite) {
            (Some(Carrier::Invite), _) => Position::InviteOffered,
            (Some(Carrier::ReliableProvisional), _) => Position::ProvisionalOffered,
            (Some(Carrier::Success), _) => Position::SuccessOffered,
            (Some(Carrier::Prack), _) => Position::PrackOffered,
            (Some(_), _) => Position::UpdateOffered,
            (None, Some(OpenInvite { is_settled: false, .. })) => Position::InviteBare,
            (None, Some(_)) => Position::InviteSettled,
            (None, None) => Position::Idle,
        }
    }

    /// The sender of the request that is under way.
    fn requester(&self) -> Option<Side> {
        let offerer = match self.state {
            OfferState::Stable => return self.invite.map(|invite| invite.by),
            OfferState::LocalOffer { .. } => Side::Us,
            OfferState::RemoteOffer { .. } => Side::Peer,
        };
        match self.state.carrier() {
            Some(Carrier::ReliableProvisional | Carrier::Success) => Some(offerer.other()),
            _ => Some(offerer),
        }
    }

    /// A message without a description; says what it brought about.
    fn pass_bare(&mut self, from: Side, carrier: Carrier) -> Result<Option<Part>, OfferAnswerError> {
        let due = table::find(self.position(), self.requester(), from, carrier);
        let result = match (due, carrier) {
            (Err(why), Carrier::Invite | Carrier::Success) => return Err(why),
            (Ok(Part::Answer), Carrier::Success) if self.preview.is_some() => {
                // RFC 3261 section 13.2.1: the first description counts, though it came unreliably.
                self.agreed = self.preview.take();
                self.state = OfferState::Stable;
                Ok(Some(Part::Answer))
            }
            (Ok(Part::Answer), Carrier::ReliableProvisional) => Ok(None),
            (Ok(Part::Answer), _) => {
                self.state = OfferState::Stable;
                Err(OfferAnswerError::AnswerMissing)
            }
            (Ok(Part::Offer), Carrier::Success) => Err(OfferAnswerError::OfferMissing),
            _ => Ok(None),
        };
        self.note_passed(from, carrier);
        result
    }

    /// INVITE opens, and its 2xx ends, what goes on within an INVITE.
    fn note_passed(&mut self, from: Side, carrier: Carrier) {
        match carrier {
            Carrier::Invite => self.invite = Some(OpenInvite { by: from, is_settled: false }),
            Carrier::Success => {
                self.invite = None;
                self.preview = None;
            }
            _ => {}
        }
    }

    fn answer(&mut self, part: Part, offer: &[u8], local: &LocalMedia<'_>) -> Result<Described, OfferAnswerError> {
        let parsed = SessionDescription::parse(offer)?;
        let seen = LastSeen::of(&parsed, offer);
        let lines = accept_offer(&parsed, self.lines(), local)?;
        let body = self.sent.stamp(|origin| write_answer(&parsed, &lines, local, origin));
        let mut version_is_wrong = false;
        if part == Part::Answer {
            version_is_wrong = seen.is_wrong_after(self.received.replace(seen));
            let remote = Bytes::copy_from_slice(offer);
            self.agree(Agreement { local: body.clone(), remote, lines, we_hold: !local.direction.receives() });
        }
        Ok(Described { part, body: Some(body), version_is_wrong })
    }

    /// Takes the answer to our offer; says whether its version is wrong.
    fn take_answer(&mut self, body: &[u8]) -> Result<bool, OfferAnswerError> {
        let read = self.read_answer(body);
        self.state = OfferState::Stable;
        let (agreement, seen) = read?;
        let is_wrong = seen.is_wrong_after(self.received.replace(seen));
        self.agree(agreement);
        Ok(is_wrong)
    }

    fn read_answer(&self, body: &[u8]) -> Result<(Agreement, LastSeen), OfferAnswerError> {
        let OfferState::LocalOffer { description, we_hold, .. } = &self.state else {
            return Err(OfferAnswerError::NotAllowed);
        };
        let parsed = SessionDescription::parse(body)?;
        let lines = accept_answer(&SessionDescription::parse(description)?, &parsed)?;
        let (local, remote) = (description.clone(), Bytes::copy_from_slice(body));
        let seen = LastSeen::of(&parsed, body);
        Ok((Agreement { local, remote, lines, we_hold: *we_hold }, seen))
    }

    fn agree(&mut self, agreement: Agreement) {
        self.state = OfferState::Stable;
        self.agreed = Some(Box::new(agreement));
        if let Some(invite) = &mut self.invite {
            invite.is_settled = true;
        }
    }
}
