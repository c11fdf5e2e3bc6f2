//! One call at the answerer: from its INVITE to the end of the dialog.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use super::{Behaviour, Counters, add};
use crate::load::call::{GIVE_UP, Outbox, Transaction};
use crate::load::clock::{MS, SECOND};
use crate::load::g711::G711;
use crate::load::message::{Message, Start, uri_of};
use crate::load::sdp;
use crate::load::write::{Identity, Request, next_hop, response};

/// Ended calls stay this long to answer retransmissions.
const LINGER: u64 = 5 * SECOND;

/// What all calls of an answerer share.
pub(super) struct Context {
    pub address: SocketAddr,
    pub behaviour: Behaviour,
    pub hang_up_after: Option<u64>,
    pub counters: Arc<Counters>,
    pub out: Outbox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Answers at this time.
    Ringing(u64),
    /// A final response is out, its ACK not yet here.
    Final {
        ok: bool,
    },
    /// Hangs up at this time.
    Established(u64),
    Leaving,
    /// Forgotten at this time.
    Ended(u64),
}

pub(super) struct Answered {
    pub call_id: String,
    pub socket: UdpSocket,
    pub echoes: bool,
    rtp: SocketAddr,
    state: State,
    invite: Vec<u8>,
    caller: SocketAddr,
    tag: String,
    /// The last response to the INVITE, and when it is sent again.
    response: Vec<u8>,
    resend_at: u64,
    interval: u64,
    give_up_at: u64,
    bye: Option<Transaction>,
}

impl Answered {
    pub fn begin(
        call_id: &str,
        number: u64,
        (socket, rtp): (UdpSocket, SocketAddr),
        invite: &[u8],
        caller: SocketAddr,
        now: u64,
        context: &mut Context,
    ) -> Answered {
        let mut call = Answered {
            call_id: call_id.to_owned(),
            socket,
            echoes: !matches!(context.behaviour, Behaviour::Silence),
            rtp,
            state: State::Ringing(now),
            invite: invite.to_vec(),
            caller,
            tag: format!("answerer{number}-{now:x}"),
            response: Vec::new(),
            resend_at: u64::MAX,
            interval: 500 * MS,
            give_up_at: u64::MAX,
            bye: None,
        };
        match context.behaviour {
            Behaviour::Ring(time) => {
                call.state = State::Ringing(now.saturating_add(time.as_nanos() as u64));
                call.respond((180, "Ringing"), false, context);
            }
            Behaviour::Reject(status) => call.refuse(now, (status, phrase(status)), context),
            _ => call.answer(now, context),
        }
        call
    }

    fn respond(&mut self, line: (u16, &str), with_sdp: bool, context: &mut Context) {
        let Ok(invite) = Message::parse(&self.invite) else { return };
        let remote = sdp::read(invite.body, None);
        let law = remote.as_ref().map_or(G711::Pcmu, |remote| remote.law);
        let direction = remote.as_ref().map_or("sendrecv", sdp::mirrored);
        let body = sdp::describe(self.rtp, &[law], 1, 1, direction);
        let contact = format!("<sip:answerer@{}>", context.address);
        let body = with_sdp.then_some(("application/sdp", body.as_str()));
        self.response = response(&invite, line, Some(&self.tag), Some(&contact), body);
        context.out.push((self.caller, self.response.clone()));
    }

    fn final_response(&mut self, now: u64, ok: bool) {
        self.state = State::Final { ok };
        self.resend_at = now + self.interval;
        self.give_up_at = now + GIVE_UP;
    }

    fn answer(&mut self, now: u64, context: &mut Context) {
        add(&context.counters.answered);
        self.respond((200, "OK"), true, context);
        self.final_response(now, true);
    }

    fn refuse(&mut self, now: u64, line: (u16, &str), context: &mut Context) {
        self.respond(line, false, context);
        self.final_response(now, false);
    }

