//! The simulated user agents: one call at a time each, from either side, with pauses between them.
//!
//! Nothing in this folder uses a type or a function of the switch: an agent is the user agent of `ua` with habits, so
//! that one error can't hide on both sides of a call.

mod call;
mod habits;
mod misdeeds;
mod speech;
#[cfg(test)]
mod tests;
mod voice;

pub(crate) use call::Call;
pub(crate) use habits::Habits;
pub(crate) use speech::Hearing;
pub(crate) use voice::{FRAMES, Sound};

use crate::sim::fault::{Fault, Misdeed};
use crate::sim::{Dice, MS, Purpose, SECOND};
use crate::ua::call::Extra;
use crate::ua::message::Start;
use crate::ua::write::outside_of_calls;
use crate::ua::{self, Codec, Happened, Identity, Message, Outbox, State};
use call::PATIENCE;
use habits::{Act, choose_user, draw_layout, plan_acts, plan_shape};
use speech::Speech;
use std::net::SocketAddr;

/// How long a call that is over is remembered: longer than any message of it travels.
const MEMORY: u64 = 45 * SECOND;

/// How long the invitations of some agents last, in seconds.
pub(crate) const EXPIRES_S: u32 = 4;

/// The most lines of other media after that of audio.
const LINES_AFTER_MAX: u8 = 4;

/// The bit of its port number in which an agent's second port differs from the first: no port of a call has it.
const MOVED: u16 = 0x2000;

/// What an agent puts out.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// SIP messages, with where they go.
    pub sip: Outbox,
    /// RTP: from which of our ports, to where, and what.
    pub rtp: Vec<(u16, SocketAddr, Vec<u8>)>,
    /// Keys that were pressed: the RTP timestamp of each, and the digit.
    pub pressed: Vec<(u32, char)>,
}

/// One user agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub number: u32,
    pub habits: Habits,
    /// Its calls: those that are over, which still answer retransmissions, and at most one that is not.
    pub calls: Vec<Call>,
    /// Whether something that it sent or received was changed on the way: its state then proves nothing.
    pub is_tainted: bool,
    /// Whether the switch has lost ticks in which the two exchanged something.
    pub is_forgotten: bool,
    /// The last tick in which the switch took something from it, or sent something to it.
    pub touched: u64,
    /// Its address as it knows it.
    address: fn(u32, u16) -> SocketAddr,
    switch: SocketAddr,
    seed: u64,
    dice: Dice,
    layouts: Dice,
    made: u32,
    taken: usize,
    next_call_at: u64,
    is_settling: bool,
    is_gone: bool,
    speech: Speech,
}

impl Agent {
    pub fn new(
        (seed, number, agents): (u64, u32, u32),
        address: fn(u32, u16) -> SocketAddr,
        switch: SocketAddr,
        faults: &[Fault],
    ) -> Self {
        let habits = Habits::draw(seed, number, agents, faults);
        let mut dice = Dice::new(seed, Purpose::Deeds, number);
        let next_call_at = dice.below(habits.rest * 2);
        Self {
            number,
            speech: Speech::new(habits.voice, number),
            habits,
            calls: Vec::new(),
            is_tainted: false,
            is_forgotten: false,
            touched: 0,
            address,
            switch,
            seed,
            dice,
            layouts: Dice::new(seed, Purpose::Layouts, number),
            made: 0,
            taken: 0,
            next_call_at,
            is_settling: false,
            is_gone: false,
        }
    }

    /// The call that is not over.
    pub fn call(&self) -> Option<&Call> {
        self.calls.iter().find(|call| !call.is_over())
    }

