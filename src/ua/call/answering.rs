//! An INVITE of the peer: it rings, is answered or refused, and its final response is sent again until the ACK comes.

use super::{Call, End, Happened, State};
use crate::ua::message::{Message, uri_of};
use crate::ua::sdp::{self, RemoteAudio};
use crate::ua::write::Reply;
use crate::ua::{Outbox, Transaction};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// An INVITE of the peer that we have not answered yet.
#[derive(Debug)]
pub(super) struct Serving {
    key: String,
    message: Vec<u8>,
    source: SocketAddr,
}

/// A final response to INVITE that was not acknowledged yet.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    pub cseq: u32,
    pub transaction: Transaction,
    /// Whether it is a 2xx.
    pub accepts: bool,
    /// Whether the answer to our offer comes with the ACK.
    expects_answer: bool,
}

/// Responses that are kept to be sent again, by branch and method of their requests.
#[derive(Debug, Default)]
pub(super) struct Replies(VecDeque<(String, SocketAddr, Vec<u8>)>);

/// How many are kept.
const REPLIES_MAX: usize = 12;

impl Replies {
    fn keep(&mut self, key: String, source: SocketAddr, bytes: Vec<u8>) {
        self.0.retain(|(known, ..)| *known != key);
        self.0.push_back((key, source, bytes));
        if self.0.len() > REPLIES_MAX {
            self.0.pop_front();
        }
    }

    pub(super) fn of(&self, key: &str) -> Option<(SocketAddr, Vec<u8>)> {
        self.0.iter().find(|(known, ..)| known == key).map(|(_, source, bytes)| (*source, bytes.clone()))
    }
}

/// What a response is kept under.
pub(super) fn key_of(message: &Message<'_>) -> Option<String> {
    Some(format!("{} {}", message.branch()?, message.cseq()?.1))
}

impl Call {
    /// An INVITE outside of a dialog came. Nothing is sent yet; the owner decides what to do with it.
    pub fn invited(&mut self, now: u64, message: &Message<'_>, bytes: &[u8], source: SocketAddr) {
        let Some(key) = key_of(message) else { return };
        self.began = now;
        self.state = State::Invited;
        self.remote_tag = message.tag("From").map(str::to_owned);
        self.identity.to = message.header("From").unwrap_or_default().to_owned();
        self.remote_cseq = message.cseq().map(|(number, _)| number);
        if let Some(target) = message.header("Contact").or_else(|| message.header("From")) {
            self.target = uri_of(target).to_owned();
        }
        // The recorded route in its order (RFC 3261, section 12.1.1).
        self.route = message.record_route();
        self.serving = Some(Serving { key, message: bytes.to_vec(), source });
    }

    /// Sends a provisional response to the INVITE.
    pub fn ring(&mut self, status: u16, out: &mut Outbox) {
        let Some(Serving { key, message, source }) = &self.serving else { return };
        let Ok(message) = Message::parse(message) else { return };
        let contact = self.identity.contact();
        let bytes = Reply { contact: Some(&contact), ..Reply::new(status, self.identity.tag()) }.to(&message);
        self.reply(key.clone(), *source, bytes, out);
    }

    /// Answers the INVITE with 200; with 488 if its offer has no audio that we know.
    pub fn answer(&mut self, now: u64, out: &mut Outbox) -> Happened {
        let Some(serving) = self.serving.take() else { return Happened::Nothing };
        let Ok(message) = Message::parse(&serving.message) else { return Happened::Nothing };
        let remote = self.read_offer(message.body);
        if remote.is_none() && !message.body.is_empty() {
            return self.refuse_serving(now, &serving, 488, out);
        }
        self.state = State::Confirmed;
        self.accept(now, serving.key, &message, serving.source, remote, out);
        self.remote.clone().map_or(Happened::Nothing, Happened::Answered)
    }

    /// Refuses the INVITE.
    pub fn refuse(&mut self, now: u64, status: u16, out: &mut Outbox) -> Happened {
        match self.serving.take() {
            Some(serving) => self.refuse_serving(now, &serving, status, out),
            None => Happened::Nothing,
        }
    }

