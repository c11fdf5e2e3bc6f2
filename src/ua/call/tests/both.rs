//! Two calls that are each other's peer.

use super::*;
use crate::ua::{G711, MS, SECOND};

const CALLER: &str = "10.0.0.1:5060";
const CALLEE: &str = "10.0.0.2:5060";

fn call(call_id: &str, (own, tag): (&str, &str), other: &str, reliable: bool) -> Call {
    Call::new(Start {
        identity: Identity {
            call_id: call_id.to_owned(),
            from: format!("<sip:me@{own}>;tag={tag}"),
            to: format!("<sip:you@{other}>"),
            user: "me".to_owned(),
            local: own.parse().unwrap(),
            reliable,
        },
        uri: format!("sip:you@{other}"),
        hop: other.parse().unwrap(),
        rtp: own.replace("5060", "4000").parse().unwrap(),
        codecs: vec![G711::Pcma.into(), G711::Pcmu.into()],
        ring_limit: 60 * SECOND,
    })
}

/// A call from both its ends, and what happened at each.
struct Both {
    ends: [Call; 2],
    happened: [Vec<Happened>; 2],
    now: u64,
}

impl Both {
    /// The callee has the INVITE and has done nothing yet.
    fn invited(reliable: bool, offers: bool) -> Both {
        let ends = [call("1", (CALLER, "a"), CALLEE, reliable), call("1", (CALLEE, "b"), CALLER, reliable)];
        let mut both = Both { ends, happened: [Vec::new(), Vec::new()], now: MS };
        let mut out = Outbox::new();
        both.ends[0].invite(both.now, offers, &mut out);
        let (_, bytes) = out.remove(0);
        both.ends[1].invited(both.now, &Message::parse(&bytes).unwrap(), &bytes, CALLER.parse().unwrap());
        both
    }

    fn answered() -> Both {
        let mut both = Both::invited(false, true);
        both.act(1, |call, now, out| call.answer(now, out));
        both
    }

    /// An end does something; messages go to and fro until there are none.
    fn act(&mut self, end: usize, act: impl FnOnce(&mut Call, u64, &mut Outbox) -> Happened) {
        let mut out = Outbox::new();
        let happened = act(&mut self.ends[end], self.now, &mut out);
        self.happened[end].push(happened);
        self.deliver(end, out);
    }

    fn deliver(&mut self, from: usize, out: Outbox) {
        let (to, mut answers) = (1 - from, Outbox::new());
        let source = self.ends[from].identity.local;
        for (_, bytes) in out {
            let message = Message::parse(&bytes).unwrap();
            let happened = match message.start {
                Line::Request { .. } => self.ends[to].on_request(self.now, &message, source, &mut answers),
                Line::Response { .. } => self.ends[to].on_response(self.now, &message, &mut answers),
            };
            self.happened[to].push(happened);
        }
        if !answers.is_empty() {
            self.deliver(to, answers);
        }
    }

    /// What an end sends by itself within so many seconds, lost on its way.
    fn lost(&mut self, end: usize, seconds: u64) -> Vec<String> {
        let until = self.now + seconds * SECOND;
        let mut out = Outbox::new();
        while self.ends[end].due_at() <= until {
            self.now = self.ends[end].due_at();
            let happened = self.ends[end].on_time(self.now, &mut out);
            self.happened[end].push(happened);
        }
        self.now = until;
        out.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).lines().next().unwrap().to_owned()).collect()
    }

    fn states(&self) -> [State; 2] {
        [self.ends[0].state, self.ends[1].state]
    }

    fn ended(&self) -> [Option<End>; 2] {
        [self.ends[0].end.clone(), self.ends[1].end.clone()]
    }
}

#[test]
fn a_call_rings_is_answered_and_ended_by_the_callee() {
    let mut both = Both::invited(false, true);
    both.act(1, |call, _, out| {
        call.ring(180, out);
        Happened::Nothing
    });
    both.act(1, |call, now, out| call.answer(now, out));
    assert!(matches!(both.happened[0][..], [Happened::Ringing(180), Happened::Answered(_)]), "{:?}", both.happened);
    assert!(matches!(both.happened[1][..], [_, Happened::Answered(_), Happened::Acknowledged]), "{:?}", both.happened);
    assert_eq!(both.states(), [State::Confirmed; 2]);
    both.act(1, |call, now, out| {
        call.hang_up(now, out);
        Happened::Nothing
    });
    assert_eq!(both.ended(), [Some(End::HungUp), Some(End::Completed)]);
    assert!(both.ends.iter().all(|call| call.is_sure && call.is_calm()));
}

