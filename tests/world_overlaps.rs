//! Requests that come before others have ended: RFC 3261 sections 14.2 and 15.

mod common;

use common::{Bench, Caller, header, status, statuses};

#[test]
fn a_bye_in_an_early_dialog_ends_the_invite_too() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "ring-20");
    let ringing = bench.exchange(&caller.invite()).remove(0);
    assert_eq!(status(&ringing), 180);
    caller.learn(&ringing);
    let invite = Caller { to_tag: String::new(), ..caller.clone() };
    let mut ended = statuses(&bench.exchange(&caller.bye()));
    ended.sort_unstable();
    assert_eq!(ended, [200, 487], "one for the BYE, one for the INVITE (section 15.1.2)");
    bench.exchange(&invite.ack_of_refusal());
    bench.run_ms(33_000);
    bench.assert_baseline();
    assert_eq!(bench.engine.counters().outcomes.get("peer hung up"), Some(&1));
}

#[test]
fn a_re_invite_before_the_ack_is_told_to_come_back_later() {
    let mut bench = Bench::new();
    let mut caller = Caller::new(1, "echo");
    let answer = bench.exchange(&caller.invite()).remove(0);
    caller.learn(&answer);
    let early = caller.clone();
    caller.next();
    let refusal = bench.exchange(&caller.invite()).remove(0);
    assert_eq!(status(&refusal), 500);
    let seconds: u32 = header(&refusal, "Retry-After").and_then(|value| value.parse().ok()).expect("a Retry-After");
    assert!(seconds <= 10, "section 14.2: {seconds}");
    bench.exchange(&caller.ack_of_refusal());
    bench.exchange(&early.ack());
    caller.next();
    assert_eq!(statuses(&bench.exchange(&caller.invite())), [200], "now it may");
    assert_eq!(bench.engine.census().sessions, 1);
}

#[test]
fn a_re_invite_that_crosses_our_bye_finds_the_dialog_gone() {
    let mut bench = Bench::new();
    let mut caller = common::established(&mut bench, 1, "echo");
    common::callee::command(&mut bench, |session| ringworld::components::edge::Operation::HangUp { session });
    caller.next();
    let answers = bench.exchange(&caller.invite());
    assert!(statuses(&answers).contains(&481), "{answers:?}");
}
