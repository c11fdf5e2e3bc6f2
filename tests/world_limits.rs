//! Every table has a limit, every limit a counter; beyond it the request is refused and leaves nothing behind.

mod common;

use common::callee::{answer_to, place, sdp};
use common::party::Party;
use common::{Bench, Caller, header, status, tag};
use ringworld::components::call::{CallErrorCause, LimitSettings};
use ringworld::components::edge::{Command, Input, Operation, Output, PlaceCall};
use ringworld::engine::{Engine, WorldConfig};

fn limited(set: impl FnOnce(&mut LimitSettings)) -> Bench {
    let mut config = WorldConfig::default();
    set(&mut config.settings.limits);
    Bench::with(config)
}

fn hits(bench: &Bench, limit: &str) -> u64 {
    bench.engine.counters().limits_hit.get(limit).copied().unwrap_or(0)
}

/// A call that meets a limit: the answer, and that the world is as before but for the transaction that ends it.
fn refused(bench: &mut Bench, call: u32, user: &str) -> String {
    let before = bench.engine.census();
    let caller = Caller::new(call, user);
    let answer = bench.exchange(&caller.invite()).remove(0);
    bench.exchange(&caller.ack_of_refusal());
    bench.run_ms(6_000);
    let mut after = bench.engine.census();
    // Timers and transactions of the calls before may have ended meanwhile.
    (after.timers, after.transactions, after.entities) = (before.timers, before.transactions, before.entities);
    assert_eq!(after, before, "something is left of a call that was refused");
    answer
}

fn assert_unavailable(answer: &str) {
    assert_eq!((status(answer), header(answer, "Retry-After")), (503, Some("5")), "{answer}");
}

#[test]
fn sessions_dialogs_transactions_ports_and_rooms_have_their_limits() {
    let mut bench = limited(|limits| limits.sessions = 1);
    let party = Party::join(&mut bench, 1, "echo", 0);
    assert_unavailable(&refused(&mut bench, 2, "echo"));
    assert_eq!(hits(&bench, "sessions"), 1);
    party.hang_up(&mut bench);
    bench.run_ms(33_000);
    bench.assert_baseline();

    let mut bench = limited(|limits| limits.dialogs = 1);
    let party = Party::join(&mut bench, 1, "echo", 0);
    assert_unavailable(&refused(&mut bench, 2, "echo"));
    assert_eq!(hits(&bench, "dialogs"), 1);
    party.hang_up(&mut bench);
    bench.run_ms(33_000);
    bench.assert_baseline();

    let mut bench = limited(|limits| limits.transactions = 1);
    bench.exchange(&Caller::new(1, "ring-100").invite());
    for method in ["INVITE", "OPTIONS", "REGISTER"] {
        assert_unavailable(&bench.exchange(&Caller::new(2, "echo").request(method, "")).remove(0));
    }
    assert_eq!((hits(&bench, "transactions"), bench.engine.census().transactions), (3, 1));

    let mut bench = Bench::of(Engine::new(&WorldConfig::default()), 1);
    let party = Party::join(&mut bench, 1, "echo", 0);
    for (call, user) in [(2, "echo"), (3, "conf-none"), (4, "tone")] {
        assert_unavailable(&refused(&mut bench, call, user));
    }
    assert_eq!(hits(&bench, "ports"), 3);
    party.hang_up(&mut bench);
    bench.run_ms(33_000);
    bench.assert_baseline();

    let mut bench = limited(|limits| limits.rooms = 1);
    let party = Party::join(&mut bench, 1, "conf-one", 0);
    assert_unavailable(&refused(&mut bench, 2, "conf-two"));
    assert_eq!((hits(&bench, "rooms"), bench.engine.census().rooms, bench.engine.census().ports), (1, 1, 1));
    let second = Party::join(&mut bench, 3, "conf-one", 0);
    party.hang_up(&mut bench);
    assert_eq!(bench.engine.census().rooms, 1, "there is still a participant");
    second.hang_up(&mut bench);
    assert_eq!(bench.engine.census().rooms, 0, "the last one closes it");
    Party::join(&mut bench, 4, "conf-two", 0).hang_up(&mut bench);
    bench.run_ms(33_000);
    bench.assert_baseline();
}

