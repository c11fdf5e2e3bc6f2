//! What the host did of its own accord: the engine is asked to do the same.

use super::Local;
use super::account::Account;
use super::call::Call;
use super::legs;
use super::report::NotRepeated;
use super::stand_in::StandIn;
use crate::capture::{description, message};
use bytes::Bytes;
use ringworld_components::call::ServiceSettings;
use ringworld_components::edge::{Command, Input, Operation, PlaceCall};
use ringworld_components::kernel::StableId;
use std::net::SocketAddr;
use std::time::Duration;

/// What a message of the host means to the engine.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// The engine does the like by itself, or has done so.
    ByItself,
    /// It is asked to do the same; in words, and as an operation.
    Ask(&'static str, Operation),
    /// It can't be asked to, and why.
    Not(&'static str),
}

/// The host, and what the engine would be asked to do.
struct Host<'h> {
    local: Local,
    services: &'h ServiceSettings,
}

impl StandIn {
    /// A message of the host.
    pub(super) fn sent(&mut self, at: Duration, remote: SocketAddr, bytes: &Bytes, account: &mut Account) {
        let Some(id) = self.leg_of(bytes, true) else { return };
        let Some(is_new) = self.call(&id).map(|call| call.captured(at, bytes)) else { return };
        if let Some(port) = self.calls.get(&id).and_then(|call| call.host_port) {
            self.ports.insert(port, id.clone());
        }
        let cseq = message::cseq(bytes);
        let Some((number, method)) = cseq.filter(|_| is_new) else { return };
        let tick = self.engine.now().0 + 1;
        // What the host does in answer to something, the engine must have seen, too; and a BYE it may be about to send.
        let is_request = message::status(bytes).is_none() && method != "ACK";
        let is_wish = is_request || self.services.ask_handler;
        let is_early = is_wish && self.calls.get(&id).is_some_and(|call| call.has_to_wait(tick));
        if is_early || (is_request && matches!(method.as_str(), "BYE" | "CANCEL")) {
            self.tick(1);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        let host = Host { local: self.local, services: &self.services };
        match host.means(call, remote, bytes, number, &method) {
            Meaning::ByItself => {}
            Meaning::Not(because) => {
                call.repeats.insert((number, method.clone()), None);
                let call_id = legs::in_words(&id);
                self.not_repeated.push(NotRepeated { at, call_id, method, because });
            }
            Meaning::Ask(what, operation) => {
                *account.commands.entry(what.to_owned()).or_default() += 1;
                self.commands += 1;
                let number = self.commands;
                if matches!(operation, Operation::Place(_)) {
                    call.placing = Some(remote);
                    self.orders.insert(number, id);
                }
                call.given_at = self.engine.now().0 + 1;
                self.pending.push(Input::Command(Command { number, operation }));
            }
        }
    }
}

impl Host<'_> {
    fn means(&self, call: &mut Call, remote: SocketAddr, bytes: &[u8], cseq: u32, method: &str) -> Meaning {
        let living = call.session.filter(|_| call.ended.is_none());
        if let Some(status) = message::status(bytes) {
            return self.decides(call, living, status, cseq, method);
        }
        let is_within = message::header(bytes, "To").and_then(message::tag).is_some();
        match (method, living) {
            ("ACK", _) => Meaning::ByItself,
            _ if message::hops(bytes) > 1 => Meaning::Not("which it passed on for another"),
            ("INVITE", _) if !is_within => {
                Meaning::Ask("place a call", Operation::Place(place(bytes, remote, self.local, &self.services.default)))
            }
            ("BYE" | "CANCEL", _) if call.requests.contains_key(method) => Meaning::ByItself,
            ("BYE" | "CANCEL", Some(session)) => Meaning::Ask("hang up", Operation::HangUp { session }),
            ("INVITE" | "UPDATE", Some(session)) => changes(call, session, bytes, cseq, method),
            ("BYE" | "CANCEL" | "INVITE" | "UPDATE", None) => Meaning::Not("for which the engine has no call"),
            _ => Meaning::Not("which the engine never sends of its own accord"),
        }
    }

