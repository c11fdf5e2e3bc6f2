//! Seeds that once found a bug, and that must pass for ever.

use ringworld::sim::fault::Level;
use ringworld::sim::{Scenario, run};

fn passes(seed: u64, level: Level) {
    if let Err(failure) = run(&Scenario { level, ..Scenario::of_seed(seed) }, &mut |_| {}) {
        panic!("{failure}");
    }
}

/// A digit that was under way when its stream was held was heard twice after it was taken back.
#[test]
fn a_digit_survives_a_hold() {
    passes(57, Level::None);
    passes(5, Level::None);
}

/// A 503 past the limit of transactions had no To tag (RFC 3261 section 8.2.6.2).
#[test]
fn a_refusal_without_a_transaction_has_a_tag() {
    passes(3, Level::Light);
}

/// An INVITE that got a provisional response and never a final one stayed for ever when its call ended.
#[test]
fn an_invite_without_a_final_response_is_forgotten() {
    passes(48, Level::Light);
    passes(1, Level::Heavy);
}

/// A call that was answered in the very tick of its ringing deadline was ended by it.
#[test]
fn a_call_answered_at_the_last_moment_goes_on() {
    passes(38, Level::Heavy);
}

/// The 200 to a re-INVITE waited for the ACK of another request that had come in the same tick. Found among a thousand
/// agents; one of them is enough.
#[test]
fn a_reinvite_with_a_request_at_its_heels_is_acknowledged() {
    let scenario = Scenario { agents: 1000, seconds: 150, only: [876].into(), ..Scenario::of_seed(1) };
    if let Err(failure) = run(&scenario, &mut |_| {}) {
        panic!("{failure}");
    }
}

/// A peer whose call was over, and who did not know it yet, was taken for the source of the next call with that port, and
/// heard what was meant for another.
#[test]
fn who_speaks_on_to_a_port_does_not_get_the_next_call() {
    passes(440, Level::Heavy);
}
