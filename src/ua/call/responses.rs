//! Responses of the peer.

use super::{Call, End, Extra, Happened, Inviting, State};
use crate::ua::Outbox;
use crate::ua::message::{Message, Start, uri_of};
use crate::ua::sdp;
use crate::ua::write::{Request, next_hop};

impl Call {
    /// A response came. Requests go to [`Call::on_request`].
    pub fn on_response(&mut self, now: u64, message: &Message<'_>, out: &mut Outbox) -> Happened {
        let (Start::Response { status, reason }, Some((cseq, method))) = (message.start, message.cseq()) else {
            self.count.stray += 1;
            return Happened::Nothing;
        };
        let branch = message.branch().unwrap_or_default();
        if method == "INVITE" {
            let awaited = self.inviting.as_ref().is_some_and(|it| it.cseq == cseq && it.transaction.branch == branch);
            return match awaited {
                true if status < 200 => self.on_provisional(now, status, out),
                true => self.on_invite_response(now, (status, reason), message, out),
                false => self.on_late_response(status, cseq, message, out),
            };
        }
        let matching = self
            .pending
            .iter()
            .position(|it| it.method == method && it.cseq == cseq && it.transaction.branch == branch);
        let Some(at) = matching else { return Happened::Nothing };
        if status < 200 {
            if let Some(pending) = self.pending.get_mut(at) {
                pending.transaction.provisional(now, false);
            }
            return Happened::Nothing;
        }
        self.pending.remove(at);
        match (method, status) {
            ("BYE", _) => {
                // Whatever the answer, the call is over for us (section 15.1.1); if it is neither 2xx nor 481 the peer
                // may not know.
                self.is_sure &= matches!(status, 200..300 | 481);
                return self.finish(now, End::Completed);
            }
            ("CANCEL", 300..) => self.is_sure = false,
            // Section 12.2.1.2: the dialog is lost.
            (_, 408 | 481) if self.state == State::Confirmed => self.hang_up(now, out),
            _ => {}
        }
        Happened::Nothing
    }

    fn on_provisional(&mut self, now: u64, status: u16, out: &mut Outbox) -> Happened {
        self.rang |= status > 100;
        if let Some(inviting) = &mut self.inviting
            && !std::mem::replace(&mut inviting.provisional, true)
        {
            inviting.transaction.provisional(now, true);
            inviting.transaction.give_up_at = now.saturating_add(self.ring_limit);
        }
        self.cancel_if_allowed(now, out);
        if status > 100 { Happened::Ringing(status) } else { Happened::Nothing }
    }

    fn on_invite_response(
        &mut self,
        now: u64,
        (status, reason): (u16, &str),
        message: &Message<'_>,
        out: &mut Outbox,
    ) -> Happened {
        let Some(inviting) = self.inviting.take() else { return Happened::Nothing };
        let to = message.header("To").unwrap_or(&self.identity.to).to_owned();
        if status < 300 {
            return self.on_answer(now, &inviting, to, message, out);
        }
        self.acknowledge_refusal(&inviting, &to, out);
        self.offer_settled(false);
        let Some(direction) = inviting.direction else {
            return self.finish(
                now,
                match (inviting.cancel_wanted, status) {
                    (true, 487) => End::Cancelled,
                    _ => End::Rejected { status, phrase: reason.to_owned() },
                },
            );
        };
        if matches!(status, 408 | 481) {
            self.hang_up(now, out);
        }
        Happened::ReinviteRefused { direction, status }
    }

    fn on_answer(
        &mut self,
        now: u64,
        inviting: &Inviting,
        to: String,
        message: &Message<'_>,
        out: &mut Outbox,
    ) -> Happened {
        self.remote_tag = message.tag("To").map(str::to_owned);
        self.identity.to = to;
        if let Some(contact) = message.header("Contact") {
            self.target = uri_of(contact).to_owned();
        }
        if inviting.direction.is_none() {
            self.route = message.record_route();
            self.route.reverse();
        }
        let remote = sdp::read(message.body, None);
        let answer =
            inviting.wants_offer.then(|| self.describe(if self.we_hold { "sendonly" } else { "sendrecv" }, false));
        self.acknowledge(inviting.cseq, answer.as_deref(), out);
        let is_first = self.state == State::Inviting;
        if is_first {
            self.state = State::Confirmed;
        }
        let usable = remote.is_some();
        self.offer_settled(usable && !inviting.wants_offer);
        match remote {
            Some(audio) => {
                if let Some(direction) = inviting.direction {
                    self.we_hold = direction != "sendrecv";
                }
                if inviting.direction != Some("inactive") {
                    self.they_hold = !audio.receives;
                }
                self.agree(audio);
            }
            None => self.is_sure = false,
        }
        if inviting.cancel_wanted || !usable {
            // A 2xx that crossed our CANCEL, or one without usable audio: the dialog exists and must be ended.
            self.end = Some(if usable { End::Cancelled } else { End::BadAnswer });
            self.hang_up(now, out);
            return Happened::Nothing;
        }
        match &self.remote {
            Some(audio) if is_first => Happened::Answered(audio.clone()),
            _ => self.media_changed(),
        }
    }

    /// A final after the first one: sends the ACK again; a second dialog (a fork) is ended at once.
    fn on_late_response(&mut self, status: u16, cseq: u32, message: &Message<'_>, out: &mut Outbox) -> Happened {
        let is_ours = message.tag("To") == self.remote_tag.as_deref();
        if (200..300).contains(&status) && !is_ours {
            self.end_fork(cseq, message, out);
        } else if status >= 200
            && let Some((_, hop, bytes)) = self.ack.as_ref().filter(|ack| ack.0 == cseq)
        {
            out.push((*hop, bytes.clone()));
            self.count.retransmissions_seen += 1;
        }
        Happened::Nothing
    }

    fn end_fork(&self, invite_cseq: u32, message: &Message<'_>, out: &mut Outbox) {
        let (Some(contact), Some(to)) = (message.header("Contact"), message.header("To")) else { return };
        let uri = uri_of(contact);
        let mut route = message.record_route();
        route.reverse();
        let hop = if self.identity.reliable { self.hop } else { next_hop(uri, &route, self.hop) };
        for (method, cseq) in [("ACK", invite_cseq), ("BYE", invite_cseq + 1)] {
            let branch = self.branch(&format!("fork{method}"));
            let request = Request { method, uri, route: &route, cseq, branch: &branch, to, headers: &[], body: None };
            out.push((hop, self.identity.request(&request)));
        }
    }

    /// Sends the ACK of a 2xx: a transaction of its own (section 13.2.2.4).
    fn acknowledge(&mut self, cseq: u32, answer: Option<&str>, out: &mut Outbox) {
        let (branch, hop) = (format!("z9hG4bK{}.{cseq}a", self.identity.tag()), self.next_hop());
        let bytes = self.write(("ACK", cseq, &branch), Extra::sdp(answer));
        out.push((hop, bytes.clone()));
        self.ack = Some((cseq, hop, bytes));
    }

    /// Sends the ACK of another final response: it belongs to the INVITE's transaction (section 17.1.1.3).
    fn acknowledge_refusal(&mut self, inviting: &Inviting, to: &str, out: &mut Outbox) {
        let (branch, hop) = (&inviting.transaction.branch, inviting.transaction.hop);
        let (uri, route, cseq) = (&self.target, &self.route, inviting.cseq);
        let bytes =
            self.identity.request(&Request { method: "ACK", uri, route, cseq, branch, to, headers: &[], body: None });
        out.push((hop, bytes.clone()));
        self.ack = Some((cseq, hop, bytes));
    }
}