    /// Where the application outside decides about calls, the host's answer is the decision.
    fn decides(&self, call: &mut Call, living: Option<StableId>, status: u16, cseq: u32, method: &str) -> Meaning {
        let is_asked = self.services.ask_handler && method == "INVITE" && call.undecided == Some(cseq);
        let Some(session) = living.filter(|_| is_asked && status > 100) else { return Meaning::ByItself };
        if status >= 200 {
            call.undecided = None;
        }
        match status {
            ..=199 => Meaning::Ask("let a call ring", Operation::Ring { session }),
            200..=299 => {
                let service = self.services.default.clone();
                Meaning::Ask("answer a call", Operation::Answer { session, service })
            }
            _ => Meaning::Ask("reject a call", Operation::Reject { session, status }),
        }
    }
}

/// A change of the session: the engine can be asked to hold and to resume, which it does by re-INVITE.
fn changes(call: &mut Call, session: StableId, bytes: &[u8], cseq: u32, method: &str) -> Meaning {
    let Some(stops) = description::holds(bytes) else {
        return Meaning::Not("which changes no direction");
    };
    if stops == call.holds {
        let comes_back = std::mem::take(&mut call.met);
        return if comes_back { Meaning::ByItself } else { Meaning::Not("which neither holds nor resumes") };
    }
    (call.holds, call.asked) = (stops, Some(cseq));
    if method == "UPDATE" {
        call.repeats.insert((cseq, method.to_owned()), Some("INVITE"));
    }
    if stops {
        Meaning::Ask("hold", Operation::Hold { session })
    } else {
        Meaning::Ask("resume", Operation::Resume { session })
    }
}

