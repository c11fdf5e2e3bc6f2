//! Bugs that the simulator found, each repeated in a test by hand: mostly two events in one tick.

mod common;

use common::callee::{answer_to, place};
use common::{Bench, Caller, header, status};
use ringworld::components::edge::Operation;
use ringworld::components::kernel::StableId;
use ringworld::engine::WorldConfig;

fn answer(request: &str, line: &str, body: &str) -> String {
    answer_to(request, line, "t1", body)
}

#[test]
fn the_ack_of_a_reinvite_counts_although_another_request_came_with_it() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let ok = bench.exchange(&caller.invite()).remove(0);
    caller.learn(&ok);
    bench.exchange(&caller.ack());
    caller.next();
    let reinvite = caller.clone();
    bench.deliver(&caller.request("INVITE", &caller.sdp("sendrecv")));
    caller.next();
    bench.deliver(&caller.request("INFO", ""));
    bench.tick();
    assert!(bench.take_sent().iter().all(|text| status(text) == 200));
    bench.exchange(&reinvite.ack());
    bench.run_ms(40_000);
    assert_eq!(bench.take_sent(), Vec::<String>::new(), "the 200 is acknowledged");
    assert_eq!(bench.engine.census().sessions, 1);
}

#[test]
fn a_call_that_is_answered_in_the_tick_of_its_deadline_goes_on() {
    let mut config = WorldConfig::default();
    config.settings.timers.ringing_s = 2;
    let mut bench = Bench::with(config);
    let invite = place(&mut bench);
    bench.exchange(&answer(&invite, "180 Ringing", ""));
    let placed = 1;
    while bench.engine.now().0 < placed + 399 {
        bench.tick();
    }
    let sent = bench.exchange(&answer(&invite, "200 OK", &Caller::new(5, "callee").sdp("sendrecv")));
    assert_eq!(bench.engine.now().0, placed + 400, "the tick of the deadline");
    assert!(sent.iter().any(|text| text.starts_with("ACK ")), "{sent:?}");
    bench.run_ms(1_000);
    assert!(!bench.take_sent().iter().any(|text| text.starts_with("BYE ")), "it was in time");
    assert_eq!(bench.engine.census().sessions, 1);
}

#[test]
fn an_invite_without_a_final_response_does_not_outlive_its_call_for_ever() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    let sent = bench.exchange(&answer(&invite, "180 Ringing", ""));
    assert_eq!(sent, Vec::<String>::new());
    bench.ask(Operation::HangUp { session: StableId(1) });
    bench.tick();
    let cancel = bench.take_sent().pop().expect("a CANCEL");
    bench.exchange(&answer(&cancel, "200 OK", ""));
    // The 487 never comes.
    bench.run_ms(70_000);
    bench.assert_baseline();
}

#[test]
fn a_refusal_without_a_transaction_has_the_same_tag_each_time() {
    let mut config = WorldConfig::default();
    config.settings.limits.transactions = 0;
    let mut bench = Bench::with(config);
    let invite = Caller::new(1, "echo").invite();
    let malformed = invite.replace("CSeq: 1 INVITE", "CSeq: one INVITE").replace("call-1", "call-2");
    for (text, expected) in [(invite, 503), (malformed, 400)] {
        let first = bench.exchange(&text).remove(0);
        let second = bench.exchange(&text).remove(0);
        assert_eq!((status(&first), &first), (expected, &second));
        assert!(header(&first, "To").is_some_and(|to| to.contains(";tag=rw00")), "{first}");
    }
}

/// The timestamps and event codes of the telephone-event packets that were sent.
fn events(bench: &Bench) -> Vec<(u32, u8)> {
    let is_event = |bytes: &&[u8]| bytes.get(1).is_some_and(|kind| kind & 0x7f == 101);
    let read = |bytes: &[u8]| (u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]), bytes[12]);
    bench.rtp.iter().map(|packet| packet.bytes()).filter(is_event).map(read).collect()
}

#[test]
fn a_digit_that_a_hold_or_skipped_ticks_interrupt_is_one_digit() {
    for skipped in [None, Some(9), Some(12), Some(60)] {
        let mut bench = Bench::new();
        let mut caller = Caller::new(1, "conf-x");
        let ok = bench.exchange(&caller.invite()).remove(0);
        caller.learn(&ok);
        bench.exchange(&caller.ack());
        bench.ask(Operation::SendDtmf { session: StableId(2), digits: "57".into() });
        bench.run_ms(50);
        match skipped {
            Some(ticks) => bench.skip(ticks),
            None => {
                for direction in ["inactive", "sendrecv"] {
                    caller.next();
                    bench.exchange(&caller.request("INVITE", &caller.sdp(direction)));
                    bench.exchange(&caller.ack());
                    bench.run_ms(60);
                }
            }
        }
        bench.run_ms(500);
        let mut heard = events(&bench);
        heard.dedup();
        let codes: Vec<u8> = heard.iter().map(|(_, code)| *code).collect();
        assert_eq!(codes, [5, 7], "{skipped:?} ticks skipped: {heard:?}");
    }
}