    fn refuse_serving(&mut self, now: u64, serving: &Serving, status: u16, out: &mut Outbox) -> Happened {
        let Ok(message) = Message::parse(&serving.message) else { return Happened::Nothing };
        let (key, source) = (serving.key.clone(), serving.source);
        let bytes = Reply::new(status, self.identity.tag()).to(&message);
        let end = if status == 487 { End::Cancelled } else { End::Rejected { status, phrase: String::new() } };
        let happened = self.finish(now, end);
        let cseq = message.cseq().map_or(0, |(number, _)| number);
        // Timer G: over a reliable transport a refusal is not sent again (section 17.2.1).
        self.await_ack(now, (cseq, false, false), (source, key.clone()), bytes.clone());
        self.reply(key, source, bytes, out);
        happened
    }

    /// A re-INVITE of the peer.
    pub(super) fn on_reinvite(
        &mut self,
        now: u64,
        key: String,
        message: &Message<'_>,
        source: SocketAddr,
        out: &mut Outbox,
    ) -> Happened {
        let remote = self.read_offer(message.body);
        if remote.is_none() && !message.body.is_empty() {
            return self.respond(key, message, source, 488, out);
        }
        if let Some(contact) = message.header("Contact") {
            self.target = uri_of(contact).to_owned();
        }
        let has_offer = remote.is_some();
        self.accept(now, key, message, source, remote, out);
        if has_offer { self.media_changed() } else { Happened::Nothing }
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
        let direction = self.answering_direction(remote.as_ref());
        if let Some(audio) = remote {
            self.they_hold = !audio.receives;
            self.agree(audio);
        }
        let body = self.describe(direction, expects_answer);
        let contact = self.identity.contact();
        let body = Some(("application/sdp", body.as_str()));
        let bytes = Reply { contact: Some(&contact), body, ..Reply::new(200, self.identity.tag()) }.to(message);
        let cseq = message.cseq().map_or(0, |(number, _)| number);
        self.await_ack(now, (cseq, true, expects_answer), (source, key.clone()), bytes.clone());
        self.reply(key, source, bytes, out);
    }

    /// A final response is sent again like a request other than INVITE: at T1, 2*T1 ... T2. A 2xx over any transport
    /// (section 13.3.1.4).
    fn await_ack(
        &mut self,
        now: u64,
        (cseq, accepts, expects_answer): (u32, bool, bool),
        way: (SocketAddr, String),
        bytes: Vec<u8>,
    ) {
        // The caller sends it.
        let mut unsent = Outbox::new();
        let reliable = self.identity.reliable && !accepts;
        let transaction = Transaction::start(now, way, bytes, (false, reliable), &mut unsent);
        self.unacknowledged = Some(Unacknowledged { cseq, transaction, accepts, expects_answer });
    }

    pub(super) fn on_ack(&mut self, cseq: u32, message: &Message<'_>) -> Happened {
        let Some(answered) = self.unacknowledged.take_if(|it| it.cseq == cseq) else { return Happened::Nothing };
        if answered.expects_answer {
            match sdp::read(message.body, self.codec_of_ours()) {
                Some(audio) => {
                    self.they_hold = !audio.receives;
                    self.agree(audio);
                }
                None => self.is_sure = false,
            }
        }
        Happened::Acknowledged
    }

    /// Section 9.2: the INVITE, if it is still open, is answered with 487.
    pub(super) fn on_cancel(
        &mut self,
        now: u64,
        key: String,
        message: &Message<'_>,
        source: SocketAddr,
        out: &mut Outbox,
    ) -> Happened {
        let branch = key.split(' ').next().unwrap_or_default();
        let invite = format!("{branch} INVITE");
        let is_open = self.serving.as_ref().is_some_and(|serving| serving.key == invite);
        let is_known = is_open || self.replies.of(&invite).is_some();
        let _ = self.respond(key, message, source, if is_known { 200 } else { 481 }, out);
        if is_open { self.refuse(now, 487, out) } else { Happened::Nothing }
    }

    /// Whether the INVITE of this key waits for its final response.
    pub(super) fn serves(&self, key: &str) -> bool {
        self.serving.as_ref().is_some_and(|serving| serving.key == key)
    }

    /// Keeps a response, to send it again, and sends it.
    pub(super) fn reply(&mut self, key: String, source: SocketAddr, bytes: Vec<u8>, out: &mut Outbox) {
        out.push((source, bytes.clone()));
        self.replies.keep(key, source, bytes);
    }
}
