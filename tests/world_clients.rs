//! Client transactions in virtual time, and both sides over a reliable transport: timers A to M of RFC 3261 section 17 and
//! RFC 6026, and that nothing is left where a peer never sends its final response.

mod common;

use common::callee::{answer_to, command, place, place_over, sdp};
use common::{Bench, Caller, established, status};
use ringworld::components::edge::Operation;

/// When the requests of that method were sent, in milliseconds after the first.
fn times_of(bench: &Bench, method: &str) -> Vec<u64> {
    let sent = bench.sent.iter().filter(|(_, text)| text.starts_with(&format!("{method} ")));
    let ticks: Vec<u64> = sent.map(|(tick, _)| *tick).collect();
    ticks.iter().map(|tick| (tick - ticks[0]) * 5).collect()
}

fn hang_up(bench: &mut Bench) {
    command(bench, |session| Operation::HangUp { session });
}

#[test]
fn a_bye_is_sent_again_at_t1_doubling_to_t2_until_timer_f() {
    let mut bench = Bench::new();
    established(&mut bench, 1, "echo");
    hang_up(&mut bench);
    bench.run_ms(31_990);
    let t2 = (1..7).map(|n| 7_500 + n * 4_000);
    assert_eq!(times_of(&bench, "BYE"), [0, 500, 1_500, 3_500, 7_500].into_iter().chain(t2).collect::<Vec<_>>());
    assert_eq!(bench.engine.census().sessions, 1, "it is still waited for");
    bench.run_ms(1_000);
    bench.assert_baseline();
    assert_eq!(bench.engine.counters().outcomes.get("hung up"), Some(&1));
}

#[test]
fn a_provisional_response_slows_a_bye_down_to_t2() {
    let mut bench = Bench::new();
    established(&mut bench, 1, "echo");
    hang_up(&mut bench);
    let bye = bench.sent.last().expect("a BYE").1.clone();
    bench.exchange(&answer_to(&bye, "100 Trying", "x", ""));
    bench.run_ms(9_000);
    assert_eq!(times_of(&bench, "BYE"), [0, 500, 4_500, 8_500]);
}

#[test]
fn an_answered_bye_lingers_for_t4_and_answers_that_come_again_are_absorbed() {
    let mut bench = Bench::new();
    established(&mut bench, 1, "echo");
    bench.run_ms(33_000);
    hang_up(&mut bench);
    let bye = bench.sent.last().expect("a BYE").1.clone();
    let answer = answer_to(&bye, "200 OK", "x", "");
    bench.exchange(&answer);
    bench.exchange(&answer);
    assert_eq!(bench.engine.counters().retransmissions_received, 1);
    bench.run_ms(4_900);
    assert_eq!(bench.engine.census().transactions, 1, "timer K");
    bench.run_ms(200);
    bench.assert_baseline();
    bench.exchange(&answer);
    assert_eq!(bench.engine.counters().dropped.get("response to nothing"), Some(&1));
}

#[test]
fn a_refusal_that_comes_again_is_acknowledged_again_for_32_s() {
    let mut config = ringworld::engine::WorldConfig::default();
    config.settings.sip.t1_ms = 100;
    let mut bench = Bench::with(config);
    let invite = place(&mut bench);
    let busy = answer_to(&invite, "486 Busy Here", "t1", "");
    let acked = bench.exchange(&busy);
    assert!(acked.len() == 1 && acked[0].starts_with("ACK "), "{acked:?}");
    bench.run_ms(31_900);
    assert_eq!(bench.exchange(&busy), acked, "timer D is 32 s at least, whatever T1 is");
    bench.run_ms(200);
    bench.assert_baseline();
    assert!(bench.exchange(&busy).is_empty());
}

#[test]
fn an_answer_that_comes_again_is_acknowledged_again_for_64_t1() {
    let mut bench = Bench::new();
    let invite = place(&mut bench);
    let answer = answer_to(&invite, "200 OK", "t1", &sdp());
    let acked = bench.exchange(&answer);
    bench.run_ms(31_900);
    assert_eq!(bench.exchange(&answer), acked, "timer M has not fired");
    bench.run_ms(200);
    assert!(bench.exchange(&answer).is_empty(), "timer M has fired");
    assert_eq!(bench.engine.census().sessions, 1);
}

#[test]
fn over_a_reliable_transport_nothing_but_a_2xx_is_sent_again() {
    let mut bench = Bench::new();
    place_over(&mut bench, true);
    bench.run_ms(33_000);
    assert!(times_of(&bench, "INVITE").is_empty(), "there is no timer A");
    assert_eq!(bench.engine.counters().outcomes.get("signalling timed out"), Some(&1), "but there is a timer B");
    bench.assert_baseline();

    let mut bench = Bench::new();
    let refused = Caller::new(1, "busy");
    bench.deliver_tcp(&refused.invite());
    bench.run_ms(20_000);
    assert_eq!(bench.take_sent().len(), 1, "there is no timer G");
    bench.deliver_tcp(&refused.ack_of_refusal());
    bench.tick();
    bench.assert_baseline();
    bench.deliver_tcp(&Caller::new(2, "busy").invite());
    bench.run_ms(32_100);
    bench.assert_baseline();

    let mut bench = Bench::new();
    let mut caller = Caller::new(3, "echo");
    bench.deliver_tcp(&caller.invite());
    bench.run_ms(700);
    let answers = bench.take_sent();
    assert_eq!(answers.iter().map(|answer| status(answer)).collect::<Vec<_>>(), [200, 200], "section 13.3.1.4");
    caller.learn(&answers[0]);
    bench.deliver_tcp(&caller.ack());
    bench.run_ms(32_000);
    assert_eq!(bench.engine.census().transactions, 0, "timer L");
    let bye = caller.bye();
    bench.deliver_tcp(&bye);
    bench.tick();
    assert_eq!(bench.engine.census().transactions, 0, "timer J is 0");
    bench.run_ms(20);
    bench.assert_baseline();
}