#[test]
fn a_room_has_a_limit_of_participants() {
    for cap in [0, 2] {
        let mut bench = limited(|limits| limits.participants = cap);
        let inside: Vec<Party> = (1..=cap).map(|call| Party::join(&mut bench, call, "conf-small", 0)).collect();
        assert_eq!(status(&refused(&mut bench, 9, "conf-small")), 486);
        assert_eq!((hits(&bench, "participants"), bench.engine.census().rooms), (1, u64::from(cap > 0)));
        for party in inside {
            party.hang_up(&mut bench);
        }
        if cap > 0 {
            Party::join(&mut bench, 10, "conf-small", 0).hang_up(&mut bench);
        }
        bench.run_ms(33_000);
        bench.assert_baseline();
    }
}

#[test]
fn an_offer_without_a_codec_in_common_is_488_and_leaves_nothing() {
    let mut bench = Bench::new();
    for (call, formats) in [(1, "3 18"), (2, "111"), (3, "101")] {
        let caller = Caller::new(call, "conf-x");
        let sdp = caller.sdp("sendrecv").replace("RTP/AVP 0 8 101", &format!("RTP/AVP {formats}"));
        assert_eq!(status(&bench.exchange(&caller.request("INVITE", &sdp))[0]), 488, "{formats}");
        bench.exchange(&caller.ack_of_refusal());
    }
    for (call, media) in [(4, "m=video 4000 RTP/AVP 31"), (5, "m=audio 0 RTP/AVP 0"), (6, "m=audio 4000 RTP/SAVP 0")] {
        let caller = Caller::new(call, "echo");
        let sdp = caller.sdp("sendrecv");
        let at = sdp.find("m=audio").expect("an m line");
        let body = format!("{}{media}\r\n", &sdp[..at]);
        assert_eq!(status(&bench.exchange(&caller.request("INVITE", &body))[0]), 488, "{media}");
        bench.exchange(&caller.ack_of_refusal());
    }
    assert_eq!((bench.engine.census().ports, bench.engine.census().rooms), (0, 0));
    bench.run_ms(33_000);
    bench.assert_baseline();
}

/// An ACK is never kept for later: one that comes before its 2xx meets no dialog that waits for it.
#[test]
fn an_early_ack_is_counted_and_not_kept() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "ring-1");
    (0..1_000).for_each(|_| bench.deliver(&caller.ack()));
    bench.tick();
    assert!(bench.take_sent().is_empty());
    let ringing = bench.exchange(&caller.invite()).remove(0);
    assert_eq!(status(&ringing), 180);
    caller.learn(&ringing);
    let before = bench.engine.census();
    for branch in 0..1_000 {
        bench.deliver(&Caller { branch: 5_000 + branch, ..caller.clone() }.request("ACK", ""));
    }
    bench.tick();
    let mut after = bench.engine.census();
    after.timers = before.timers;
    assert_eq!(after, before);
    bench.take_sent();
    bench.run_ms(1_100);
    let answer = bench.take_sent().into_iter().find(|text| status(text) == 200).expect("the answer");
    assert!(answer.contains("CSeq: 1 INVITE"));
    bench.run_ms(600);
    assert!(bench.take_sent().iter().any(|text| status(text) == 200), "the early ones acknowledged nothing");
    bench.exchange(&caller.ack());
    bench.run_ms(5_000);
    assert!(bench.take_sent().is_empty(), "the one in time did");
    let dropped = bench.engine.counters().dropped.get("ACK to nothing").copied().unwrap_or(0);
    assert!(dropped >= 1_000, "{:?}", bench.engine.counters().dropped);
    let bye = caller.bye();
    bench.exchange(&bye);
    bench.run_ms(33_000);
    bench.assert_baseline();
}

