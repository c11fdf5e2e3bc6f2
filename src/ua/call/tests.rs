//! The caller's side, with a peer whose messages the test writes. Both sides together: `both.rs`.

use super::*;
use crate::ua::G711;
use crate::ua::message::{Message, Start as Line};
use crate::ua::sdp::RemoteAudio;
use crate::ua::write::Reply;

mod both;

struct Peer {
    call: Call,
    out: Outbox,
}

const SDP: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n";
const CONTACT: &str = "<sip:echo@127.0.0.1:5090>";

fn peer(reliable: bool) -> Peer {
    let identity = Identity {
        call_id: "1@test".into(),
        user: "caller".into(),
        from: "<sip:a@127.0.0.1>;tag=ours".into(),
        to: "<sip:echo@127.0.0.1>".into(),
        local: "127.0.0.1:5071".parse().unwrap(),
        reliable,
    };
    let mut call = Call::new(Start {
        identity,
        uri: "sip:echo@127.0.0.1".into(),
        hop: "127.0.0.1:5060".parse().unwrap(),
        rtp: "127.0.0.1:20002".parse().unwrap(),
        codecs: vec![G711::Pcma.into()],
        ring_limit: GIVE_UP,
    });
    let mut out = Outbox::new();
    call.invite(0, true, &mut out);
    Peer { call, out }
}

impl Peer {
    /// The other side answers the last request sent of that method.
    fn answer(&mut self, now: u64, method: &str, status: u16, tag: &str) -> Happened {
        let is = |bytes: &&(SocketAddr, Vec<u8>)| bytes.1.starts_with(method.as_bytes());
        let request = self.out.iter().rev().find(is).expect("no such request").1.clone();
        let request = Message::parse(&request).unwrap();
        let body = (method == "INVITE" && status / 100 == 2).then_some(("application/sdp", SDP));
        let bytes = Reply { contact: Some(CONTACT), body, ..Reply::new(status, tag) }.to(&request);
        self.call.on_response(now, &Message::parse(&bytes).unwrap(), &mut self.out)
    }