#[test]
fn an_answered_request_over_a_reliable_transport_is_gone_at_once() {
    let mut bench = Bench::new();
    let invite = place_over(&mut bench, true);
    bench.deliver_tcp(&answer_to(&invite, "486 Busy Here", "t1", ""));
    bench.tick();
    assert!(bench.take_sent().pop().is_some_and(|ack| ack.starts_with("ACK ")));
    assert_eq!(bench.engine.census().transactions, 0, "timer D is 0");
    bench.run_ms(20);
    bench.assert_baseline();
}

#[test]
fn a_cancelled_call_whose_peer_never_refuses_it_leaves_nothing() {
    for confirms_cancel in [true, false] {
        let mut bench = Bench::new();
        let invite = place(&mut bench);
        bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
        hang_up(&mut bench);
        let cancel = bench.sent.iter().find(|(_, text)| text.starts_with("CANCEL ")).expect("a CANCEL").1.clone();
        if confirms_cancel {
            bench.exchange(&answer_to(&cancel, "200 OK", "t1", ""));
        }
        bench.exchange(&answer_to(&invite, "183 Session Progress", "t1", ""));
        bench.run_ms(33_000);
        bench.assert_baseline();
        assert_eq!(bench.engine.counters().outcomes.get("hung up"), Some(&1));
    }
}

#[test]
fn a_re_invite_that_never_gets_its_last_word_does_not_outlive_its_call_for_long() {
    for provisional_before_the_end in [true, false] {
        let mut bench = Bench::new();
        let mut caller = established(&mut bench, 1, "echo");
        command(&mut bench, |session| Operation::Hold { session });
        let reinvite = bench.sent.last().expect("a re-INVITE").1.clone();
        let trying = answer_to(&reinvite, "100 Trying", "x", "");
        let bye = caller.bye();
        if provisional_before_the_end {
            bench.exchange(&trying);
            bench.exchange(&bye);
        } else {
            bench.exchange(&bye);
            bench.tick();
            bench.exchange(&trying);
        }
        bench.run_ms(34_000);
        bench.assert_baseline();
    }
}

#[test]
fn the_same_branch_from_another_sender_or_for_another_method_is_another_transaction() {
    let mut bench = Bench::new();
    let first = Caller::new(1, "echo").request("OPTIONS", "");
    let answer = bench.exchange(&first);
    assert_eq!(bench.exchange(&first), answer, "the same one: sent again");
    assert_eq!(bench.engine.counters().retransmissions_received, 1);
    let other = Caller { peer: "10.0.0.2:5999".into(), ..Caller::new(2, "echo") };
    let other = other.request("OPTIONS", "").replace("z9hG4bK-2-1", "z9hG4bK-1-1");
    assert_eq!(status(&bench.exchange(&other)[0]), 200);
    let method = Caller::new(3, "echo").request("BYE", "").replace("z9hG4bK-3-1", "z9hG4bK-1-1");
    assert_eq!(status(&bench.exchange(&method)[0]), 481);
    assert_eq!(bench.engine.counters().retransmissions_received, 1);
    assert_eq!(bench.engine.census().transactions, 3);
}

#[test]
fn an_old_style_cancel_finds_its_invite() {
    let mut bench = Bench::new();
    let caller = Caller::new(1, "ring-20");
    let old = |text: String| text.replace(";branch=z9hG4bK-1-1", "").replace(";rport", "");
    assert_eq!(status(&bench.exchange(&old(caller.invite()))[0]), 180);
    let statuses: Vec<u16> = bench.exchange(&old(caller.request("CANCEL", ""))).iter().map(|it| status(it)).collect();
    assert_eq!(statuses, [200, 487]);
}

#[test]
fn an_ack_that_is_there_when_the_timer_of_its_2xx_fires_comes_first() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let answer = bench.exchange(&caller.invite()).remove(0);
    caller.learn(&answer);
    bench.take_sent();
    // The tick is late: T1 is over, and the ACK has been waiting for long.
    bench.deliver(&caller.ack());
    bench.skip(500);
    bench.run_ms(10_000);
    assert_eq!(bench.take_sent(), Vec::<String>::new(), "nothing is sent again");
    assert_eq!(bench.engine.counters().retransmissions_sent, 0);

    // The ACK in the next tick, the earliest in which it can come.
    let mut caller = Caller::new(2, "echo");
    let answer = bench.exchange(&caller.invite()).remove(0);
    caller.learn(&answer);
    bench.deliver(&caller.ack());
    bench.run_ms(40_000);
    assert_eq!(bench.engine.counters().retransmissions_sent, 0);
}
