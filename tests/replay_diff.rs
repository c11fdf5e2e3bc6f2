//! Two recordings side by side: the first tick, output and entity that differ.

mod common;
mod town;

use ringworld::config::RecordMedia;
use ringworld::engine::{Engine, WorldConfig};
use ringworld::replay::{Comparison, ReplayOptions, compare};
use std::path::{Path, PathBuf};
use town::{Plan, Town, config, scratch};

fn record(name: &str, config: &WorldConfig, plans: Vec<Plan>, ticks: u64) -> PathBuf {
    let path = scratch(name);
    let mut town = Town::new(Engine::new(config), plans);
    town.record(&path, config, RecordMedia::Full);
    town.live(ticks);
    town.stop_recording();
    path
}

fn compared(a: &Path, b: &Path) -> Comparison {
    let comparison = compare(a, b, &ReplayOptions::default()).expect("two recordings");
    for path in [a, b] {
        std::fs::remove_file(path).expect("the recording");
    }
    comparison
}

fn plans(end: u64) -> Vec<Plan> {
    vec![Plan::new("echo").lasting(3, 60).talking(), Plan::new("conf-a").lasting(5, end).talking()]
}

#[test]
fn the_same_day_twice_is_the_same() {
    let [a, b] = ["same-a", "same-b"].map(|name| record(name, &config(), plans(70), 100));
    let comparison = compared(&a, &b);
    assert_eq!((comparison.parting, comparison.configuration), (None, Vec::new()));
    assert!(comparison.same_to >= 100);
}

#[test]
fn the_first_tick_and_the_first_entity_are_named() {
    let a = record("early", &config(), plans(70), 100);
    let b = record("late", &config(), plans(73), 100);
    let comparison = compared(&a, &b);
    let parting = comparison.parting.expect("they part");
    assert_eq!((comparison.same_to, parting.tick), (69, 70));
    assert!(parting.inputs_differ && !parting.only_in_one);
    let (of_a, of_b) = parting.outputs.expect("one answers a BYE");
    assert!(of_a.contains("PortReleased") || of_a.contains("SIP/2.0 200"), "{of_a}");
    assert_ne!(of_a, of_b);
    let (_, values) = parting.entity.expect("an entity");
    let (name, in_a, in_b) = values.first().expect("a component");
    assert!(name.contains('.') && in_a != in_b, "{name}: {in_a} / {in_b}");
    assert!(parting.differences.iter().any(|difference| difference.name == "call.session"));
}

#[test]
fn a_recording_that_goes_on_differs_where_the_other_ends() {
    let a = record("short", &config(), plans(70), 50);
    let b = record("long", &config(), plans(70), 60);
    let parting = compared(&a, &b).parting.expect("they part");
    assert!(parting.only_in_one && parting.differences.iter().any(|difference| difference.name == "kernel.now"));
    assert!((51..=54).contains(&parting.tick), "{}", parting.tick);
}

#[test]
fn worlds_that_were_made_differently_say_so_and_part_where_it_shows() {
    let other = WorldConfig { secret: [43; 32], ..config() };
    let a = record("seed-a", &config(), plans(70), 20);
    let b = record("seed-b", &other, plans(70), 20);
    let comparison = compared(&a, &b);
    assert_eq!(comparison.configuration, ["the secret seeds differ"]);
    let parting = comparison.parting.expect("tags differ");
    assert_eq!(parting.tick, 3, "the first answer holds a tag");
    assert!(!parting.inputs_differ);
    let (of_a, of_b) = parting.outputs.expect("an answer");
    assert!(of_a.contains("SIP/2.0 200") && of_b.contains("SIP/2.0 200"), "{of_a}");
}
