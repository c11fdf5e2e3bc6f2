//! One call from either side, from its INVITE to its end.
//!
//! The owner feeds it messages and time and sends what it puts into the [`Outbox`].

mod answering;
mod offers;
mod requests;
mod responses;
mod timers;

use super::codec::Codec;
use super::sdp::{Layout, RemoteAudio};
use super::transaction::GIVE_UP;
use super::write::{Identity, Request, next_hop};
use super::{Outbox, SECOND, Transaction};
use answering::{Replies, Serving, Unacknowledged};
use std::borrow::Cow;
use std::net::SocketAddr;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Answered, and ended by us in the ordinary way.
    Completed,
    /// Refused, by either side.
    Rejected {
        status: u16,
        phrase: String,
    },
    /// No final response in time. True if it rang.
    NoAnswer {
        rang: bool,
    },
    /// The port is closed (ICMP).
    Refused,
    /// The peer hung up first.
    HungUp,
    ByeUnanswered,
    /// Given up by the caller before it was answered.
    Cancelled,
    /// The 2xx carried no audio that we can use.
    BadAnswer,
    /// A failure on our own machine.
    Local(String),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Rejected { status, phrase } => write!(f, "{status} {phrase}"),
            Self::NoAnswer { rang: true } => f.write_str("rang, not answered"),
            Self::NoAnswer { rang: false } => f.write_str("no response"),
            Self::Refused => f.write_str("port closed"),
            Self::HungUp => f.write_str("hung up by the other side"),
            Self::ByeUnanswered => f.write_str("BYE not answered"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::BadAnswer => f.write_str("answered without usable audio"),
            Self::Local(what) => write!(f, "here: {what}"),
        }
    }
}

/// The effect of a message, a timer or a verb.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum Happened {
    Nothing,
    /// A provisional response other than 100.
    Ringing(u16),
    /// The call is up: the peer or we have answered.
    Answered(RemoteAudio),
    /// Our final response to the INVITE was acknowledged.
    Acknowledged,
    /// A re-INVITE of either side changed the stream.
    MediaChanged(RemoteAudio),
    /// The peer refused a re-INVITE of ours.
    ReinviteRefused {
        direction: &'static str,
        status: u16,
    },
    Ended,
}

/// The counters of a user agent for signalling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signalling {
    pub retransmissions_sent: u64,
    pub retransmissions_seen: u64,
    pub malformed: u64,
    pub stray: u64,
}

impl std::ops::AddAssign for Signalling {
    fn add_assign(&mut self, other: Self) {
        self.retransmissions_sent += other.retransmissions_sent;
        self.retransmissions_seen += other.retransmissions_seen;
        self.malformed += other.malformed;
        self.stray += other.stray;
    }
}

/// The state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was sent or received yet.
    New,
    /// We have invited.
    Inviting,
    /// We are invited and have not answered.
    Invited,
    /// There is a dialog, and media is sent.
    Confirmed,
    /// We have sent BYE.
    Leaving,
    Ended,
}

/// What a call is started with.
#[derive(Debug)]
pub struct Start {
    /// Its tag is also the part of the branches that is this call's own.
    pub identity: Identity,
    /// The target of the INVITE. A call that comes in has that of its Contact.
    pub uri: String,
    /// Where the INVITE goes, and what follows if the target is no address.
    pub hop: SocketAddr,
    /// Where we receive audio.
    pub rtp: SocketAddr,
    /// By preference.
    pub codecs: Vec<Codec>,
    /// How long it may ring, in nanoseconds from the first provisional response.
    pub ring_limit: u64,
}

/// An INVITE of ours that has no final response yet.
#[derive(Debug)]
struct Inviting {
    transaction: Transaction,
    cseq: u32,
    /// What a re-INVITE asks for; nothing if it is the first INVITE.
    direction: Option<&'static str>,
    provisional: bool,
    cancel_wanted: bool,
    is_cancelled: bool,
    /// Whether it left the offer to the peer.
    wants_offer: bool,
}

/// Another request of ours that has no final response yet.
#[derive(Debug)]
struct Pending {
    method: Cow<'static, str>,
    cseq: u32,
    transaction: Transaction,
}

