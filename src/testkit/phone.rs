//! The verbs and the queries of a phone.

use super::device::{Device, Line, OnCall};
use super::lab::{Lab, SWITCH};
use super::message::SipText;
use crate::ua::call::Extra;
use crate::ua::digits::Digits;
use crate::ua::{Outbox, State};
use ringworld_components::call::SipIdentity;
use ringworld_components::kernel::StableId;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// A phone of a [`Testkit`](super::Testkit): a SIP user agent that shares no code with the switch.
///
/// A verb takes effect at once and travels with the next tick; time passes in the `await_...` methods, in
/// [`Phone::hears_packets`] and in the methods of the testkit. Every verb is about the phone's last call, or about the
/// one that [`Phone::line`] names.
#[derive(Clone)]
pub struct Phone {
    pub(super) lab: Rc<RefCell<Lab>>,
    pub(super) index: usize,
    line: Option<usize>,
}

impl Phone {
    pub(super) fn new(lab: Rc<RefCell<Lab>>, index: usize) -> Self {
        Self { lab, index, line: None }
    }

    pub(super) fn device<T>(&self, look: impl FnOnce(&mut Device) -> T) -> T {
        let mut lab = self.lab.borrow_mut();
        look(&mut lab.devices[self.index])
    }

    /// Does something now, and sends the resulting messages.
    fn act(&self, act: impl FnOnce(&mut Device, u64, &mut Outbox)) -> &Self {
        let mut lab = self.lab.borrow_mut();
        let (now, since, mut out) = (lab.now(), lab.ladder.len(), Outbox::new());
        let device = &mut lab.devices[self.index];
        device.since = since;
        act(device, now, &mut out);
        lab.send(self.index, out);
        self
    }

    #[track_caller]
    fn in_call(&self, act: impl FnOnce(&mut Line, u64, &mut Outbox)) -> &Self {
        let line = self.line;
        assert!(self.is_there(), "{} has no such call", self.name());
        self.act(|device, now, out| {
            let last = device.lines.len().saturating_sub(1);
            if let Some(line) = device.lines.get_mut(line.unwrap_or(last)) {
                act(line, now, out);
            }
        })
    }

