//! The right digits, the wrong ones, and none.

use pin_prompt::PinPromptPlugin;
use ringworld::prelude::*;
use ringworld::testkit::{Phone, Testkit};

fn asked() -> (Testkit, Phone, Phone) {
    let then = PlaceCall {
        from: "sip:door@10.0.0.1".to_owned(),
        to: "sip:bob@10.0.1.1:5060".to_owned(),
        remote: "10.0.1.1:5060".parse().expect("an address"),
        over_tcp: false,
        local: "10.0.0.1:5060".parse().expect("an address"),
        service: String::new(),
        sdp: None,
    };
    let prompt = PinPromptPlugin { pin: "4711".to_owned(), patience: Duration::from_secs(15), then };
    let kit = Testkit::with(move |plugins| {
        plugins.add(prompt.clone());
    });
    let (bob, alice) = (kit.phone("bob"), kit.phone("alice"));
    alice.calls("pin").await_answer();
    (kit, alice, bob)
}

#[test]
fn the_right_digits_connect_and_both_calls_end_together() {
    for bob_leaves_first in [true, false] {
        let (kit, alice, bob) = asked();
        alice.presses("47");
        kit.runs(Duration::from_secs(1)).restart();
        alice.presses("11");
        bob.await_call().answers().await_answer().plays_tone(500);
        alice.await_tone(500);
        let (first, last) = if bob_leaves_first { (&bob, &alice) } else { (&alice, &bob) };
        first.hangs_up().await_end();
        last.await_end();
        kit.replays().assert_nothing_left();
    }
}

#[test]
fn wrong_digits_and_none_in_time_end_the_call() {
    let (kit, alice, _bob) = asked();
    alice.presses("4712").await_end();
    alice.calls("pin").await_answer();
    kit.runs(Duration::from_secs(14));
    assert!(alice.is_in_call());
    alice.await_end();
    kit.assert_nothing_left();
}

#[test]
fn a_phone_that_refuses_ends_the_call_and_a_caller_that_leaves_ends_the_ringing() {
    let (kit, alice, bob) = asked();
    alice.presses("4711");
    bob.await_call().rejects(486);
    alice.await_end();
    alice.calls("pin").await_answer().presses("4711");
    kit.runs(Duration::from_secs(2));
    alice.hangs_up();
    bob.await_end();
    kit.assert_nothing_left();
}