/// The operation that places the call of the host's INVITE.
fn place(invite: &[u8], remote: SocketAddr, local: Local, service: &str) -> PlaceCall {
    let from = message::header(invite, "From").map(message::uri).unwrap_or_default();
    let to = message::title(invite).split(' ').nth(1).unwrap_or_default().to_owned();
    let via = message::header(invite, "Via").unwrap_or_default();
    let over_tcp = via.to_ascii_uppercase().starts_with(b"SIP/2.0/TCP");
    let local = SocketAddr::new(local.ip, local.port.unwrap_or(5060));
    PlaceCall { from, to, remote, over_tcp, local, service: service.to_owned(), sdp: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: StableId = StableId(7);

    fn message(method: &str, to_tag: &str, more: &str, body: &str) -> Vec<u8> {
        format!(
            "{method} sip:b@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1\r\n{more}From: <sip:a@10.0.0.1>;tag=h\r\n\
             To: <sip:b@10.0.0.2>{to_tag}\r\nCSeq: 3 {method}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    fn means(call: &mut Call, bytes: &[u8]) -> Meaning {
        let services = ServiceSettings { ask_handler: true, ..ServiceSettings::default() };
        let host = Host { local: "10.0.0.1".parse().unwrap(), services: &services };
        let (cseq, method) = message::cseq(bytes).unwrap();
        host.means(call, "10.0.0.2:5060".parse().unwrap(), bytes, cseq, &method)
    }

    fn sdp(direction: &str) -> String {
        format!("c=IN IP4 10.0.0.1\r\nm=audio 9 RTP/AVP 0\r\na={direction}\r\n")
    }

    fn connected() -> Call {
        Call { session: Some(SESSION), ..Call::default() }
    }

    #[test]
    fn what_the_engine_can_be_asked_for_it_is_asked_for() {
        let mut call = connected();
        let hold = message("INVITE", ";tag=p", "", &sdp("sendonly"));
        assert_eq!(means(&mut call, &hold), Meaning::Ask("hold", Operation::Hold { session: SESSION }));
        assert_eq!(means(&mut call, &hold), Meaning::Not("which neither holds nor resumes"));
        let resume = message("UPDATE", ";tag=p", "", &sdp("sendrecv"));
        assert_eq!(means(&mut call, &resume), Meaning::Ask("resume", Operation::Resume { session: SESSION }));
        assert_eq!(call.repeated_by(3, "UPDATE"), "INVITE");
        let bye = message("BYE", ";tag=p", "", "");
        assert_eq!(means(&mut call, &bye), Meaning::Ask("hang up", Operation::HangUp { session: SESSION }));
        call.requests.insert("BYE".to_owned(), Bytes::new());
        assert_eq!(means(&mut call, &bye), Meaning::ByItself);
        let Meaning::Ask("place a call", Operation::Place(placed)) =
            means(&mut Call::default(), &message("INVITE", "", "", &sdp("sendrecv")))
        else {
            panic!("a call is placed")
        };
        assert_eq!((placed.from.as_str(), placed.to.as_str()), ("sip:a@10.0.0.1", "sip:b@10.0.0.2"));
        assert_eq!(placed.local, "10.0.0.1:5060".parse().unwrap());
    }

    #[test]
    fn what_it_can_not_has_a_reason() {
        for (bytes, because) in [
            (message("INFO", ";tag=p", "", ""), "which the engine never sends of its own accord"),
            (message("REGISTER", "", "", ""), "which the engine never sends of its own accord"),
            (message("INVITE", ";tag=p", "", ""), "which changes no direction"),
            (message("INVITE", "", "v: SIP/2.0/UDP h\r\n", ""), "which it passed on for another"),
        ] {
            assert_eq!(means(&mut connected(), &bytes), Meaning::Not(because));
        }
        let bye = message("BYE", ";tag=p", "", "");
        assert_eq!(means(&mut Call::default(), &bye), Meaning::Not("for which the engine has no call"));
        let ended = Some((Duration::ZERO, "peer hung up".to_owned()));
        assert_eq!(means(&mut Call { ended, ..connected() }, &bye), Meaning::Not("for which the engine has no call"));
    }

    #[test]
    fn a_refused_hold_is_none_and_one_that_met_another_comes_back_by_itself() {
        let hold = message("INVITE", ";tag=p", "", &sdp("sendonly"));
        for (status, again) in [
            (200, Meaning::Not("which neither holds nor resumes")),
            (491, Meaning::ByItself),
            (488, Meaning::Ask("hold", Operation::Hold { session: SESSION })),
        ] {
            let mut call = connected();
            means(&mut call, &hold);
            call.received(format!("SIP/2.0 {status} X\r\nCSeq: 3 INVITE\r\n\r\n").as_bytes());
            assert_eq!(means(&mut call, &hold), again, "{status}");
        }
    }

    #[test]
    fn the_hosts_answers_are_decisions_where_a_user_has_to_decide() {
        let mut call = connected();
        call.received(&message("INVITE", "", "", &sdp("sendrecv")));
        let answer = |status: u16| format!("SIP/2.0 {status} X\r\nCSeq: 3 INVITE\r\n\r\n").into_bytes();
        assert_eq!(means(&mut call, &answer(100)), Meaning::ByItself);
        assert_eq!(
            means(&mut call, &answer(180)),
            Meaning::Ask("let a call ring", Operation::Ring { session: SESSION })
        );
        let service = "echo".to_owned();
        assert_eq!(
            means(&mut call, &answer(200)),
            Meaning::Ask("answer a call", Operation::Answer { session: SESSION, service })
        );
        assert_eq!(means(&mut call, &answer(200)), Meaning::ByItself, "it is decided");
        call.undecided = Some(3);
        assert_eq!(
            means(&mut call, &answer(486)),
            Meaning::Ask("reject a call", Operation::Reject { session: SESSION, status: 486 })
        );
        call.undecided = Some(3);
        call.received(&message("CANCEL", "", "", ""));
        assert_eq!(means(&mut call, &answer(487)), Meaning::ByItself);
    }
}
