//! One call of an agent, from either side: its dialog, its transactions and what it knows of the other side.

use crate::load::call::{GIVE_UP, Outbox, Transaction};
use crate::load::g711::G711;
use crate::load::sdp::{self, RemoteAudio};
use crate::load::write::{Identity, Request, next_hop};
use crate::sim::SECOND;
use std::collections::VecDeque;
use std::net::SocketAddr;

use super::habits::Act;

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// We have invited.
    Calling,
    /// We are invited and have not answered.
    Alerting,
    /// There is a dialog and media flow.
    Up,
    /// We have sent BYE.
    Leaving,
    /// It is over.
    Over,
}

/// An INVITE of ours that has no final response yet.
#[derive(Debug)]
pub(super) struct Inviting {
    pub transaction: Transaction,
    pub cseq: u32,
    /// What a re-INVITE asks for; nothing if it is the first.
    pub direction: Option<&'static str>,
    pub provisional: bool,
    pub cancel_wanted: bool,
    pub is_cancelled: bool,
    /// Whether it left the offer to the other side.
    pub wants_offer: bool,
}

/// An INVITE of the other side that we have not answered yet.
#[derive(Debug)]
pub(super) struct Serving {
    pub message: Vec<u8>,
    pub source: SocketAddr,
    pub answer_at: u64,
    pub status: u16,
}

/// A 2xx of ours that was not acknowledged yet.
#[derive(Debug)]
pub(super) struct Unacked {
    pub cseq: u32,
    pub transaction: Transaction,
    /// Whether the answer to our offer comes with the ACK.
    pub expects_answer: bool,
}

/// Responses that are kept to be sent again.
const REPLIES_MAX: usize = 12;

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub identity: Identity,
    /// Our tag.
    pub ours: String,
    /// The other side's, once known.
    pub theirs: Option<String>,
    /// Whether we called.
    pub is_caller: bool,
    /// The service of the switch that we are connected to.
    pub service: String,
    pub stage: Stage,
    /// Whether all that we know of it was agreed with the other side: no transaction of it ended without an answer.
    pub is_sure: bool,
    pub began: u64,
    /// When it came to its end, if it has.
    pub ended: u64,
    pub(super) cseq: u32,
    pub(super) their_cseq: Option<u32>,
    pub(super) target: String,
    pub(super) route: Vec<String>,
    pub(super) hop: SocketAddr,
    pub(super) inviting: Option<Inviting>,
    pub(super) requests: Vec<(&'static str, u32, Transaction)>,
    pub(super) serving: Option<Serving>,
    pub(super) unacked: Option<Unacked>,
    /// The ACK of our last INVITE, by its CSeq number.
    pub(super) ack: Option<(u32, SocketAddr, Vec<u8>)>,
    replies: VecDeque<(String, SocketAddr, Vec<u8>)>,
    pub(super) acts: Vec<(u64, Act)>,
    /// Where we receive audio.
    pub(super) rtp: SocketAddr,
    pub(super) laws: Vec<G711>,
    pub(crate) remote: Option<RemoteAudio>,
    pub(super) version: u64,
    /// Whether we hold the other side, and whether it holds us.
    pub we_hold: bool,
    pub they_hold: bool,
}

impl Call {
    pub fn new(identity: Identity, ours: String, hop: SocketAddr, target: String, now: u64) -> Self {
        Self {
            rtp: identity.local,
            identity,
            ours,
            theirs: None,
            is_caller: false,
            service: String::new(),
            stage: Stage::Calling,
            is_sure: true,
            began: now,
            ended: u64::MAX,
            cseq: 0,
            their_cseq: None,
            target,
            route: Vec::new(),
            hop,
            inviting: None,
            requests: Vec::new(),
            serving: None,
            unacked: None,
            ack: None,
            replies: VecDeque::new(),
            acts: Vec::new(),
            laws: Vec::new(),
            remote: None,
            version: 0,
            we_hold: false,
            they_hold: false,
        }
    }

    /// Whether nothing of it is under way.
    pub fn is_calm(&self) -> bool {
        self.inviting.is_none() && self.requests.is_empty() && self.serving.is_none() && self.unacked.is_none()
    }