    fn is_there(&self) -> bool {
        self.look(|_| ()).is_some()
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Line) -> T) -> Option<T> {
        let line = self.line;
        self.device(|device| {
            let last = device.lines.len().checked_sub(1)?;
            device.lines.get_mut(line.unwrap_or(last)).map(look)
        })
    }

    /// The same phone, whose verbs are about its call of this number: 0 is the first one that it had.
    pub fn line(&self, number: usize) -> Phone {
        Phone { line: Some(number), ..self.clone() }
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.device(|device| device.name.clone())
    }

    /// The URI at which it is called.
    pub fn uri(&self) -> String {
        self.device(|device| device.uri())
    }

    /// Where it takes SIP.
    pub fn address(&self) -> SocketAddr {
        self.device(|device| device.address)
    }

    // ---- Calls ----

    /// Sends an INVITE with an offer of PCMU and PCMA, to a user of the switch or to a whole URI.
    pub fn calls(&self, to: &str) -> &Self {
        self.place(to, true)
    }

    /// As [`Phone::calls`], and leaves the offer to the switch (RFC 3261, section 13.2.1).
    pub fn calls_without_offer(&self, to: &str) -> &Self {
        self.place(to, false)
    }

    fn place(&self, to: &str, offers: bool) -> &Self {
        self.act(|device, now, out| device.place(now, uri_at_switch(to), SWITCH.into(), offers, out))
    }

    /// Says what it does from now on with calls that come in.
    pub fn on_call(&self, what: OnCall) -> &Self {
        self.device(|device| device.on_call = what);
        self
    }

    /// Sends 180 for the call that came in.
    #[track_caller]
    pub fn rings(&self) -> &Self {
        self.in_call(|line, _, out| line.call.ring(180, out))
    }

    /// Answers the call that came in.
    #[track_caller]
    pub fn answers(&self) -> &Self {
        self.in_call(|line, now, out| drop(line.call.answer(now, out)))
    }

    /// Refuses the call that came in.
    #[track_caller]
    pub fn rejects(&self, status: u16) -> &Self {
        self.in_call(|line, now, out| drop(line.call.refuse(now, status, out)))
    }

    /// Ends the call: with BYE, with CANCEL if it is not answered yet, or with 480.
    #[track_caller]
    pub fn hangs_up(&self) -> &Self {
        self.in_call(|line, now, out| line.call.hang_up(now, out))
    }

    /// Puts the switch on hold, with a re-INVITE of direction `sendonly` (RFC 3264, section 8.4).
    #[track_caller]
    pub fn holds(&self) -> &Self {
        self.in_call(|line, now, out| line.call.reinvite(now, "sendonly", out))
    }

    /// Takes the switch back from hold.
    #[track_caller]
    pub fn resumes(&self) -> &Self {
        self.in_call(|line, now, out| line.call.reinvite(now, "sendrecv", out))
    }

    // ---- Sound ----

    /// Sends a tone from now on. Without this call a phone sends nothing.
    #[track_caller]
    pub fn plays_tone(&self, hz: u16) -> &Self {
        self.in_call(|line, now, _| line.sound.play(now, Some(hz)))
    }

    /// Sends no tone any more.
    #[track_caller]
    pub fn falls_silent(&self) -> &Self {
        self.in_call(|line, now, _| line.sound.play(now, None))
    }

    /// Presses keys, one after the other, 260 ms each (RFC 4733).
    ///
    /// # Panics
    /// If a character is none of `0-9 * # A-D`.
    #[track_caller]
    pub fn presses(&self, keys: &str) -> &Self {
        let digits = Digits::new(keys).unwrap_or_else(|key| panic!("no phone has a key {key:?}"));
        self.in_call(|line, now, _| line.sound.press(now, digits))
    }

    /// Goes on for so long, and returns how many packets of audio came in that time.
    pub fn hears_packets(&self, time: Duration) -> usize {
        let count = || self.look(|line| line.sound.packets).unwrap_or_default();
        let before = count();
        self.lab.borrow_mut().run(time.as_nanos() as u64);
        count() - before
    }

    /// The digits that came so far in this call.
    pub fn digits_heard(&self) -> String {
        self.look(|line| line.sound.digits.digits.clone()).unwrap_or_default()
    }

    // ---- Other requests ----

    /// Sends any request within the call, with header fields and a body of this content type.
    #[track_caller]
    pub fn sends(&self, method: &str, headers: &[(&str, &str)], body: Option<(&str, &str)>) -> &Self {
        let headers = owned(headers);
        let method = method.to_owned();
        self.in_call(|line, now, out| line.call.request(now, method, Extra { headers: &headers, body }, out))
    }

    /// Sends any request outside of a call, to a user of the switch or to a whole URI.
    pub fn asks(&self, method: &str, to: &str, headers: &[(&str, &str)], body: Option<(&str, &str)>) -> &Self {
        let (headers, uri) = (owned(headers), uri_at_switch(to));
        let extra = Extra { headers: &headers, body };
        self.act(|device, now, out| device.inquire(now, (method, &uri, SWITCH.into()), extra, out))
    }

    /// Answers every request of this method with this status from now on, in whatever call.
    pub fn replies_to(&self, method: &str, status: u16) -> &Self {
        self.device(|device| device.replies.insert(method.to_owned(), status));
        self
    }

    // ---- What there is to see ----

    /// Whether its call is answered and not over.
    pub fn is_in_call(&self) -> bool {
        self.look(|line| line.call.state == State::Confirmed).unwrap_or_default()
    }

    /// Whether the switch holds it.
    pub fn is_held(&self) -> bool {
        self.look(|line| line.call.they_hold).unwrap_or_default()
    }

    /// All messages that came to it since its last verb.
    pub fn messages(&self) -> Vec<SipText> {
        let lab = self.lab.borrow();
        let mut place = lab.devices[self.index].since;
        let mut found = Vec::new();
        while let Some((at, message)) = lab.ladder.find(self.index, place, |_| true) {
            found.push(message);
            place = at + 1;
        }
        found
    }

    /// The session of its call in the switch.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn session(&self) -> StableId {
        let call_id = self.look(|line| line.call.identity.call_id.clone()).unwrap_or_default();
        let session = self.lab.borrow().session_of(&call_id);
        session.unwrap_or_else(|| panic!("the switch has no session with the call of {}", self.name()))
    }
}

/// A user of the switch, or a whole URI.
fn uri_at_switch(to: &str) -> String {
    let host = SocketAddr::from(SWITCH).ip();
    if to.contains(':') { to.to_owned() } else { format!("sip:{to}@{host}") }
}

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

impl Lab {
    /// The session that a call with this Call-ID belongs to.
    pub fn session_of(&self, call_id: &str) -> Option<StableId> {
        let world = self.engine.world();
        let mut sessions = world.try_query::<(&StableId, &SipIdentity)>()?;
        sessions.iter(world).find(|(_, identity)| identity.call_id == call_id.as_bytes()).map(|(id, _)| *id)
    }
}
