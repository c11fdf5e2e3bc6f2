//! Waiting, in virtual time, for what a phone should see.

use super::lab::Lab;
use super::message::SipText;
use super::phone::Phone;
use crate::ua::{MS, SECOND, State};
use std::time::Duration;

/// How long something is awaited that a switch does at once.
const PROMPT: Duration = Duration::from_secs(5);
/// How long an answer, an end and the like are awaited.
const PATIENT: Duration = Duration::from_secs(60);
/// How long it must be quiet for silence.
const QUIET: u64 = 500 * MS;

impl Phone {
    /// Goes on until `found` gives something, or panics.
    #[track_caller]
    fn wait<T>(&self, what: &str, limit: Duration, mut found: impl FnMut(&Phone) -> Option<T>) -> T {
        let end = self.lab.borrow().engine.now().0 + limit.as_nanos() as u64 / super::lab::TICK_NS;
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            let mut lab = self.lab.borrow_mut();
            if lab.engine.now().0 >= end {
                let told = lab.tell();
                drop(lab);
                panic!("{} awaited {what} for {limit:?}, and it did not come\n{told}", self.name());
            }
            lab.step(end);
        }
    }

    #[track_caller]
    fn wait_for_state(&self, what: &str, is: impl Fn(State) -> bool) -> &Self {
        self.wait(what, PATIENT, |phone| phone.look(|line| is(line.call.state))?.then_some(()));
        self
    }

    /// Waits until the call is up: until the peer has answered, or the ACK of our answer has come.
    ///
    /// # Panics
    /// If that does not happen within a minute. All `await_...` methods panic after their time, and report what came.
    #[track_caller]
    pub fn await_answer(&self) -> &Self {
        self.wait("an answer", PATIENT, |phone| {
            let is_up = phone.look(|line| line.call.state == State::Confirmed && !line.call.has_invite_under_way())?;
            is_up.then_some(())
        });
        self
    }

    /// Waits until a call comes in.
    #[track_caller]
    pub fn await_call(&self) -> &Self {
        self.wait_for_state("a call", |state| state == State::Invited)
    }

    /// Waits until the call is over at both its ends.
    #[track_caller]
    pub fn await_end(&self) -> &Self {
        self.wait("the end of the call", PATIENT, |phone| {
            let is_over = phone.look(|line| line.call.state == State::Ended && line.call.is_calm())?;
            is_over.then_some(())
        });
        self
    }

    /// Waits until it rings at the peer (180).
    #[track_caller]
    pub fn await_ringing(&self) -> &Self {
        self.await_status(180);
        self
    }

    /// Waits until a response with this status comes, since the last verb or the last message that was awaited.
    #[track_caller]
    pub fn await_status(&self, status: u16) -> SipText {
        self.await_message(&format!("a response with status {status}"), |message| message.status() == Some(status))
    }

    /// Waits until a request of this method comes, since the last verb or the last message that was awaited.
    #[track_caller]
    pub fn await_request(&self, method: &str) -> SipText {
        self.await_message(&format!("a request {method}"), |message| message.method().as_deref() == Some(method))
    }

    #[track_caller]
    fn await_message(&self, what: &str, wanted: impl Fn(&SipText) -> bool) -> SipText {
        self.wait(what, PATIENT, |phone| {
            let mut lab = phone.lab.borrow_mut();
            let since = lab.devices[phone.index].since;
            let (place, message) = lab.ladder.find(phone.index, since, &wanted)?;
            lab.devices[phone.index].since = place + 1;
            Some(message)
        })
    }

    /// Waits until the switch has put it on hold.
    #[track_caller]
    pub fn await_hold(&self) -> &Self {
        self.wait("to be put on hold", PROMPT, |phone| phone.look(|line| line.call.they_hold)?.then_some(()));
        self.await_calm()
    }

    /// Waits until the switch has taken it back from hold.
    #[track_caller]
    pub fn await_resume(&self) -> &Self {
        self.wait("to be taken back from hold", PROMPT, |phone| phone.look(|line| !line.call.they_hold)?.then_some(()));
        self.await_calm()
    }

    /// Waits until no transaction of the call is under way.
    #[track_caller]
    pub fn await_calm(&self) -> &Self {
        self.wait("the end of a transaction", PATIENT, |phone| phone.look(|line| line.call.is_calm())?.then_some(()));
        self
    }

    /// Waits until 400 ms of this tone and hardly anything else were heard, from now on.
    #[track_caller]
    pub fn await_tone(&self, hz: u16) -> &Self {
        self.look(|line| line.sound.listen_anew());
        self.wait(&format!("a tone of {hz} Hz"), PROMPT, |phone| {
            phone.look(|line| line.sound.is_tone(hz))?.then_some(())
        });
        self
    }

    /// Waits until no packet of audio has come for half a second.
    #[track_caller]
    pub fn await_silence(&self) -> &Self {
        self.wait("silence", PATIENT, |phone| {
            let now = phone.lab.borrow().now();
            phone.look(|line| now >= line.sound.heard_at + QUIET)?.then_some(())
        });
        self
    }

    /// Waits until these are the digits that came so far in this call.
    #[track_caller]
    pub fn await_digits(&self, digits: &str) -> &Self {
        self.wait(&format!("the digits {digits}"), PATIENT, |phone| (phone.digits_heard() == digits).then_some(()));
        self
    }
}

impl Lab {
    /// What there is, for the message of a failure.
    pub fn tell(&self) -> String {
        let mut told = format!("it is {:.3} s", self.now() as f64 / SECOND as f64);
        for device in &self.devices {
            for (number, line) in device.lines.iter().enumerate() {
                let state = line.call.state;
                told += &format!("\n  call {number} of {}: {state:?}", device.name);
                if let Some(end) = &line.call.end {
                    told += &format!(", {end}");
                }
                if !line.sound.digits.digits.is_empty() {
                    told += &format!(", digits {}", line.sound.digits.digits);
                }
            }
        }
        let names: Vec<&str> = self.devices.iter().map(|device| device.name.as_str()).collect();
        format!("{told}\nthe last messages:\n{}", self.ladder.show(&names))
    }
}
