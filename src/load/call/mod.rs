//! One outgoing call: INVITE to BYE, without sockets or a clock of its own.
//!
//! The owner feeds it messages and time and sends what it puts into the [`Outbox`].

mod requests;
mod responses;
mod transaction;

use std::net::SocketAddr;

use super::g711::G711;
use super::sdp::{self, RemoteAudio};
use super::write::{Identity, Request, next_hop};
pub(crate) use transaction::{GIVE_UP, Outbox, Transaction};

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Answered, and ended by us in the ordinary way.
    Completed,
    Rejected {
        status: u16,
        phrase: String,
    },
    /// Nobody answered in time. True if it rang.
    NoAnswer {
        rang: bool,
    },
    /// The port is closed (ICMP).
    Refused,
    /// The other side hung up first.
    HungUp,
    ByeUnanswered,
    /// We gave up before it was answered.
    Cancelled,
    /// The 2xx carried no audio that we can use.
    BadAnswer,
    /// A failure on our own machine.
    Local(String),
}

/// What a message or a timer brought about.
#[derive(Debug, PartialEq)]
pub(crate) enum Happened {
    Nothing,
    /// A provisional response other than 100.
    Ringing(u16),
    Answered(RemoteAudio),
    /// A re-INVITE changed the stream.
    MediaChanged(RemoteAudio),
    Ended,
}

/// What a caller counts about signalling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signalling {
    pub retransmissions_sent: u64,
    pub retransmissions_seen: u64,
    pub malformed: u64,
    pub stray: u64,
    pub requests_answered: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    New,
    Inviting,
    Confirmed,
    Leaving,
    Ended,
}

/// What a call is started with.
#[derive(Debug)]
pub(crate) struct Start {
    pub identity: Identity,
    /// The part of branches and tags that is this call's own.
    pub unique: String,
    pub uri: String,
    pub hop: SocketAddr,
    pub rtp: SocketAddr,
    pub laws: Vec<G711>,
    /// How long it may ring, in nanoseconds.
    pub ring_limit: u64,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub identity: Identity,
    unique: String,
    uri: String,
    hop: SocketAddr,
    rtp: SocketAddr,
    laws: Vec<G711>,
    ring_limit: u64,
    pub state: State,
    pub end: Option<End>,
    pub invited_at: u64,
    cseq: u32,
    invite_cseq: u32,
    /// The target of requests in the dialog, and the route to it.
    target: String,
    route: Vec<String>,
    transaction: Option<Transaction>,
    cancel: Option<Transaction>,
    rang: bool,
    provisional: bool,
    cancel_wanted: bool,
    /// The ACK of the INVITE, for retransmitted finals.
    ack: Option<(SocketAddr, Vec<u8>)>,
    /// The answer to the last re-INVITE, by its CSeq, for retransmissions.
    answered: Option<(u32, Vec<u8>)>,
    /// The law in use, and the version of our description.
    law: Option<G711>,
    version: u64,
}

impl Call {
    pub fn new(start: Start) -> Call {
        let Start { identity, unique, uri, hop, rtp, laws, ring_limit } = start;
        Call {
            identity,
            unique,
            target: uri.clone(),
            uri,
            hop,
            rtp,
            laws,
            ring_limit,
            state: State::New,
            end: None,
            invited_at: 0,
            cseq: 0,
            invite_cseq: 0,
            route: Vec::new(),
            transaction: None,
            cancel: None,
            rang: false,
            provisional: false,
            cancel_wanted: false,
            ack: None,
            answered: None,
            law: None,
            version: 1,
        }
    }

    fn branch(&self, what: &str) -> String {
        format!("z9hG4bK{}.{}{what}", self.unique, self.cseq)
    }

    fn describe(&self, laws: &[G711], direction: &str) -> String {
        sdp::describe(self.rtp, laws, self.invited_at, self.version, direction)
    }

    /// Where we want packets, before the INVITE.
    pub fn set_rtp(&mut self, rtp: SocketAddr) {
        self.rtp = rtp;
    }

