//! What the other side answers.

use super::{Call, End, Happened, Outbox, Signalling, State};
use crate::load::message::{Message, Start, uri_of};
use crate::load::sdp;
use crate::load::write::{Request, next_hop};

impl Call {
    /// A response came. Requests go to [`Call::on_request`].
    pub fn on_response(
        &mut self,
        now: u64,
        message: &Message<'_>,
        out: &mut Outbox,
        count: &mut Signalling,
    ) -> Happened {
        let (Start::Response { status, reason }, Some((cseq, method))) = (message.start, message.cseq()) else {
            count.stray += 1;
            return Happened::Nothing;
        };
        match method {
            "INVITE" if cseq == self.invite_cseq => match self.state {
                State::Inviting => self.on_invite_response(now, (status, reason), message, out),
                _ => self.on_late_final(status, message, out, count),
            },
            "BYE" if self.state == State::Leaving && cseq == self.cseq => {
                if status >= 200 {
                    self.finish(End::Completed);
                    return Happened::Ended;
                }
                if let Some(transaction) = &mut self.transaction {
                    transaction.provisional(now, false);
                }
                Happened::Nothing
            }
            "CANCEL" => {
                self.cancel.take_if(|_| status >= 200);
                Happened::Nothing
            }
            "BYE" => Happened::Nothing,
            _ => {
                count.stray += 1;
                Happened::Nothing
            }
        }
    }

    fn on_invite_response(
        &mut self,
        now: u64,
        (status, reason): (u16, &str),
        message: &Message<'_>,
        out: &mut Outbox,
    ) -> Happened {
        match status {
            100..200 => self.on_provisional(now, status, out),
            200..300 => self.on_answer(now, message, out),
            _ => {
                self.acknowledge_refusal(message, out);
                self.finish(match (self.cancel_wanted, status) {
                    (true, 487) => End::Cancelled,
                    _ => End::Rejected { status, phrase: reason.to_owned() },
                });
                Happened::Ended
            }
        }
    }

    fn on_provisional(&mut self, now: u64, status: u16, out: &mut Outbox) -> Happened {
        let first = !self.provisional;
        self.provisional = true;
        self.rang |= status > 100;
        if let Some(transaction) = self.transaction.as_mut().filter(|_| first) {
            transaction.provisional(now, true);
            transaction.give_up_at = self.invited_at.saturating_add(self.ring_limit).max(now);
        }
        if self.cancel_wanted {
            self.send_cancel(now, out);
        }
        if status > 100 { Happened::Ringing(status) } else { Happened::Nothing }
    }

    fn on_answer(&mut self, now: u64, message: &Message<'_>, out: &mut Outbox) -> Happened {
        if let Some(contact) = message.header("Contact") {
            self.target = uri_of(contact).to_owned();
        }
        self.route = message.record_route();
        self.route.reverse();
        if let Some(to) = message.header("To") {
            self.identity.to = to.to_owned();
        }
        let hop = self.in_dialog_hop();
        let ack = self.in_dialog("ACK", self.invite_cseq, &self.branch("a"));
        out.push((hop, ack.clone()));
        self.ack = Some((hop, ack));
        self.state = State::Confirmed;
        self.transaction = None;
        self.cancel = None;
        let remote = sdp::read(message.body, None);
        match remote {
            Some(remote) if !self.cancel_wanted => {
                self.law = Some(remote.law);
                Happened::Answered(remote)
            }
            remote => {
                // A 2xx that crossed our CANCEL, or one without usable audio: the dialog exists and must be ended.
                self.end = Some(if remote.is_some() { End::Cancelled } else { End::BadAnswer });
                self.send_bye(now, out);
                Happened::Nothing
            }
        }
    }

    /// A final after the first one: sends the ACK again; a second dialog (a fork) is ended at once.
    fn on_late_final(
        &mut self,
        status: u16,
        message: &Message<'_>,
        out: &mut Outbox,
        count: &mut Signalling,
    ) -> Happened {
        if status < 200 {
            return Happened::Nothing;
        }
        let same_dialog = message.tag("To") == crate::load::message::parameter(&self.identity.to, "tag");
        if (200..300).contains(&status) && !same_dialog {
            self.end_fork(message, out);
        } else if let Some(ack) = &self.ack {
            count.retransmissions_seen += 1;
            out.push(ack.clone());
        }
        Happened::Nothing
    }

    fn end_fork(&self, message: &Message<'_>, out: &mut Outbox) {
        let (Some(contact), Some(to)) = (message.header("Contact"), message.header("To")) else { return };
        let target = uri_of(contact);
        let mut route = message.record_route();
        route.reverse();
        let hop = if self.identity.reliable { self.hop } else { next_hop(target, &route, self.hop) };
        for (method, cseq) in [("ACK", self.invite_cseq), ("BYE", self.invite_cseq + 1)] {
            let branch = self.branch(&format!("fork{method}"));
            let request = Request { method, uri: target, route: &route, cseq, branch: &branch, to, body: None };
            out.push((hop, self.identity.request(&request)));
        }
    }

    /// The ACK of a final that refuses belongs to the INVITE's transaction (RFC 3261, section 17.1.1.3).
    fn acknowledge_refusal(&mut self, message: &Message<'_>, out: &mut Outbox) {
        let Some(transaction) = &self.transaction else { return };
        let ack = self.identity.request(&Request {
            method: "ACK",
            uri: &self.uri,
            route: &[],
            cseq: self.invite_cseq,
            branch: &transaction.branch,
            to: message.header("To").unwrap_or(&self.identity.to),
            body: None,
        });
        out.push((transaction.hop, ack.clone()));
        self.ack = Some((transaction.hop, ack));
        if let Some(to) = message.header("To") {
            self.identity.to = to.to_owned();
        }
    }
}
