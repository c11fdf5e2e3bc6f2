//! What an agent does with requests.

use super::call::{Call, Serving, Stage, Unacked};
use crate::load::call::{Outbox, Transaction};
use crate::load::message::{Message, Start, parameter, uri_of};
use crate::load::sdp::{self, RemoteAudio};
use crate::load::write::response;
use std::net::SocketAddr;

/// What a response is kept under: its request's branch and method.
pub(super) fn key_of(message: &Message<'_>) -> Option<String> {
    let branch = message.header("Via").and_then(|via| parameter(via, "branch"))?;
    Some(format!("{branch} {}", message.cseq()?.1))
}

/// The reason phrases that an agent uses.
pub(super) fn line(status: u16) -> (u16, &'static str) {
    let reason = match status {
        100 => "Trying",
        180 => "Ringing",
        200 => "OK",
        302 => "Moved Temporarily",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        603 => "Decline",
        _ => "Because",
    };
    (status, reason)
}

impl Call {
    /// A request within the call. The first INVITE is begun by [`Call::alert`].
    pub(super) fn on_request(&mut self, now: u64, message: &Message<'_>, source: SocketAddr, out: &mut Outbox) {
        let (Start::Request { method, .. }, Some((cseq, _))) = (message.start, message.cseq()) else { return };
        let Some(key) = key_of(message) else { return };
        if method == "ACK" {
            return self.on_ack(cseq, message);
        }
        if self.replies_again(&key, out) {
            return;
        }
        if method == "CANCEL" {
            return self.on_cancel(now, key, message, source, out);
        }
        let in_dialog = message.tag("To") == Some(self.ours.as_str()) && message.tag("From") == self.theirs.as_deref();
        if !in_dialog || self.stage == Stage::Over {
            return self.refuse(key, message, source, 481, out);
        }
        if self.their_cseq.is_some_and(|last| cseq <= last) {
            return self.refuse(key, message, source, 500, out);
        }
        self.their_cseq = Some(cseq);
        match method {
            "BYE" => {
                self.refuse(key, message, source, 200, out);
                self.finish(now);
            }
            "INVITE" if self.inviting.is_some() => self.refuse(key, message, source, 491, out),
            "INVITE" if self.stage == Stage::Up => self.on_reinvite(now, key, message, source, out),
            "INVITE" => self.refuse(key, message, source, 481, out),
            "OPTIONS" | "INFO" => self.refuse(key, message, source, 200, out),
            _ => self.refuse(key, message, source, 501, out),
        }
    }

    fn refuse(&mut self, key: String, message: &Message<'_>, source: SocketAddr, status: u16, out: &mut Outbox) {
        let bytes = response(message, line(status), Some(&self.ours), None, None);
        self.reply(key, source, bytes, out);
    }

    /// We are called: rings at once, and answers later.
    pub(super) fn alert(
        &mut self,
        now: u64,
        message: &Message<'_>,
        bytes: &[u8],
        source: SocketAddr,
        out: &mut Outbox,
    ) {
        let Some(key) = key_of(message) else { return };
        self.their_cseq = message.cseq().map(|(number, _)| number);
        let contact = self.identity.contact();
        let ringing = response(message, line(180), Some(&self.ours), Some(&contact), None);
        self.reply(key, source, ringing, out);
        self.serving = Some(Serving { message: bytes.to_vec(), source, answer_at: now, status: 200 });
        self.stage = Stage::Alerting;
    }

    /// The time to answer has come. Says whether the call is up.
    pub(super) fn answer(&mut self, now: u64, out: &mut Outbox) -> bool {
        let Some(Serving { message: bytes, source, status, .. }) = self.serving.take() else { return false };
        let Ok(message) = Message::parse(&bytes) else { return false };
        let Some(key) = key_of(&message) else { return false };
        let remote = sdp::read(message.body, self.laws.first().copied());
        if status >= 300 || (remote.is_none() && !message.body.is_empty()) {
            let status = if status >= 300 { status } else { 488 };
            self.refuse(key, &message, source, status, out);
            self.finish(now);
            return false;
        }
        self.stage = Stage::Up;
        self.accept(now, key, &message, source, remote, out);
        true
    }

    fn on_reinvite(&mut self, now: u64, key: String, message: &Message<'_>, source: SocketAddr, out: &mut Outbox) {
        if self.unacked.is_some() {
            return self.refuse(key, message, source, 500, out);
        }
        let remote = sdp::read(message.body, self.laws.first().copied());
        if remote.is_none() && !message.body.is_empty() {
            return self.refuse(key, message, source, 488, out);
        }
        if let Some(contact) = message.header("Contact") {
            self.target = uri_of(contact).to_owned();
        }
        self.accept(now, key, message, source, remote, out);
    }

    /// Sends 200 with our answer, or our offer if there was none.
    fn accept(
        &mut self,
        now: u64,
        key: String,
        message: &Message<'_>,
        source: SocketAddr,
        remote: Option<RemoteAudio>,
        out: &mut Outbox,
    ) {
        let expects_answer = remote.is_none();
        let direction = match &remote {
            Some(audio) => {
                self.they_hold = !audio.receives;
                self.laws = vec![audio.law];
                match (audio.receives, audio.sends && !self.we_hold) {
                    (true, true) => "sendrecv",
                    (true, false) => "sendonly",
                    (false, true) => "recvonly",
                    (false, false) => "inactive",
                }
            }
            None if self.we_hold => "sendonly",
            None => "sendrecv",
        };
        self.remote = remote.or(self.remote.take());
        let body = self.describe(direction);
        let contact = self.identity.contact();
        let sdp = Some(("application/sdp", body.as_str()));
        let bytes = response(message, line(200), Some(&self.ours), Some(&contact), sdp);
        let cseq = message.cseq().map_or(0, |(number, _)| number);
        // A 2xx is sent again like a request other than INVITE: at T1, 2*T1 ... T2 (section 13.3.1.4), over any transport.
        let mut unsent = Outbox::new();
        let transaction = Transaction::start(now, (source, key.clone()), bytes.clone(), (false, false), &mut unsent);
        self.unacked = Some(Unacked { cseq, transaction, expects_answer });
        self.reply(key, source, bytes, out);
    }

    fn on_ack(&mut self, cseq: u32, message: &Message<'_>) {
        let Some(unacked) = self.unacked.take_if(|unacked| unacked.cseq == cseq) else { return };
        if unacked.expects_answer {
            match sdp::read(message.body, self.laws.first().copied()) {
                Some(audio) => {
                    self.they_hold = !audio.receives;
                    self.laws = vec![audio.law];
                    self.remote = Some(audio);
                }
                None => self.is_sure = false,
            }
        }
    }

    /// Section 9.2: the INVITE, if it is still open, is answered with 487.
    fn on_cancel(&mut self, now: u64, key: String, message: &Message<'_>, source: SocketAddr, out: &mut Outbox) {
        let branch = key.split(' ').next().unwrap_or_default();
        let invite = format!("{branch} INVITE");
        let mut again = Outbox::new();
        let known = self.replies_again(&invite, &mut again);
        self.refuse(key, message, source, if known { 200 } else { 481 }, out);
        if let Some(serving) = self.serving.as_mut().filter(|_| known && self.stage == Stage::Alerting) {
            (serving.answer_at, serving.status) = (now, 487);
            self.answer(now, out);
        }
    }
}