    /// A description of our side.
    pub(super) fn describe(&mut self, direction: &str) -> String {
        self.version += 1;
        sdp::describe(self.rtp, &self.laws, 1, self.version, direction)
    }

    fn next_hop(&self) -> SocketAddr {
        if self.identity.reliable { self.hop } else { next_hop(&self.target, &self.route, self.hop) }
    }

    fn write(&self, method: &str, cseq: u32, branch: &str, body: Option<&str>) -> Vec<u8> {
        self.identity.request(&Request {
            method,
            uri: &self.target,
            route: &self.route,
            cseq,
            branch,
            to: &self.identity.to,
            body: body.map(|body| ("application/sdp", body)),
        })
    }

    fn branch(&self, what: &str) -> String {
        format!("z9hG4bK{}.{}{what}", self.ours, self.cseq)
    }

    /// Sends INVITE: the first, or one that asks for a direction. Without `offers` the other side is to offer.
    pub(super) fn invite(&mut self, now: u64, direction: Option<&'static str>, offers: bool, out: &mut Outbox) {
        self.cseq += 1;
        let (branch, hop) = (self.branch(""), self.next_hop());
        let offer = offers.then(|| self.describe(direction.unwrap_or("sendrecv")));
        let bytes = self.write("INVITE", self.cseq, &branch, offer.as_deref());
        let transaction = Transaction::start(now, (hop, branch), bytes, (true, self.identity.reliable), out);
        let (cseq, provisional, cancel_wanted, is_cancelled) = (self.cseq, false, false, false);
        let wants_offer = !offers;
        self.inviting =
            Some(Inviting { transaction, cseq, direction, provisional, cancel_wanted, is_cancelled, wants_offer });
    }

    /// Sends a request without a body within the dialog.
    pub(super) fn request(&mut self, now: u64, method: &'static str, out: &mut Outbox) {
        self.cseq += 1;
        let (branch, hop) = (self.branch(""), self.next_hop());
        let bytes = self.write(method, self.cseq, &branch, None);
        let transaction = Transaction::start(now, (hop, branch), bytes, (false, self.identity.reliable), out);
        self.requests.push((method, self.cseq, transaction));
    }

    /// Sends the ACK of a 2xx.
    pub(super) fn acknowledge(&mut self, cseq: u32, answer: Option<&str>, out: &mut Outbox) {
        let (branch, hop) = (format!("z9hG4bK{}.{cseq}a", self.ours), self.next_hop());
        let bytes = self.write("ACK", cseq, &branch, answer);
        out.push((hop, bytes.clone()));
        self.ack = Some((cseq, hop, bytes));
    }

    /// Sends the ACK of another final response: it belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3).
    pub(super) fn acknowledge_refusal(&mut self, inviting: &Inviting, to: &str, out: &mut Outbox) {
        let Transaction { branch, hop, .. } = &inviting.transaction;
        let bytes = self.identity.request(&Request {
            method: "ACK",
            uri: &self.target,
            route: &self.route,
            cseq: inviting.cseq,
            branch,
            to,
            body: None,
        });
        out.push((*hop, bytes.clone()));
        self.ack = Some((inviting.cseq, *hop, bytes));
    }

    /// Ends the call as its stage has it: CANCEL, BYE, or a refusal.
    pub(super) fn hang_up(&mut self, now: u64, out: &mut Outbox) {
        match self.stage {
            Stage::Calling => {
                if let Some(inviting) = &mut self.inviting {
                    inviting.cancel_wanted = true;
                }
                self.cancel_if_allowed(now, out);
            }
            Stage::Up => {
                if self.unacked.is_some() {
                    // Section 15: the callee may not send BYE before the ACK.
                    return self.acts.insert(0, (now + SECOND / 4, Act::HangUp));
                }
                self.acts.clear();
                self.stage = Stage::Leaving;
                self.request(now, "BYE", out);
            }
            Stage::Alerting => {
                if let Some(serving) = &mut self.serving {
                    (serving.answer_at, serving.status) = (now, 480);
                }
            }
            Stage::Leaving | Stage::Over => {}
        }
    }

