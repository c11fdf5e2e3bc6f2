//! Accounts of resources: what calls are charged, a limit for each user, and a measured load that closes the gate.
//!
//! `cargo run --example resources`

use ringworld::components::call::CallError;
use ringworld::components::edge::Operation;
use ringworld::engine::WorldConfig;
use ringworld::testkit::{OnCall, Testkit};
use std::time::Duration;

fn main() -> Result<(), CallError> {
    let mut config = WorldConfig::default();
    config.settings.limits.sessions_per_user = 2;
    config.settings.resources.load_permille_max = 900;
    let kit = Testkit::configured(config, |_| {});
    let bob = kit.phone("bob");
    bob.on_call(OnCall::Answers);
    // Two calls to one user are allowed.
    let calls = [kit.places(&bob, "silence")?, kit.places(&bob, "silence")?];
    match kit.places(&bob, "silence") {
        Ok(_) => panic!("a third call was admitted"),
        Err(refusal) => println!("refused: {refusal}"),
    }
    kit.runs(Duration::from_secs(1));
    kit.issue(Operation::HangUp { session: calls[0] })?;
    kit.runs(Duration::from_secs(1));
    kit.issue(Operation::ReportLoad { cpu_permille: 950 })?;
    match kit.places(&bob, "silence") {
        Ok(_) => panic!("a call was admitted under load"),
        Err(refusal) => println!("refused: {refusal}"),
    }
    kit.issue(Operation::ReportLoad { cpu_permille: 200 })?;
    let again = kit.places(&bob, "silence")?;
    kit.runs(Duration::from_secs(1));
    for session in [calls[1], again] {
        kit.issue(Operation::HangUp { session })?;
    }
    kit.assert_nothing_left();
    let hit = kit.look(|engine| engine.counters().limits_hit.clone());
    println!("limits hit: {hit:?}");
    assert_eq!(hit.len(), 2);
    Ok(())
}
