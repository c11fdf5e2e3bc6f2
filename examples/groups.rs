//! Groups: a session may be in several groups, and a group is removed with its last member.
//!
//! `cargo run --example groups`

use ringworld::components::call::{CallError, GroupChoice, GroupKind};
use ringworld::components::edge::Operation;
use ringworld::testkit::{OnCall, Testkit};
use std::time::Duration;

fn main() -> Result<(), CallError> {
    let kit = Testkit::default();
    let bob = kit.phone("bob");
    bob.on_call(OnCall::Answers);
    let [one, other] = [(); 2].map(|()| kit.calls(&bob, "silence"));
    kit.runs(Duration::from_secs(1));
    let enter = |session, group| kit.issue(Operation::EnterGroup { session, group });
    let bridge = enter(one, GroupChoice::New(GroupKind::Bridge))?;
    enter(other, GroupChoice::Existing(bridge))?;
    let night_shift = enter(one, GroupChoice::New(GroupKind::Custom("night shift".into())))?;
    println!("{one} is in {bridge} and in {night_shift}, {other} in {bridge} alone");
    match enter(other, GroupChoice::Existing(bridge)) {
        Ok(_) => panic!("a session is twice in a group"),
        Err(refusal) => println!("refused: {refusal}"),
    }

    kit.issue(Operation::HangUp { session: one })?;
    kit.runs(Duration::from_secs(1));
    match enter(other, GroupChoice::Existing(night_shift)) {
        Ok(_) => panic!("a group without a member is still there"),
        Err(refusal) => println!("refused: {refusal}"),
    }
    kit.issue(Operation::LeaveGroup { session: other, group: bridge })?;
    kit.issue(Operation::HangUp { session: other })?;
    kit.assert_nothing_left();
    Ok(())
}