    /// The other side asks something; what we answer.
    fn ask(&mut self, method: &str, cseq: u32, body: &str) -> (Happened, Vec<u8>) {
        let text = format!(
            "{method} sip:caller@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx{cseq}\r\n\
             From: <sip:echo@127.0.0.1>;tag=theirs\r\nTo: <sip:a@127.0.0.1>;tag=ours\r\nCall-ID: 1@test\r\n\
             CSeq: {cseq} {method}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let message = Message::parse(text.as_bytes()).unwrap();
        let source = "127.0.0.1:5060".parse().unwrap();
        let happened = self.call.on_request(0, &message, source, &mut self.out);
        (happened, self.out.last().unwrap().1.clone())
    }

    fn sent(&self) -> Vec<String> {
        let first_word = |bytes: &[u8]| String::from_utf8_lossy(bytes).split(' ').next().unwrap().to_owned();
        self.out.iter().map(|(_, bytes)| first_word(bytes)).collect()
    }
}

#[test]
fn a_call_is_answered_held_and_ended() {
    let mut peer = peer(false);
    assert_eq!(peer.answer(1, "INVITE", 100, "t"), Happened::Nothing);
    assert_eq!(peer.answer(2, "INVITE", 180, "theirs"), Happened::Ringing(180));
    let Happened::Answered(remote) = peer.answer(3, "INVITE", 200, "theirs") else { panic!() };
    assert_eq!(remote.law(), G711::Pcma);
    // The ACK goes to the Contact and is sent again for a repeated 200.
    assert_eq!(peer.out.last().unwrap().0, "127.0.0.1:5090".parse().unwrap());
    assert_eq!(peer.answer(4, "INVITE", 200, "theirs"), Happened::Nothing);
    assert_eq!(peer.call.count.retransmissions_seen, 1);

    let offer = format!("{SDP}a=inactive\r\n");
    let (happened, answer) = peer.ask("INVITE", 7, &offer);
    assert!(matches!(happened, Happened::MediaChanged(RemoteAudio { receives: false, sends: false, .. })));
    assert!(String::from_utf8_lossy(&answer).contains("a=inactive"));
    assert_eq!(peer.ask("INVITE", 7, &offer), (Happened::Nothing, answer));
    assert_eq!(peer.ask("ACK", 7, "").0, Happened::Acknowledged);
    assert!(peer.ask("OPTIONS", 8, "").1.starts_with(b"SIP/2.0 200"));
    for (cseq, method, status) in [(9, "UPDATE", 405), (10, "MESSAGE", 405), (11, "TELEPORT", 501)] {
        let answer = String::from_utf8(peer.ask(method, cseq, "").1).unwrap();
        assert!(answer.starts_with(&format!("SIP/2.0 {status} ")), "{answer}");
        assert!(answer.contains("\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO\r\n"), "{answer}");
    }

    peer.call.hang_up(10, &mut peer.out);
    assert_eq!(peer.answer(11, "BYE", 200, "theirs"), Happened::Ended);
    assert_eq!(peer.call.end, Some(End::Completed));
}

#[test]
fn a_refusal_is_acknowledged_in_its_transaction() {
    let mut peer = peer(false);
    assert_eq!(peer.answer(1, "INVITE", 486, "theirs"), Happened::Ended);
    assert_eq!(peer.call.end, Some(End::Rejected { status: 486, phrase: "Busy Here".into() }));
    let (invite, ack) = (Message::parse(&peer.out[0].1).unwrap(), Message::parse(&peer.out[1].1).unwrap());
    assert_eq!(ack.start, Line::Request { method: "ACK", uri: "sip:echo@127.0.0.1" });
    assert_eq!((ack.branch(), ack.tag("To")), (invite.branch(), Some("theirs")));
    let _ = peer.answer(2, "INVITE", 486, "theirs");
    assert_eq!(peer.sent(), ["INVITE", "ACK", "ACK"]);
}

#[test]
fn an_unanswered_call_is_retransmitted_and_given_up() {
    let mut peer = peer(false);
    while peer.call.state != State::Ended {
        let due = peer.call.due_at();
        let _ = peer.call.on_time(due, &mut peer.out);
    }
    assert_eq!(peer.call.end, Some(End::NoAnswer { rang: false }));
    assert_eq!((peer.out.len(), peer.call.count.retransmissions_sent), (7, 6));
}

#[test]
fn a_call_that_only_rings_is_cancelled() {
    let mut peer = peer(false);
    let _ = peer.answer(1, "INVITE", 180, "theirs");
    assert_eq!(peer.call.due_at(), GIVE_UP + 1);
    let _ = peer.call.on_time(GIVE_UP + 1, &mut peer.out);
    assert_eq!(peer.sent(), ["INVITE", "CANCEL"]);
    let _ = peer.answer(GIVE_UP + 2, "CANCEL", 200, "theirs");
    assert_eq!(peer.answer(GIVE_UP + 3, "INVITE", 487, "theirs"), Happened::Ended);
    assert_eq!(peer.call.end, Some(End::Cancelled));
}

#[test]
fn hanging_up_before_a_provisional_waits_for_it_and_a_crossing_200_is_ended() {
    let mut peer = peer(false);
    peer.call.hang_up(1, &mut peer.out);
    assert_eq!(peer.sent(), ["INVITE"]);
    let _ = peer.answer(2, "INVITE", 100, "theirs");
    assert_eq!(peer.sent(), ["INVITE", "CANCEL"]);
    assert_eq!(peer.answer(3, "INVITE", 200, "theirs"), Happened::Nothing);
    assert_eq!(peer.sent(), ["INVITE", "CANCEL", "ACK", "BYE"]);
    let _ = peer.answer(4, "BYE", 200, "theirs");
    assert_eq!(peer.call.end, Some(End::Cancelled));
}

#[test]
fn a_second_fork_is_acknowledged_and_ended() {
    let mut peer = peer(false);
    let _ = peer.answer(1, "INVITE", 200, "theirs");
    let _ = peer.answer(2, "INVITE", 200, "another");
    assert_eq!(peer.sent(), ["INVITE", "ACK", "ACK", "BYE"]);
    let bye = Message::parse(&peer.out[3].1).unwrap();
    assert_eq!(bye.tag("To"), Some("another"));
    assert_eq!(peer.call.state, State::Confirmed);
}

#[test]
fn the_other_side_hangs_up_and_strangers_cannot() {
    let mut peer = peer(true);
    let _ = peer.answer(1, "INVITE", 200, "tag-1");
    assert!(peer.ask("BYE", 2, "").1.starts_with(b"SIP/2.0 481"));
    peer.call.remote_tag = Some("theirs".into());
    let (happened, answer) = peer.ask("BYE", 3, "");
    assert_eq!((happened, &peer.call.end), (Happened::Ended, &Some(End::HungUp)));
    assert!(answer.starts_with(b"SIP/2.0 200"));
}