#[derive(Debug)]
pub struct Call {
    pub identity: Identity,
    /// The tag of the peer, once it is known.
    pub remote_tag: Option<String>,
    pub state: State,
    pub end: Option<End>,
    /// Whether all that we know of it was agreed with the peer: no transaction of it ended without a usable answer.
    pub is_sure: bool,
    /// When the INVITE was sent or came.
    pub began: u64,
    /// When it came to its end, if it has.
    pub ended: u64,
    pub count: Signalling,
    /// What the peer's last description says.
    pub remote: Option<RemoteAudio>,
    /// Whether we hold the peer, and whether it holds us.
    pub we_hold: bool,
    pub they_hold: bool,
    /// Where we receive audio.
    pub rtp: SocketAddr,
    /// How our descriptions are written.
    pub layout: Layout,
    /// What our next offer has in their place, or the one that is out.
    offered: Option<(Layout, SocketAddr)>,
    /// Whether an answer of ours takes our first codec instead of the peer's.
    pub prefers_own: bool,
    /// How long our INVITEs may wait for an answer, in seconds (RFC 3261, section 13.3.1).
    pub expires_s: Option<u32>,
    codecs: Vec<Codec>,
    ring_limit: u64,
    /// The number in o=, and the version of our description.
    session: u64,
    version: u64,
    cseq: u32,
    remote_cseq: Option<u32>,
    /// The target of requests in the dialog, the route to it, and where the first message went or came from.
    target: String,
    route: Vec<String>,
    hop: SocketAddr,
    inviting: Option<Inviting>,
    pending: Vec<Pending>,
    serving: Option<Serving>,
    unacknowledged: Option<Unacknowledged>,
    /// The ACK of our last INVITE, by its CSeq number, for finals that come again.
    ack: Option<(u32, SocketAddr, Vec<u8>)>,
    replies: Replies,
    rang: bool,
    /// When a BYE that had to wait for an ACK is tried again.
    leaves_at: u64,
}

/// How long a BYE that may not be sent yet waits.
const LEAVES_AFTER: u64 = SECOND / 4;

impl Call {
    pub fn new(start: Start) -> Call {
        let Start { identity, uri, hop, rtp, codecs, ring_limit } = start;
        Call {
            identity,
            remote_tag: None,
            state: State::New,
            end: None,
            is_sure: true,
            began: 0,
            ended: u64::MAX,
            count: Signalling::default(),
            remote: None,
            we_hold: false,
            they_hold: false,
            rtp,
            layout: Layout::default(),
            offered: None,
            prefers_own: false,
            expires_s: None,
            codecs,
            ring_limit,
            session: 1,
            version: 0,
            cseq: 0,
            remote_cseq: None,
            target: uri,
            route: Vec::new(),
            hop,
            inviting: None,
            pending: Vec::new(),
            serving: None,
            unacknowledged: None,
            ack: None,
            replies: Replies::default(),
            rang: false,
            leaves_at: u64::MAX,
        }
    }

    /// Whether no transaction of it is under way.
    pub fn is_calm(&self) -> bool {
        !self.has_invite_under_way() && self.pending.is_empty() && self.serving.is_none()
    }

    /// Whether an INVITE of either side has no final response or no ACK yet (RFC 3261, section 14.1).
    pub fn has_invite_under_way(&self) -> bool {
        self.inviting.is_some() || self.unacknowledged.is_some()
    }

    fn next_hop(&self) -> SocketAddr {
        if self.identity.reliable { self.hop } else { next_hop(&self.target, &self.route, self.hop) }
    }

    fn branch(&self, what: &str) -> String {
        format!("z9hG4bK{}.{}{what}", self.identity.tag(), self.cseq)
    }

    fn write(&self, (method, cseq, branch): (&str, u32, &str), extra: Extra<'_>) -> Vec<u8> {
        self.identity.request(&Request {
            method,
            uri: &self.target,
            route: &self.route,
            cseq,
            branch,
            to: &self.identity.to,
            headers: extra.headers,
            body: extra.body,
        })
    }

    /// Sends the INVITE, with an offer or without one.
    pub fn invite(&mut self, now: u64, offers: bool, out: &mut Outbox) {
        self.began = now;
        self.state = State::Inviting;
        self.send_invite(now, None, offers, out);
    }

