//! An A-leg and a B-leg in sequence: the rule is part of the sequence, and the ending of one leg ends the other.
//!
//! `cargo run --example sequence`

use ringworld::components::call::{CallError, EndCause, EndingRule};
use ringworld::components::edge::{Event, Operation};
use ringworld::testkit::{OnCall, Testkit};
use std::time::Duration;

fn main() -> Result<(), CallError> {
    let kit = Testkit::default();
    let [alice, bob] = ["alice", "bob"].map(|name| kit.phone(name));
    for phone in [&alice, &bob] {
        phone.on_call(OnCall::Answers);
    }
    let (a, b) = (kit.calls(&alice, "silence"), kit.calls(&bob, "silence"));
    let sequence = kit.issue(Operation::Sequence { a, b, rule: EndingRule::Together })?;
    println!("{a} and {b} are the legs of {sequence}");
    kit.runs(Duration::from_secs(1));

    bob.hangs_up().await_end();
    alice.await_end();
    kit.runs(Duration::from_secs(1));
    let mut causes = Vec::new();
    for event in kit.events() {
        if let Event::Ended { session, cause, .. } = event {
            println!("{session} ended: {}", cause.as_str());
            causes.push((session, cause));
        }
    }
    causes.sort_unstable();
    assert_eq!(causes, [(a, EndCause::OtherLegEnded), (b, EndCause::PeerHungUp)]);
    kit.assert_nothing_left();
    Ok(())
}
