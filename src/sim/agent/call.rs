//! One call of an agent, from either side: the call of its user agent, and what the agent plans to do in it.

use super::habits::Act;
use crate::sim::SECOND;
use crate::ua::{self, Happened, Message, Outbox, State};
use std::net::SocketAddr;

/// How long a call may ring before we cancel it.
pub(super) const PATIENCE: u64 = 12 * SECOND;

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub ua: ua::Call,
    /// Whether we called.
    pub is_caller: bool,
    /// The service of the switch that we are connected to.
    pub service: String,
    /// What is to be done in it, in order.
    pub acts: Vec<(u64, Act)>,
    /// When the INVITE of the peer is answered, and with which status.
    pub answers: Option<(u64, u16)>,
}

impl Call {
    pub fn new(ua: ua::Call) -> Self {
        Self { ua, is_caller: false, service: String::new(), acts: Vec::new(), answers: None }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.ua.state == State::Ended
    }

    /// Our tag.
    pub fn tag(&self) -> &str {
        self.ua.identity.tag()
    }

    /// An INVITE came in: rings at once, and answers later.
    pub fn alert(&mut self, now: u64, message: &Message<'_>, bytes: &[u8], source: SocketAddr, out: &mut Outbox) {
        self.ua.invited(now, message, bytes, source);
        self.ua.ring(180, out);
    }

    /// Answers or refuses, if the time has come. Returns whether the call is up.
    pub fn answer_if_due(&mut self, now: u64, out: &mut Outbox) -> bool {
        let Some((_, status)) = self.answers.take_if(|(at, _)| *at <= now) else { return false };
        if status >= 300 {
            let _ = self.ua.refuse(now, status, out);
            return false;
        }
        let _ = self.ua.answer(now, out);
        self.ua.state == State::Confirmed
    }

    /// Ends the call as its state has it.
    pub fn hang_up(&mut self, now: u64, out: &mut Outbox) {
        match (self.ua.state, &mut self.answers) {
            // With the answer that is due.
            (State::Invited, Some(answers)) => *answers = (now, 480),
            _ => self.ua.hang_up(now, out),
        }
        self.forget_plans();
    }

    /// What was planned for a call that has ended is dropped.
    pub fn forget_plans(&mut self) {
        if matches!(self.ua.state, State::Leaving | State::Ended) {
            self.acts.clear();
        }
        if self.is_over() {
            self.answers = None;
        }
    }

    /// When something of it is due.
    pub fn due_at(&self) -> u64 {
        let answers = self.answers.map_or(u64::MAX, |(at, _)| at);
        let acts = self.acts.first().map_or(u64::MAX, |it| it.0);
        self.ua.due_at().min(answers).min(acts)
    }

    /// Retransmits what was not answered, and gives up what never will be.
    pub fn on_time(&mut self, now: u64, out: &mut Outbox) {
        // The state tells the result.
        let _ = self.ua.on_time(now, out);
        self.forget_plans();
    }

    pub fn on_request(&mut self, now: u64, message: &Message<'_>, source: SocketAddr, out: &mut Outbox) {
        let _ = self.ua.on_request(now, message, source, out);
        self.forget_plans();
    }

    pub fn on_response(&mut self, now: u64, message: &Message<'_>, out: &mut Outbox) -> Happened {
        let happened = self.ua.on_response(now, message, out);
        self.forget_plans();
        happened
    }
}
