//! The simulator itself: the same seed is the same run, whatever the order and the threads.

use ringworld::sim::fault::{Kind, Level};
use ringworld::sim::{Exercised, Scenario, run, twice};
use std::process::Command;

fn heavy(seed: u64) -> Scenario {
    Scenario { level: Level::Heavy, seconds: 30, ..Scenario::of_seed(seed) }
}

fn lived(scenario: &Scenario) -> Exercised {
    run(scenario, &mut |_| {}).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn a_seed_decides_everything() {
    let first = lived(&heavy(11));
    assert_eq!(first, lived(&heavy(11)));
    assert_ne!(first, lived(&heavy(12)));
}

#[test]
fn every_digest_agrees_in_another_run_and_in_shuffled_orders() {
    if let Err(failure) = twice(&heavy(13)) {
        panic!("{failure}");
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let threads = Scenario { world_threads: 2, seconds: 10, ..heavy(14) };
    assert_eq!(lived(&threads), lived(&Scenario { world_threads: 1, ..threads.clone() }));
}

#[test]
fn a_few_seeds_leave_nothing_untried() {
    let mut exercised = Exercised::default();
    (20..70).for_each(|seed| exercised.add(&lived(&heavy(seed))));
    for kind in [Kind::Loss, Kind::Partition, Kind::Rebind, Kind::Reset, Kind::Restore, Kind::Corrupt, Kind::Drain] {
        assert!(exercised.faults.get(&kind).is_some_and(|&count| count > 0), "{kind} never struck");
    }
    for status in [100, 180, 200, 400, 404, 420, 481, 482, 486, 487, 488, 491, 500, 501, 503, 603] {
        assert!(exercised.signalling.responses_sent.contains_key(&status), "{status} was never sent");
    }
    let tried = exercised.agreed + exercised.media.digits_in + exercised.voices;
    assert!(exercised.agreed > 0 && exercised.media.digits_in > 100 && tried > 10_000);
}

#[test]
fn the_command_prints_a_table_and_refuses_nonsense() {
    let sim = |arguments: &str| {
        let command = env!("CARGO_BIN_EXE_ringworld");
        Command::new(command).arg("sim").args(arguments.split(' ')).output().expect("the command runs")
    };
    let done = sim("--seeds 1..3 --agents 6 --seconds 10");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && text.contains("2, all invariants hold"), "{text}");
    assert!(text.contains("Initializing -> Connected") && text.contains("responses"), "{text}");
    assert_eq!(sim("--seed 1 --only 30").status.code(), Some(2));
    assert_eq!(sim("--seeds 4..4").status.code(), Some(2));
}