#[test]
fn an_invite_without_an_offer_is_answered_with_one() {
    let mut both = Both::invited(false, false);
    both.act(1, |call, now, out| call.answer(now, out));
    assert_eq!(both.states(), [State::Confirmed; 2]);
    assert!(both.ends.iter().all(|call| call.is_sure && call.remote.is_some()));
}

#[test]
fn each_side_holds_and_takes_back() {
    let mut both = Both::answered();
    for (end, direction, holds) in [(0, "sendonly", true), (0, "sendrecv", false), (1, "inactive", true)] {
        both.act(end, |call, now, out| {
            call.reinvite(now, direction, out);
            Happened::Nothing
        });
        assert_eq!((both.ends[end].we_hold, both.ends[1 - end].they_hold), (holds, holds), "{direction}");
        assert!(both.happened.iter().all(|it| it.iter().any(|it| matches!(it, Happened::MediaChanged(_)))));
    }
}

#[test]
fn a_refusal_is_sent_again_until_it_is_acknowledged_but_not_over_tcp() {
    for (reliable, again) in [(false, 3), (true, 0)] {
        let mut both = Both::invited(reliable, true);
        // Lost on its way.
        let _ = both.ends[1].refuse(both.now, 486, &mut Outbox::new());
        assert_eq!(both.lost(1, 4), vec!["SIP/2.0 486 Busy Here"; again], "{reliable}");
        assert_eq!(both.ended()[1], Some(End::Rejected { status: 486, phrase: String::new() }));
    }
}

#[test]
fn a_2xx_that_is_never_acknowledged_ends_with_bye() {
    let mut both = Both::invited(true, true);
    let _ = both.ends[1].answer(both.now, &mut Outbox::new());
    both.ends[1].hang_up(both.now, &mut Outbox::new());
    assert_eq!(both.states()[1], State::Confirmed, "no BYE before the ACK");
    let sent = both.lost(1, 33);
    assert_eq!(sent.iter().filter(|line| line.starts_with("SIP/2.0 200")).count(), 10);
    assert_eq!(sent.iter().filter(|line| line.starts_with("BYE")).count(), 1);
    assert!(!both.ends[1].is_sure);
}

#[test]
fn a_call_is_given_up_before_it_is_answered() {
    let mut both = Both::invited(false, true);
    both.act(1, |call, _, out| {
        call.ring(180, out);
        Happened::Nothing
    });
    both.act(0, |call, now, out| {
        call.hang_up(now, out);
        Happened::Nothing
    });
    assert_eq!(both.ended(), [Some(End::Cancelled), Some(End::Cancelled)]);
    assert!(both.ends.iter().all(|call| call.is_calm() && call.is_sure));
}

#[test]
fn an_offer_without_a_known_codec_is_not_acceptable() {
    let mut both = Both::invited(false, true);
    let invite = {
        let mut out = Outbox::new();
        let mut caller = call("2", (CALLER, "c"), CALLEE, false);
        caller.invite(0, true, &mut out);
        String::from_utf8(out.remove(0).1).unwrap().replace("RTP/AVP 8 0", "RTP/AVP 9 3")
    };
    let invite = invite.replace("a=rtpmap:8 PCMA", "a=rtpmap:8 none").replace("a=rtpmap:0 PCMU", "a=rtpmap:0 none");
    let message = Message::parse(invite.as_bytes()).unwrap();
    both.ends[1] = call("2", (CALLEE, "d"), CALLER, false);
    both.ends[1].invited(0, &message, invite.as_bytes(), CALLER.parse().unwrap());
    let mut out = Outbox::new();
    assert_eq!(both.ends[1].answer(0, &mut out), Happened::Ended);
    assert!(out[0].1.starts_with(b"SIP/2.0 488 "));
}