    /// Section 9.1: only after a provisional response.
    pub(super) fn cancel_if_allowed(&mut self, now: u64, out: &mut Outbox) {
        let Some(inviting) = &mut self.inviting else { return };
        if !inviting.cancel_wanted || !inviting.provisional || std::mem::replace(&mut inviting.is_cancelled, true) {
            return;
        }
        inviting.transaction.give_up_at = now + GIVE_UP;
        let (cseq, branch, hop) = (inviting.cseq, inviting.transaction.branch.clone(), inviting.transaction.hop);
        let bytes = self.write("CANCEL", cseq, &branch, None);
        let transaction = Transaction::start(now, (hop, branch), bytes, (false, self.identity.reliable), out);
        self.requests.push(("CANCEL", cseq, transaction));
    }

    /// It is over.
    pub(super) fn finish(&mut self, now: u64) {
        self.stage = Stage::Over;
        self.ended = self.ended.min(now);
        self.acts.clear();
        self.unacked = None;
    }

    /// Keeps a response, by branch and method of its request, and sends it.
    pub(super) fn reply(&mut self, key: String, source: SocketAddr, bytes: Vec<u8>, out: &mut Outbox) {
        out.push((source, bytes.clone()));
        self.replies.retain(|(known, ..)| *known != key);
        self.replies.push_back((key, source, bytes));
        if self.replies.len() > REPLIES_MAX {
            self.replies.pop_front();
        }
    }

    /// Whether a request is one that was answered; if so it is answered again.
    pub(super) fn replies_again(&self, key: &str, out: &mut Outbox) -> bool {
        let known = self.replies.iter().find(|(known, ..)| known == key);
        out.extend(known.map(|(_, source, bytes)| (*source, bytes.clone())));
        known.is_some()
    }

    /// When something of it is due.
    pub(super) fn due_at(&self) -> u64 {
        let inviting = self.inviting.as_ref().map_or(u64::MAX, |it| it.transaction.due_at());
        let requests = self.requests.iter().map(|it| it.2.due_at()).min().unwrap_or(u64::MAX);
        let serving = self.serving.as_ref().map_or(u64::MAX, |it| it.answer_at);
        let unacked = self.unacked.as_ref().map_or(u64::MAX, |it| it.transaction.due_at());
        let acts = self.acts.first().map_or(u64::MAX, |it| it.0);
        inviting.min(requests).min(serving).min(unacked).min(acts)
    }

    /// Sends again what was not answered, and gives up what never will be.
    pub(super) fn retransmit(&mut self, now: u64, out: &mut Outbox) {
        if let Some(inviting) = &mut self.inviting {
            inviting.transaction.resend(now, out);
            if now >= inviting.transaction.give_up_at {
                self.give_up_inviting(now, out);
            }
        }
        let mut unanswered = Vec::new();
        self.requests.retain_mut(|(method, _, transaction)| {
            transaction.resend(now, out);
            let keeps = now < transaction.give_up_at;
            if !keeps {
                unanswered.push(*method);
            }
            keeps
        });
        for method in unanswered {
            self.is_sure = false;
            if method == "BYE" {
                self.finish(now);
            }
        }
        if let Some(unacked) = &mut self.unacked {
            unacked.transaction.resend(now, out);
            if now >= unacked.transaction.give_up_at {
                self.unacked = None;
                self.is_sure = false;
                self.hang_up(now, out);
            }
        }
    }

    fn give_up_inviting(&mut self, now: u64, out: &mut Outbox) {
        let Some(mut inviting) = self.inviting.take() else { return };
        if inviting.provisional && !inviting.cancel_wanted {
            inviting.cancel_wanted = true;
            inviting.transaction.give_up_at = now + GIVE_UP;
            self.inviting = Some(inviting);
            return self.cancel_if_allowed(now, out);
        }
        self.is_sure = false;
        if inviting.direction.is_none() {
            self.finish(now);
        } else {
            // Section 14.1: a re-INVITE that times out ends the call.
            self.hang_up(now, out);
        }
    }
}