    /// Sends a re-INVITE with this direction (RFC 3261, section 14.1).
    pub fn reinvite(&mut self, now: u64, direction: &'static str, out: &mut Outbox) {
        self.send_invite(now, Some(direction), true, out);
    }

    fn send_invite(&mut self, now: u64, direction: Option<&'static str>, offers: bool, out: &mut Outbox) {
        self.cseq += 1;
        let (branch, hop) = (self.branch(""), self.next_hop());
        let offer = offers.then(|| self.describe(direction.unwrap_or("sendrecv"), true));
        let expires: Vec<_> = self.expires_s.iter().map(|s| ("Expires".to_owned(), s.to_string())).collect();
        let extra = Extra { headers: &expires, ..Extra::sdp(offer.as_deref()) };
        let bytes = self.write(("INVITE", self.cseq, &branch), extra);
        let transaction = Transaction::start(now, (hop, branch), bytes, (true, self.identity.reliable), out);
        self.inviting = Some(Inviting {
            transaction,
            cseq: self.cseq,
            direction,
            provisional: false,
            cancel_wanted: false,
            is_cancelled: false,
            wants_offer: !offers,
        });
    }

    /// Sends a request within the dialog.
    pub fn request(&mut self, now: u64, method: impl Into<Cow<'static, str>>, extra: Extra<'_>, out: &mut Outbox) {
        self.cseq += 1;
        let (method, branch) = (method.into(), self.branch(""));
        let bytes = self.write((&method, self.cseq, &branch), extra);
        self.start_pending(now, method, self.cseq, (self.next_hop(), branch), bytes, out);
    }

    fn start_pending(
        &mut self,
        now: u64,
        method: Cow<'static, str>,
        cseq: u32,
        way: (SocketAddr, String),
        bytes: Vec<u8>,
        out: &mut Outbox,
    ) {
        let transaction = Transaction::start(now, way, bytes, (false, self.identity.reliable), out);
        self.pending.push(Pending { method, cseq, transaction });
    }

    /// Ends the call as its state has it: BYE, CANCEL, a refusal, or nothing if it never began. A BYE waits for the ACK
    /// of our 2xx (RFC 3261, section 15), a CANCEL for a provisional response (section 9.1).
    pub fn hang_up(&mut self, now: u64, out: &mut Outbox) {
        match self.state {
            State::New => drop(self.finish(now, End::Cancelled)),
            State::Inviting => {
                if let Some(inviting) = &mut self.inviting {
                    inviting.cancel_wanted = true;
                }
                self.cancel_if_allowed(now, out);
            }
            State::Invited => drop(self.refuse(now, 480, out)),
            State::Confirmed if self.unacknowledged.is_some() => self.leaves_at = now + LEAVES_AFTER,
            State::Confirmed => {
                self.state = State::Leaving;
                self.request(now, "BYE", Extra::default(), out);
            }
            State::Leaving | State::Ended => {}
        }
    }

    fn cancel_if_allowed(&mut self, now: u64, out: &mut Outbox) {
        let Some(inviting) = &mut self.inviting else { return };
        if !inviting.cancel_wanted || !inviting.provisional || std::mem::replace(&mut inviting.is_cancelled, true) {
            return;
        }
        inviting.transaction.give_up_at = now + GIVE_UP;
        let (cseq, branch, hop) = (inviting.cseq, inviting.transaction.branch.clone(), inviting.transaction.hop);
        let bytes = self.write(("CANCEL", cseq, &branch), Extra::default());
        self.start_pending(now, "CANCEL".into(), cseq, (hop, branch), bytes, out);
    }

    /// It is over now. A call that is over already stays as it is.
    pub fn finish(&mut self, now: u64, end: End) -> Happened {
        self.end.get_or_insert(end);
        self.ended = self.ended.min(now);
        self.unacknowledged = None;
        self.leaves_at = u64::MAX;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => Happened::Nothing,
            _ => Happened::Ended,
        }
    }
}

/// Header fields and a body beside what every request has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    pub headers: &'a [(String, String)],
    /// Content type and body.
    pub body: Option<(&'a str, &'a str)>,
}

impl<'a> Extra<'a> {
    fn sdp(description: Option<&'a str>) -> Self {
        Self { headers: &[], body: description.map(|text| ("application/sdp", text)) }
    }
}

#[cfg(test)]
mod tests;
