//! Requests of the peer inside the dialog (RFC 3261, section 12.2.2).

use super::answering::key_of;
use super::{Call, End, Happened, State};
use crate::ua::Outbox;
use crate::ua::message::{Message, Start};
use crate::ua::write::{Reply, status_of_unsupported};
use std::net::SocketAddr;

impl Call {
    /// A request of this Call-ID came from `source`. The first INVITE goes to [`Call::invited`], responses to
    /// [`Call::on_response`].
    pub fn on_request(&mut self, now: u64, message: &Message<'_>, source: SocketAddr, out: &mut Outbox) -> Happened {
        let (Start::Request { method, .. }, Some((cseq, _))) = (message.start, message.cseq()) else {
            self.count.stray += 1;
            return Happened::Nothing;
        };
        let Some(key) = key_of(message) else { return Happened::Nothing };
        if method == "ACK" {
            return self.on_ack(cseq, message);
        }
        if let Some(again) = self.replies.of(&key) {
            self.count.retransmissions_seen += 1;
            out.push(again);
            return Happened::Nothing;
        }
        match method {
            "CANCEL" => return self.on_cancel(now, key, message, source, out),
            "INVITE" if self.serves(&key) => return Happened::Nothing,
            _ => {}
        }
        let in_dialog = message.tag("To") == Some(self.identity.tag())
            && message.tag("From").is_some()
            && message.tag("From") == self.remote_tag.as_deref();
        if !in_dialog || matches!(self.state, State::New | State::Inviting | State::Ended) {
            return self.respond(key, message, source, 481, out);
        }
        if self.remote_cseq.is_some_and(|last| cseq <= last) {
            return self.respond(key, message, source, 500, out);
        }
        self.remote_cseq = Some(cseq);
        let status = match method {
            "BYE" => {
                let _ = self.respond(key, message, source, 200, out);
                let ended_by_us = self.state == State::Leaving;
                return self.finish(now, if ended_by_us { End::Completed } else { End::HungUp });
            }
            // Section 14.2.
            "INVITE" if self.inviting.is_some() => 491,
            "INVITE" if self.state == State::Confirmed && self.unacknowledged.is_some() => 500,
            "INVITE" if self.state == State::Confirmed => return self.on_reinvite(now, key, message, source, out),
            "INVITE" => 481,
            "OPTIONS" | "INFO" => 200,
            method => status_of_unsupported(method),
        };
        self.respond(key, message, source, status, out)
    }

    /// Answers a request of this Call-ID, an ACK excepted, with a status that the owner chooses. Nothing else comes of
    /// it.
    pub fn on_request_with(
        &mut self,
        now: u64,
        message: &Message<'_>,
        source: SocketAddr,
        status: u16,
        out: &mut Outbox,
    ) {
        match (message.start, key_of(message)) {
            (Start::Request { method: "ACK", .. }, _) => drop(self.on_request(now, message, source, out)),
            (_, Some(key)) => drop(self.respond(key, message, source, status, out)),
            _ => {}
        }
    }

    /// Answers a request with a response that changes nothing.
    pub(super) fn respond(
        &mut self,
        key: String,
        message: &Message<'_>,
        source: SocketAddr,
        status: u16,
        out: &mut Outbox,
    ) -> Happened {
        let bytes = Reply::new(status, self.identity.tag()).to(message);
        self.reply(key, source, bytes, out);
        Happened::Nothing
    }
}
