//! One call at the answerer: from its INVITE to the end of the dialog.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use super::{Behaviour, Counters, add};
use crate::load::clock::SECOND;
use crate::ua::{Call, G711, Happened, Identity, Message, Outbox, Start, State};

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

pub(super) struct Answered {
    pub call: Call,
    pub socket: UdpSocket,
    pub echoes: bool,
    /// When it is answered, and when it is hung up.
    answers_at: u64,
    leaves_at: u64,
}

impl Answered {
    /// Takes an INVITE; `number` distinguishes the calls of an answerer.
    pub fn begin(
        number: u64,
        (socket, rtp): (UdpSocket, SocketAddr),
        (message, bytes): (&Message<'_>, &[u8]),
        caller: SocketAddr,
        now: u64,
        context: &mut Context,
    ) -> Answered {
        let header = |name| message.header(name).unwrap_or_default();
        let call = Call::new(Start {
            identity: Identity {
                call_id: header("Call-ID").to_owned(),
                from: format!("{};tag=answerer{number}-{now:x}", header("To")),
                to: String::new(),
                user: "answerer".to_owned(),
                local: context.address,
                reliable: false,
            },
            uri: String::new(),
            hop: caller,
            rtp,
            codecs: vec![G711::Pcmu.into(), G711::Pcma.into()],
            ring_limit: u64::MAX,
        });
        let echoes = !matches!(context.behaviour, Behaviour::Silence);
        let mut answered = Answered { call, socket, echoes, answers_at: u64::MAX, leaves_at: u64::MAX };
        answered.call.invited(now, message, bytes, caller);
        match context.behaviour {
            Behaviour::Ring(time) => {
                answered.answers_at = now.saturating_add(time.as_nanos() as u64);
                answered.call.ring(180, &mut context.out);
            }
            Behaviour::Reject(status) => drop(answered.call.refuse(now, status, &mut context.out)),
            _ => answered.answer(now, context),
        }
        answered
    }

    fn answer(&mut self, now: u64, context: &mut Context) {
        self.answers_at = u64::MAX;
        let happened = self.call.answer(now, &mut context.out);
        if happened != Happened::Ended {
            add(&context.counters.answered);
        }
    }

    pub fn on_request(&mut self, message: &Message<'_>, source: SocketAddr, now: u64, context: &mut Context) {
        let before = self.call.state;
        let happened = self.call.on_request(now, message, source, &mut context.out);
        match happened {
            Happened::Acknowledged => {
                add(&context.counters.acknowledged);
                self.leaves_at = context.hang_up_after.map_or(u64::MAX, |after| now.saturating_add(after));
            }
            Happened::Ended if before == State::Invited => add(&context.counters.cancelled),
            Happened::Ended => add(&context.counters.byes),
            _ => {}
        }
    }

    pub fn due_at(&self) -> u64 {
        let forgotten_at = if self.call.is_calm() { self.call.ended.saturating_add(LINGER) } else { u64::MAX };
        self.call.due_at().min(self.answers_at).min(self.leaves_at).min(forgotten_at)
    }

    /// Does what is due; when to come again, or `None` when the call can be forgotten.
    pub fn on_time(&mut self, now: u64, context: &mut Context) -> Option<u64> {
        // What ends here only has to be forgotten in time.
        let _ = self.call.on_time(now, &mut context.out);
        if self.call.state == State::Ended {
            (self.answers_at, self.leaves_at) = (u64::MAX, u64::MAX);
            let is_over = self.call.is_calm() && now >= self.call.ended.saturating_add(LINGER);
            return if is_over { None } else { Some(self.due_at()) };
        }
        if now >= self.answers_at {
            self.answer(now, context);
        }
        if now >= self.leaves_at {
            self.leaves_at = u64::MAX;
            self.call.hang_up(now, &mut context.out);
        }
        Some(self.due_at())
    }
}