#[test]
fn a_call_that_we_place_needs_a_transaction_too() {
    let mut bench = limited(|limits| limits.transactions = 1);
    place(&mut bench);
    let before = bench.engine.census();
    let call = PlaceCall {
        from: "sip:switch@10.0.0.1".into(),
        to: "sip:other@10.0.0.2:5070".into(),
        remote: common::PEER.parse().expect("an address"),
        over_tcp: false,
        local: common::SWITCH.parse().expect("an address"),
        service: "echo".into(),
        sdp: None,
    };
    bench.pending.push(Input::Command(Command { number: 9, operation: Operation::Place(call) }));
    bench.tick();
    let reply = bench.outputs.iter().find_map(|output| match output {
        Output::Reply(reply) if reply.number == 9 => Some(reply.clone()),
        _ => None,
    });
    let refused = reply.expect("an answer").result.expect_err("a refusal");
    assert_eq!(refused.cause, CallErrorCause::Limit("transactions".into()));
    assert_eq!((hits(&bench, "transactions"), bench.engine.census()), (1, before));
}

/// The methods and To tags of what was sent.
fn sent_to(sent: &[String]) -> Vec<(String, String)> {
    let method = |text: &String| text.split(' ').next().unwrap_or_default().to_owned();
    let to = |text: &String| header(text, "To").and_then(tag).unwrap_or_default().to_owned();
    sent.iter().map(|text| (method(text), to(text))).collect()
}

fn ack_and_bye(tag: &str) -> Vec<(String, String)> {
    ["ACK", "BYE"].map(|method| (method.to_owned(), tag.to_owned())).to_vec()
}

#[test]
fn a_fork_beyond_the_limit_that_answers_is_acknowledged_and_ended_and_nothing_is_left_of_it() {
    let mut bench = limited(|limits| limits.forks = 1);
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    let before = bench.engine.census();
    let late = answer_to(&invite, "200 OK", "t2", &sdp());
    let sent = bench.exchange(&late);
    assert_eq!(sent_to(&sent), ack_and_bye("t2"));
    assert_eq!((header(&sent[0], "CSeq"), header(&sent[1], "CSeq")), (Some("1 ACK"), Some("2 BYE")));
    let census = bench.engine.census();
    assert_eq!((census.sessions, census.dialogs), (1, 1), "the first fork goes on alone");
    let again = bench.exchange(&late);
    assert_eq!(again, sent[..1], "the ACK once more, and no second BYE");
    assert_eq!(hits(&bench, "forks or dialogs"), 2);
    // The BYE is repeated like any request until it is answered.
    bench.take_sent();
    bench.run_ms(600);
    assert_eq!(bench.take_sent(), sent[1..]);
    bench.exchange(&answer_to(&sent[1], "200 OK", "t2", ""));
    bench.run_ms(6_000);
    assert_eq!(bench.engine.census().transactions, before.transactions);
    assert_eq!(sent_to(&bench.exchange(&late)), ack_and_bye("t2"), "should it not have heard of it");
    let bye = bench.command(|session| Operation::HangUp { session });
    assert_eq!(sent_to(&bye), [("BYE".to_owned(), "t1".to_owned())]);
    bench.exchange(&answer_to(&bye[0], "200 OK", "t1", ""));
    bench.run_ms(70_000);
    bench.assert_baseline();
}

#[test]
fn a_call_that_only_a_fork_beyond_the_limit_answers_has_come_to_nothing() {
    let mut bench = limited(|limits| limits.forks = 1);
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
    let sent = bench.exchange(&answer_to(&invite, "200 OK", "t2", &sdp()));
    assert_eq!(sent_to(&sent), ack_and_bye("t2"));
    bench.run_ms(10);
    assert_eq!(bench.engine.census().sessions, 0);
    bench.exchange(&answer_to(&sent[1], "200 OK", "t2", ""));
    bench.run_ms(70_000);
    bench.assert_baseline();
}

#[test]
fn where_there_is_no_room_for_its_transaction_the_bye_of_a_fork_leaves_all_the_same() {
    let mut bench = limited(|limits| (limits.forks, limits.transactions) = (1, 1));
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    for fork in ["t2", "t3", "t4"] {
        let sent = bench.exchange(&answer_to(&invite, "200 OK", fork, &sdp()));
        assert_eq!(sent_to(&sent), ack_and_bye(fork));
    }
    assert_eq!(bench.engine.census().transactions, 1);
}
