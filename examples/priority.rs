//! Priorities: a rule of the settings makes calls to `112` emergencies, and an operation gives a call another priority and
//! its packets another class, by which a switch marks them on the wire (RFC 2474).
//!
//! `cargo run --example priority`

use ringworld::components::call::{Priority, PriorityLevel, PrioritySource, QosClass};
use ringworld::components::edge::Operation;
use ringworld::engine::WorldConfig;
use ringworld::testkit::{OnCall, Testkit};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = WorldConfig::default();
    config.settings.priority.rules = vec!["to 112 emergency expedited".parse()?];
    let kit = Testkit::configured(config, |_| {});
    let desk = kit.phone("112");
    desk.on_call(OnCall::Answers);
    let session = kit.calls(&desk, "silence");
    kit.runs(Duration::from_secs(1));
    let priority = || kit.get::<Priority>(session).unwrap_or_default();
    let by_rule = priority();
    println!("{session} is {} and marked as {}", by_rule.level.as_str(), by_rule.class.as_str());
    assert_eq!(by_rule.source, PrioritySource::Rule);
    assert_eq!((by_rule.level, by_rule.class), (PriorityLevel::Emergency, QosClass::ExpeditedForwarding));

    let (level, class) = (PriorityLevel::Low, QosClass::Video);
    kit.issue(Operation::SetPriority { session, level, class })?;
    println!("{session} is {} and marked as {}", level.as_str(), class.as_str());
    assert_eq!(priority(), Priority { level, class, source: PrioritySource::Operation });
    desk.hangs_up().await_end();
    kit.assert_nothing_left();
    Ok(())
}
