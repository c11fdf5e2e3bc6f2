//! Seeds of bugs that were real: each passes, and with its bug brought back (feature `planted-faults`, `Planted::BUGS`) it
//! fails by the invariant that the table names. What a seed does changes with the engine and the simulator. This looks
//! for new seeds in the place of those that no longer show their bug, and writes the table:
//!
//! ```text
//! RINGWORLD_RESEED=1 cargo test --release --features planted-faults --test sim_seeds -- --nocapture
//! ```

use ringworld::sim::{Scenario, run};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Table {
    seeds: Vec<Row>,
}

/// A run that shows a bug.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    bug: String,
    /// What does not hold with the bug.
    invariant: String,
    scenario: Scenario,
}

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/seeds.toml");

fn committed() -> Vec<Row> {
    let text = std::fs::read_to_string(PATH).expect("the table is in the repository");
    toml::from_str::<Table>(&text).expect("the table is as it was written").seeds
}

#[test]
fn the_seeds_of_old_bugs_pass() {
    let seeds = committed();
    assert!(!seeds.is_empty());
    for row in seeds {
        if let Err(failure) = run(&row.scenario, &mut |_| {}) {
            panic!("{} is back: {failure}", row.bug);
        }
    }
}

#[cfg(feature = "planted-faults")]
mod with_the_bug {
    use super::{PATH, Row, Table, committed};
    use ringworld::components::planted::{Planted, plant};
    use ringworld::sim::fault::Level;
    use ringworld::sim::{Failure, Scenario, run, shrink};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// How many seeds are tried for a bug, in each kind of run.
    const SEEDS: u64 = 500;
    /// Agents and faults of a kind of run. Where few agents are, ticks are idle.
    const KINDS: [(u32, Level); 4] = [(20, Level::None), (20, Level::Light), (20, Level::Heavy), (3, Level::Heavy)];

    const AGAIN: &str = "if the engine or the simulator has changed, look for new seeds with: \
        RINGWORLD_RESEED=1 cargo test --release --features planted-faults --test sim_seeds -- --nocapture";

    /// Does something with a bug in the engine.
    fn with<T>(bug: Planted, work: impl FnOnce() -> T) -> T {
        plant(Some(bug));
        let done = work();
        plant(None);
        done
    }

    fn live(bug: Planted, scenario: &Scenario) -> Option<Box<Failure>> {
        with(bug, || run(scenario, &mut |_| {}).err())
    }

    fn name_of(failure: &Failure) -> String {
        failure.invariant().map(|invariant| invariant.to_string()).unwrap_or_default()
    }

    fn rows_of(bug: Planted, rows: &[Row]) -> Vec<Row> {
        rows.iter().filter(|row| row.bug == format!("{bug:?}")).cloned().collect()
    }

    fn is_seen(bug: Planted, row: &Row) -> bool {
        live(bug, &row.scenario).is_some_and(|failure| name_of(&failure) == row.invariant)
    }

    /// The first run that fails; by this invariant, if one is given.
    fn seek(bug: Planted, invariant: Option<&str>) -> Option<Box<Failure>> {
        let next = AtomicU64::new(0);
        let found = Mutex::new(None::<(u64, Box<Failure>)>);
        let lock = || found.lock().expect("no run panics");
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, |cores| cores.get()) {
                scope.spawn(|| {
                    while lock().is_none() {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let (seed, kind) = (at / KINDS.len() as u64, at as usize % KINDS.len());
                        if seed >= SEEDS {
                            break;
                        }
                        let (agents, level) = KINDS[kind];
                        let scenario = Scenario { agents, level, ..Scenario::of_seed(seed) };
                        let failure = live(bug, &scenario);
                        let fits = |failure: &Failure| invariant.is_none_or(|name| name == name_of(failure));
                        if let Some(failure) = failure.filter(|failure| fits(failure)) {
                            if let Err(failure) = run(&scenario, &mut |_| {}) {
                                panic!("without any bug brought back, {failure}");
                            }
                            let mut found = lock();
                            if found.as_ref().is_none_or(|(first, _)| at < *first) {
                                *found = Some((at, failure));
                            }
                        }
                    }
                });
            }
        });
        found.into_inner().expect("no run panics").map(|(_, failure)| failure)
    }

    /// Keeps the rows that still show their bug, and looks for others where there is none.
    fn look_for_seeds() {
        let old = committed();
        let mut seeds = Vec::new();
        for &bug in Planted::BUGS {
            let before = rows_of(bug, &old);
            let mut rows: Vec<Row> = before.iter().filter(|row| is_seen(bug, row)).cloned().collect();
            if rows.is_empty() {
                let invariant = before.first().map(|row| row.invariant.as_str());
                println!("looking for a seed of {bug:?}");
                let Some(failure) = seek(bug, invariant) else {
                    println!("{bug:?}: none of {SEEDS} seeds shows it");
                    continue;
                };
                let smallest = with(bug, || shrink(&failure, &mut |_, _| {}));
                println!("{bug:?}: {smallest}");
                rows.push(Row {
                    bug: format!("{bug:?}"),
                    invariant: name_of(&smallest),
                    scenario: smallest.scenario.clone(),
                });
            }
            seeds.extend(rows);
        }
        let text = toml::to_string(&Table { seeds }).expect("a table");
        std::fs::write(PATH, text).expect("the table is written");
    }

    #[test]
    fn each_old_bug_is_found_by_its_seeds() {
        if std::env::var_os("RINGWORLD_RESEED").is_some() {
            look_for_seeds();
        }
        let seeds = committed();
        let mut missed = Vec::new();
        for &bug in Planted::BUGS {
            let rows = rows_of(bug, &seeds);
            if rows.is_empty() {
                missed.push(format!("{bug:?} has no seed"));
            }
            let unseen = rows.iter().filter(|row| !is_seen(bug, row));
            missed.extend(unseen.map(|row| format!("{bug:?} breaks no {} in {}", row.invariant, row.scenario)));
        }
        assert!(missed.is_empty(), "{missed:#?}\n{AGAIN}");
        let is_known = |row: &Row| Planted::BUGS.iter().any(|bug| row.bug == format!("{bug:?}"));
        assert!(seeds.iter().all(is_known), "a row of the table names no bug");
    }
}
