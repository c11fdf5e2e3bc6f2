//! Parent and child sessions: when the parent ends, its dependent child is ended in the same tick, and the independent one
//! goes on. A cycle is refused, and the error prints it.
//!
//! `cargo run --example dependencies`

use ringworld::components::call::{CallError, DependencyKind};
use ringworld::components::edge::{Event, Operation};
use ringworld::testkit::{OnCall, Testkit};
use std::time::Duration;

fn main() -> Result<(), CallError> {
    let kit = Testkit::default();
    let bob = kit.phone("bob");
    bob.on_call(OnCall::Answers);
    let [parent, dependent, independent] = [(); 3].map(|()| kit.calls(&bob, "silence"));
    kit.runs(Duration::from_secs(1));
    let link = |parent, child, kind| kit.issue(Operation::Link { parent, child, kind });
    link(parent, dependent, DependencyKind::Dependent)?;
    link(parent, independent, DependencyKind::Independent)?;
    match link(dependent, parent, DependencyKind::Dependent) {
        Ok(_) => panic!("a cycle was accepted"),
        Err(refusal) => println!("refused: {refusal}"),
    }

    kit.issue(Operation::HangUp { session: parent })?;
    kit.runs(Duration::from_secs(1));
    let mut ended = Vec::new();
    for event in kit.events() {
        if let Event::Ended { session, cause, .. } = event {
            println!("{session} ended: {}", cause.as_str());
            ended.push(session);
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, [parent, dependent]);
    kit.issue(Operation::HangUp { session: independent })?;
    kit.assert_nothing_left();
    Ok(())
}