    fn current(&mut self) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| !call.is_over())
    }

    /// Whether it is running and obeys the RFCs.
    pub fn is_honest(&self) -> bool {
        !self.is_gone && self.habits.misdeed.is_none()
    }

    /// It disappears, in the middle of whatever it did.
    pub fn vanish(&mut self) {
        self.is_gone = true;
        self.calls.clear();
    }

    /// Begins nothing new from now on, and keeps the call that it has.
    pub fn settle(&mut self) {
        self.is_settling = true;
        self.calls.iter_mut().for_each(|call| call.acts.clear());
    }

    /// Stops sending audio, and hangs up.
    pub fn leave(&mut self, now: u64, out: &mut Out) {
        self.speech.stop();
        if let Some(call) = self.current() {
            call.hang_up(now, &mut out.sip);
        }
        self.spoil(now, out);
    }

    /// When [`Agent::wake`] should be called next.
    pub fn due_at(&self) -> u64 {
        if self.is_gone {
            return u64::MAX;
        }
        let calls = self.calls.iter().map(Call::due_at).min().unwrap_or(u64::MAX);
        let next_call = if self.is_settling || self.call().is_some() { u64::MAX } else { self.next_call_at };
        let talks = self.calls.iter().any(|call| call.ua.state == State::Confirmed);
        calls.min(next_call).min(if talks { self.speech.due_at() } else { u64::MAX })
    }

    /// Does what is due.
    pub fn wake(&mut self, now: u64, out: &mut Out) {
        self.calls.retain(|call| call.ua.ended.saturating_add(MEMORY) > now || !call.ua.is_calm());
        for call in &mut self.calls {
            call.on_time(now, &mut out.sip);
        }
        if self.call().is_none() {
            self.speech.stop();
            if now >= self.next_call_at && !self.is_settling {
                self.place_call(now, out);
            }
        }
        self.answer_if_due(now, out);
        while let Some(act) = self.current().and_then(|call| {
            let due = call.acts.first().is_some_and(|(at, _)| *at <= now);
            due.then(|| call.acts.remove(0).1)
        }) {
            self.act(now, act, out);
        }
        let silent = now >= self.habits.silent_from;
        let wild = self.habits.does(Misdeed::WildRtp, now);
        if let Some(call) = self.calls.iter().find(|call| call.ua.state == State::Confirmed) {
            self.speech.speak(now, call, (silent, wild), &mut self.dice, out);
        }
        self.spoil(now, out);
    }

    fn act(&mut self, now: u64, act: Act, out: &mut Out) {
        let Some(call) = self.calls.iter_mut().find(|call| !call.is_over()) else { return };
        let is_up = call.ua.state == State::Confirmed;
        match act {
            Act::HangUp => call.hang_up(now, &mut out.sip),
            Act::Reshape(shape) if is_up && !call.ua.has_invite_under_way() => {
                let mut layout = call.ua.layout;
                layout.after = (layout.after + u8::from(shape.adds_line)).min(LINES_AFTER_MAX);
                layout.types_from = shape.types_from.unwrap_or(layout.types_from);
                let mut rtp = call.ua.rtp;
                if shape.moves {
                    rtp.set_port(rtp.port() ^ MOVED);
                }
                call.ua.reshape(layout, rtp);
                call.ua.reinvite(now, if call.ua.we_hold { "sendonly" } else { "sendrecv" }, &mut out.sip);
            }
            Act::Press(code) if is_up => self.speech.press(code),
            // One without a voice presses keys by INFO.
            Act::Ask("INFO") if is_up && self.habits.voice.is_none() => {
                let (kind, body) = habits::key_by_info(now);
                call.ua.request(now, "INFO", Extra { body: Some((kind, &body)), ..Extra::default() }, &mut out.sip);
            }
            Act::Ask(method) if is_up => call.ua.request(now, method, Extra::default(), &mut out.sip),
            Act::Reinvite(direction) if is_up => {
                if call.ua.has_invite_under_way() {
                    // One INVITE at a time (section 14.1).
                    call.acts.insert(0, (now + 300 * MS, Act::Reinvite(direction)));
                    call.acts.sort();
                } else {
                    call.ua.reinvite(now, direction, &mut out.sip);
                }
            }
            _ => {}
        }
    }

    fn new_call(&mut self, now: u64, call_id: String, to: String, uri: String) -> Call {
        self.made += 1;
        let local = (self.address)(self.number, 5060);
        // L16 is offered by those alone that prefer it.
        let mut codecs = Codec::ALL.to_vec();
        codecs.retain(|codec| codec.is_static() || *codec == self.habits.codec);
        codecs.sort_by_key(|codec| *codec != self.habits.codec);
        let mut call = ua::Call::new(ua::Start {
            identity: Identity {
                call_id,
                from: format!("<sip:agent{0}@{local}>;tag=a{0}x{1}", self.number, self.made),
                to,
                user: "caller".to_owned(),
                local,
                reliable: self.habits.over_tcp,
            },
            uri,
            hop: self.switch,
            // Ports are not used again soon, as stragglers of the last call may still arrive.
            rtp: (self.address)(self.number, 20_000 + (self.made % 900) as u16 * 2),
            codecs,
            ring_limit: PATIENCE,
        });
        call.prefers_own = true;
        if self.call().is_none() {
            self.speech.begin(now, self.made);
        }
        Call::new(call)
    }

    fn place_call(&mut self, now: u64, out: &mut Out) {
        self.next_call_at = now + self.habits.rest / 2 + self.dice.below(self.habits.rest);
        let user = choose_user(&self.habits, &mut self.dice);
        let target = format!("sip:{user}@{}", self.switch);
        let call_id = format!("c{}x{}-{:x}", self.number, self.made + 1, self.seed);
        let mut call = self.new_call(now, call_id, format!("<{target}>"), target);
        (call.is_caller, call.service) = (true, user);
        let offers = !self.dice.happens(80);
        call.ua.layout = draw_layout(&mut self.layouts, offers);
        call.ua.expires_s = (self.number % 4 == 1).then_some(EXPIRES_S);
        call.ua.invite(now, offers, &mut out.sip);
        if self.dice.happens(150) {
            call.acts = vec![(now + self.dice.below(3 * SECOND), Act::HangUp)];
        }
        self.calls.push(call);
    }

    fn answer_if_due(&mut self, now: u64, out: &mut Out) {
        let due = |call: &&mut Call| call.answers.is_some_and(|(at, _)| at <= now);
        let Some(call) = self.calls.iter_mut().find(due) else { return };
        if call.answer_if_due(now, &mut out.sip) {
            call.acts.clear();
            if !self.is_settling {
                call.acts = plan_acts(&self.habits, &mut self.dice, now);
                plan_shape(&self.habits, &mut self.layouts, now, &mut call.acts);
            }
        }
    }

    /// A SIP message reached us.
    pub fn on_sip(&mut self, now: u64, from: SocketAddr, bytes: &[u8], out: &mut Out) {
        if self.is_gone {
            return;
        }
        let Ok(message) = Message::parse(bytes) else { return };
        let Some(call_id) = message.header("Call-ID") else { return };
        match message.start {
            Start::Response { .. } => {
                let own =
                    |call: &&mut Call| call.ua.identity.call_id == call_id && message.tag("From") == Some(call.tag());
                let Some(call) = self.calls.iter_mut().find(own) else { return };
                match call.on_response(now, &message, &mut out.sip) {
                    Happened::Answered(_) => {
                        call.acts.clear();
                        if !self.is_settling {
                            call.acts = plan_acts(&self.habits, &mut self.dice, now);
                            plan_shape(&self.habits, &mut self.layouts, now, &mut call.acts);
                        }
                    }
                    Happened::ReinviteRefused { direction, status: 491 } => {
                        // Section 14.1: the owner of the Call-ID waits longer.
                        let dice = &mut self.dice;
                        let wait = if call.is_caller { 2_100 + dice.below(1_900) } else { dice.below(2_000) };
                        call.acts.insert(0, (now + wait * MS, Act::Reinvite(direction)));
                        call.acts.sort();
                    }
                    _ => {}
                }
            }
            Start::Request { method, .. } => {
                let own = |call: &&mut Call| call.ua.identity.call_id == call_id;
                match self.calls.iter_mut().find(own) {
                    Some(call) => call.on_request(now, &message, from, &mut out.sip),
                    None if method == "INVITE" && message.tag("To").is_none() => {
                        self.take_call(now, &message, bytes, from, out);
                    }
                    None => out.sip.extend(outside_of_calls(&message).map(|answer| (from, answer))),
                }
            }
        }
        self.spoil(now, out);
    }

    fn take_call(&mut self, now: u64, message: &Message<'_>, bytes: &[u8], from: SocketAddr, out: &mut Out) {
        let Some(call_id) = message.header("Call-ID") else { return };
        let is_busy = self.call().is_some();
        let mut call = self.new_call(now, call_id.to_owned(), String::new(), String::new());
        // The operator names the service in the user part: agentN+SERVICE.
        let uri = if let Start::Request { uri, .. } = message.start { uri } else { "" };
        let user = uri.split(['+', '@']).nth(1).unwrap_or_default();
        call.service = user.to_owned();
        call.alert(now, message, bytes, from, &mut out.sip);
        let (after, status) = self.habits.answers.get(self.taken % 8).copied().unwrap_or((0, 486));
        self.taken += 1;
        call.answers = Some(match (is_busy, status) {
            (true, _) => (now, 486),
            // Rings until the peer gives up, or for half a minute.
            (_, 0) => (now + 30 * SECOND, 480),
            (_, status) => (now + after, status),
        });
        // Before one that is under way, so that this stays the current one.
        self.calls.push(call);
        self.answer_if_due(now, out);
    }

    /// A datagram reached our port.
    pub fn on_rtp(&mut self, port: u16, from: SocketAddr, bytes: &[u8]) -> Hearing {
        let up = |call: &&Call| call.ua.state == State::Confirmed && call.ua.rtp.port() == port;
        match self.calls.iter().find(up) {
            Some(call) => self.speech.hear(call, from, bytes),
            None => Hearing::default(),
        }
    }

    /// Breaks a rule, if that is its misdeed.
    fn spoil(&mut self, now: u64, out: &mut Out) {
        if let Some((misdeed, from)) = self.habits.misdeed
            && now >= from
        {
            misdeeds::spoil(misdeed, &mut out.sip, &mut self.dice);
        }
    }
}