    pub fn on_message(&mut self, message: &Message<'_>, source: SocketAddr, now: u64, context: &mut Context) {
        let method = match message.start {
            Start::Request { method, .. } => method,
            Start::Response { status, .. } => {
                if status >= 200 && self.state == State::Leaving {
                    self.state = State::Ended(now + LINGER);
                    self.bye = None;
                }
                return;
            }
        };
        let answer = |line| response(message, line, Some(&self.tag), None, None);
        match (method, self.state) {
            ("INVITE", _) if message.tag("To").is_none() => context.out.push((source, self.response.clone())),
            ("INVITE", State::Established(_) | State::Final { ok: true }) => self.on_reinvite(message, source, context),
            ("ACK", State::Final { ok }) => {
                add(&context.counters.acknowledged);
                self.resend_at = u64::MAX;
                let hang_up_at = context.hang_up_after.map_or(u64::MAX, |after| now.saturating_add(after));
                self.state = if ok { State::Established(hang_up_at) } else { State::Ended(now + LINGER) };
            }
            ("ACK", _) => {}
            ("CANCEL", State::Ringing(_)) => {
                add(&context.counters.cancelled);
                context.out.push((source, answer((200, "OK"))));
                self.refuse(now, (487, "Request Terminated"), context);
            }
            ("BYE", _) => {
                context.out.push((source, answer((200, "OK"))));
                if !matches!(self.state, State::Ended(_)) {
                    add(&context.counters.byes);
                    self.state = State::Ended(now + LINGER);
                    self.bye = None;
                }
            }
            _ => context.out.push((source, answer((200, "OK")))),
        }
    }

    fn on_reinvite(&mut self, message: &Message<'_>, source: SocketAddr, context: &mut Context) {
        let remote = sdp::read(message.body, None);
        let law = remote.as_ref().map_or(G711::Pcmu, |remote| remote.law);
        let body = sdp::describe(self.rtp, &[law], 1, 2, remote.as_ref().map_or("sendrecv", sdp::mirrored));
        let contact = format!("<sip:answerer@{}>", context.address);
        let body = Some(("application/sdp", body.as_str()));
        context.out.push((source, response(message, (200, "OK"), Some(&self.tag), Some(&contact), body)));
    }

    fn hang_up(&mut self, now: u64, context: &mut Context) {
        let Ok(invite) = Message::parse(&self.invite) else { return };
        let header = |name| invite.header(name).unwrap_or_default();
        let target = uri_of(header("Contact"));
        // The callee's route is the recorded one in its order (RFC 3261, section 12.1.1).
        let route = invite.record_route();
        let identity = Identity {
            call_id: self.call_id.clone(),
            from: format!("{};tag={}", header("To"), self.tag),
            to: header("From").to_owned(),
            local: context.address,
            reliable: false,
        };
        let branch = format!("z9hG4bK{}", self.tag);
        let request = Request {
            method: "BYE",
            uri: target,
            route: &route,
            cseq: 1,
            branch: &branch,
            to: &identity.to,
            body: None,
        };
        let (bytes, hop) = (identity.request(&request), next_hop(target, &route, self.caller));
        self.bye = Some(Transaction::start(now, (hop, branch), bytes, (false, false), &mut context.out));
        self.state = State::Leaving;
    }

    pub fn due_at(&self) -> u64 {
        match self.state {
            State::Ringing(at) | State::Established(at) | State::Ended(at) => at,
            State::Final { .. } => self.resend_at.min(self.give_up_at),
            State::Leaving => self.bye.as_ref().map_or(0, Transaction::due_at),
        }
    }

    /// Does what is due; when to come again, or `None` when the call can be forgotten.
    pub fn on_time(&mut self, now: u64, context: &mut Context) -> Option<u64> {
        if now >= self.due_at() {
            match self.state {
                State::Ringing(_) => self.answer(now, context),
                State::Established(_) => self.hang_up(now, context),
                State::Ended(_) => return None,
                State::Final { .. } if now >= self.give_up_at => return None,
                State::Final { .. } => {
                    context.out.push((self.caller, self.response.clone()));
                    self.interval = (self.interval * 2).min(4 * SECOND);
                    self.resend_at = now + self.interval;
                }
                State::Leaving => {
                    let bye = self.bye.as_mut().filter(|bye| now < bye.give_up_at)?;
                    bye.resend(now, &mut context.out);
                }
            }
        }
        Some(self.due_at())
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        488 => "Not Acceptable Here",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Refused",
    }
}