    /// Sends the INVITE.
    pub fn invite(&mut self, now: u64, out: &mut Outbox) {
        self.invited_at = now;
        self.cseq += 1;
        self.invite_cseq = self.cseq;
        let branch = self.branch("");
        let offer = self.describe(&self.laws, "sendrecv");
        let bytes = self.identity.request(&Request {
            method: "INVITE",
            uri: &self.uri,
            route: &[],
            cseq: self.cseq,
            branch: &branch,
            to: &self.identity.to,
            body: Some(("application/sdp", &offer)),
        });
        let kind = (true, self.identity.reliable);
        self.transaction = Some(Transaction::start(now, (self.hop, branch), bytes, kind, out));
        self.state = State::Inviting;
    }

    /// Ends the call: BYE, CANCEL, or nothing if it never began.
    pub fn hang_up(&mut self, now: u64, out: &mut Outbox) {
        match self.state {
            State::New => self.finish(End::Cancelled),
            State::Inviting if self.provisional => self.send_cancel(now, out),
            // CANCEL must wait for a provisional response (RFC 3261, section 9.1).
            State::Inviting => self.cancel_wanted = true,
            State::Confirmed => self.send_bye(now, out),
            State::Leaving | State::Ended => {}
        }
    }

    fn send_bye(&mut self, now: u64, out: &mut Outbox) {
        self.cseq += 1;
        let (branch, hop) = (self.branch(""), self.in_dialog_hop());
        let bytes = self.in_dialog("BYE", self.cseq, &branch);
        self.transaction = Some(Transaction::start(now, (hop, branch), bytes, (false, self.identity.reliable), out));
        self.state = State::Leaving;
    }

    fn send_cancel(&mut self, now: u64, out: &mut Outbox) {
        let Some(invite) = self.transaction.as_mut().filter(|_| self.cancel.is_none()) else { return };
        invite.give_up_at = now + GIVE_UP;
        let (hop, branch) = (invite.hop, invite.branch.clone());
        self.cancel_wanted = true;
        let bytes = self.identity.request(&Request {
            method: "CANCEL",
            uri: &self.uri,
            route: &[],
            cseq: self.invite_cseq,
            branch: &branch,
            to: &self.identity.to,
            body: None,
        });
        self.cancel = Some(Transaction::start(now, (hop, branch), bytes, (false, self.identity.reliable), out));
    }

    fn in_dialog_hop(&self) -> SocketAddr {
        if self.identity.reliable { self.hop } else { next_hop(&self.target, &self.route, self.hop) }
    }

    /// A request without a body inside the dialog.
    fn in_dialog(&self, method: &str, cseq: u32, branch: &str) -> Vec<u8> {
        self.identity.request(&Request {
            method,
            uri: &self.target,
            route: &self.route,
            cseq,
            branch,
            to: &self.identity.to,
            body: None,
        })
    }

    /// Ends the call here and now.
    pub fn finish(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.state = State::Ended;
        self.transaction = None;
        self.cancel = None;
    }

    /// When [`Call::on_time`] should be called next.
    pub fn due_at(&self) -> u64 {
        let due = |transaction: &Option<Transaction>| transaction.as_ref().map_or(u64::MAX, Transaction::due_at);
        due(&self.transaction).min(due(&self.cancel))
    }

    /// Retransmits and gives up.
    pub fn on_time(&mut self, now: u64, out: &mut Outbox, count: &mut Signalling) -> Happened {
        if let Some(cancel) = &mut self.cancel {
            count.retransmissions_sent += u64::from(cancel.resend(now, out));
            if now >= cancel.give_up_at {
                self.cancel = None;
            }
        }
        let Some(transaction) = &mut self.transaction else { return Happened::Nothing };
        if now < transaction.give_up_at {
            count.retransmissions_sent += u64::from(transaction.resend(now, out));
            return Happened::Nothing;
        }
        match self.state {
            State::Leaving => self.finish(End::ByeUnanswered),
            State::Inviting if self.provisional && self.cancel.is_none() && !self.cancel_wanted => {
                self.send_cancel(now, out);
                return Happened::Nothing;
            }
            _ => self.finish(End::NoAnswer { rang: self.rang }),
        }
        Happened::Ended
    }
}

#[cfg(test)]
mod tests;
