//! What an agent does with responses.

use super::call::{Call, Stage};
use super::habits::Act;
use crate::load::call::Outbox;
use crate::load::message::{Message, Start, parameter, uri_of};
use crate::load::sdp;
use crate::sim::{Dice, MS, SECOND};

/// What a response brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Nothing,
    /// The call is up.
    Up,
    /// It was refused with this status.
    Refused(u16),
}

/// How long a call may ring before we cancel it.
const PATIENCE: u64 = 12 * SECOND;

impl Call {
    pub(super) fn on_response(
        &mut self,
        now: u64,
        message: &Message<'_>,
        dice: &mut Dice,
        out: &mut Outbox,
    ) -> Answered {
        let (Start::Response { status, .. }, Some((cseq, method))) = (message.start, message.cseq()) else {
            return Answered::Nothing;
        };
        let branch = message.header("Via").and_then(|via| parameter(via, "branch")).unwrap_or_default();
        if method == "INVITE" {
            let awaited = self.inviting.as_ref().is_some_and(|it| it.cseq == cseq && it.transaction.branch == branch);
            return match awaited {
                true => self.on_invite_response(now, status, message, dice, out),
                false => self.on_late_response(status, cseq, message, out),
            };
        }
        let matching = |it: &(&'static str, u32, crate::load::call::Transaction)| {
            it.0 == method && it.1 == cseq && it.2.branch == branch
        };
        let Some(at) = self.requests.iter().position(matching) else { return Answered::Nothing };
        if status < 200 {
            if let Some((_, _, transaction)) = self.requests.get_mut(at) {
                transaction.provisional(now, false);
            }
            return Answered::Nothing;
        }
        self.requests.remove(at);
        match (method, status) {
            ("BYE", _) => {
                // Whatever the answer, we are gone (section 15.1.1); if it is neither 2xx nor 481 they may not know.
                self.is_sure &= matches!(status, 200..300 | 481);
                self.finish(now);
            }
            ("CANCEL", 300..) => self.is_sure = false,
            (_, 408 | 481) if self.stage == Stage::Up => {
                // Section 12.2.1.2: the dialog is lost.
                self.hang_up(now, out);
            }
            _ => {}
        }
        Answered::Nothing
    }

    fn on_invite_response(
        &mut self,
        now: u64,
        status: u16,
        message: &Message<'_>,
        dice: &mut Dice,
        out: &mut Outbox,
    ) -> Answered {
        if status < 200 {
            if let Some(inviting) = &mut self.inviting
                && !std::mem::replace(&mut inviting.provisional, true)
            {
                inviting.transaction.provisional(now, true);
                inviting.transaction.give_up_at = now + PATIENCE;
            }
            self.cancel_if_allowed(now, out);
            return Answered::Nothing;
        }
        let Some(inviting) = self.inviting.take() else { return Answered::Nothing };
        let to = message.header("To").unwrap_or(&self.identity.to).to_owned();
        if status >= 300 {
            self.acknowledge_refusal(&inviting, &to, out);
            match (inviting.direction, status) {
                (None, _) => {
                    self.finish(now);
                    return Answered::Refused(status);
                }
                (Some(direction), 491) => {
                    // Section 14.1: the owner of the Call-ID waits longer.
                    let wait = if self.is_caller { 2_100 + dice.below(1_900) } else { dice.below(2_000) };
                    self.acts.insert(0, (now + wait * MS, Act::Reinvite(direction)));
                    self.acts.sort();
                }
                (Some(_), 408 | 481) => self.hang_up(now, out),
                _ => {}
            }
            return Answered::Nothing;
        }
        self.theirs = message.tag("To").map(str::to_owned);
        self.identity.to = to;
        if let Some(contact) = message.header("Contact") {
            self.target = uri_of(contact).to_owned();
        }
        if inviting.direction.is_none() {
            self.route = message.record_route();
            self.route.reverse();
        }
        let remote = sdp::read(message.body, None);
        let answer = inviting.wants_offer.then(|| self.describe(if self.we_hold { "sendonly" } else { "sendrecv" }));
        self.acknowledge(inviting.cseq, answer.as_deref(), out);
        match &remote {
            Some(audio) => {
                self.laws = vec![audio.law];
                let sends = inviting.direction != Some("inactive");
                if let Some(direction) = inviting.direction {
                    self.we_hold = direction != "sendrecv";
                }
                if sends {
                    self.they_hold = !audio.receives;
                }
            }
            None => self.is_sure = false,
        }
        let usable = remote.is_some();
        self.remote = remote.or(self.remote.take());
        let was_first = self.stage == Stage::Calling;
        if was_first {
            self.stage = Stage::Up;
            self.acts.clear();
        }
        if inviting.cancel_wanted || !usable {
            self.hang_up(now, out);
            return Answered::Nothing;
        }
        if was_first { Answered::Up } else { Answered::Nothing }
    }

    /// A final response that came before: its ACK was lost. One of another dialog is a fork that we don't want.
    fn on_late_response(&mut self, status: u16, cseq: u32, message: &Message<'_>, out: &mut Outbox) -> Answered {
        let is_ours = message.tag("To") == self.theirs.as_deref() || status >= 300;
        if status >= 200
            && is_ours
            && let Some((_, hop, bytes)) = self.ack.as_ref().filter(|ack| ack.0 == cseq)
        {
            out.push((*hop, bytes.clone()));
        }
        Answered::Nothing
    }
}
