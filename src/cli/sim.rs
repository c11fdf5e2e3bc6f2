//! `ringworld sim`: the switch among simulated user agents, in virtual time, from a seed.

mod table;

use super::output::print;
use super::{FAILED, USAGE, fail};
use crate::sim::fault::Level;
use crate::sim::{Exercised, Failure, Progress, Scenario, run as run_scenario, shrink, twice};
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The arguments of `ringworld sim`. Exits with 1 if an invariant did not hold.
#[derive(clap::Args, Debug)]
pub struct SimArgs {
    /// Decides everything. Without one, a fresh seed is taken and printed.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run every seed from A to before B.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// Run fresh seeds, one after the other, for so many seconds of real time.
    #[arg(long, value_name = "S", conflicts_with_all = ["seed", "seeds"])]
    fresh_for: Option<u64>,
    /// How many user agents there are.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    agents: u32,
    /// How many simulated minutes they live before the network heals [default: 1].
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: Option<u32>,
    /// The same in seconds.
    #[arg(long, value_name = "S", conflicts_with = "minutes", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: Option<u32>,
    /// How much goes wrong.
    #[arg(long, value_enum, default_value_t = Level::Light)]
    faults: Level,
    /// Run the systems of a tick on so many threads; the world must not care.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    world_threads: u16,
    /// Let only these agents take part.
    #[arg(long, value_name = "N,N..", value_delimiter = ',')]
    only: Vec<u32>,
    /// Leave out the faults of these numbers.
    #[arg(long, value_name = "N,N..", value_delimiter = ',')]
    without: Vec<u32>,
    /// Run the systems of a tick in the legal order that this number decides.
    #[arg(long, value_name = "N")]
    order: Option<u64>,
    /// If a run fails, find a smaller one that fails alike.
    #[arg(long)]
    shrink: bool,
    /// Run every seed twice, and in other legal orders of the systems, and compare every digest.
    #[arg(long)]
    twice: bool,
    /// How many seeds run at the same time [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    range.filter(|range: &Range<u64>| !range.is_empty()).ok_or_else(|| format!("{text:?} is not a range like 0..500"))
}

impl SimArgs {
    fn scenario(&self, seed: u64) -> Scenario {
        Scenario {
            seed,
            agents: self.agents,
            seconds: self.seconds.unwrap_or(self.minutes.unwrap_or(1) * 60),
            level: self.faults,
            only: self.only.iter().copied().collect(),
            without: self.without.iter().copied().collect(),
            world_threads: usize::from(self.world_threads),
            order: self.order,
        }
    }
}

/// Runs and prints.
pub fn run(args: SimArgs) -> ExitCode {
    if let Some(stranger) = args.only.iter().find(|agent| **agent >= args.agents) {
        return fail(USAGE, format_args!("there is no agent {stranger} among {}: leave it out of --only", args.agents));
    }
    let began = Instant::now();
    let done = match (&args.seeds, args.fresh_for) {
        (Some(seeds), _) => run_many(&args, seeds.clone(), None),
        (None, Some(seconds)) => {
            let first = fresh_seed();
            print(&format!("fresh seeds from {first}\n"));
            run_many(&args, first..u64::MAX, Some(seconds))
        }
        (None, None) => {
            let seed = args.seed.unwrap_or_else(fresh_seed);
            if args.seed.is_none() {
                print(&format!("seed {seed}\n"));
            }
            run_one(&args, seed)
        }
    };
    match done {
        Ok(exercised) => {
            print(&table::text(&exercised, began.elapsed()));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let failure = if args.shrink { shrunk(&failure) } else { *failure };
            fail(FAILED, failure)
        }
    }
}

/// Small enough to be typed.
fn fresh_seed() -> u64 {
    getrandom::u32().map_or(1, u64::from)
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn run_one(args: &SimArgs, seed: u64) -> Result<Exercised, Box<Failure>> {
    if args.twice {
        return twice(&args.scenario(seed));
    }
    let bar = bar(1, "{bar:40} {msg}");
    let done = run_scenario(&args.scenario(seed), &mut |progress: &Progress| {
        bar.set_length(progress.whole_ms);
        bar.set_position(progress.lived_ms);
        bar.set_message(format!("{} s lived", progress.lived_ms / 1000));
    });
    bar.finish_and_clear();
    done
}

/// Every seed on a thread of its own, as many at a time as there are cores. The first seed that fails ends it.
fn run_many(args: &SimArgs, seeds: Range<u64>, seconds: Option<u64>) -> Result<Exercised, Box<Failure>> {
    let began = Instant::now();
    let bar = bar(seconds.unwrap_or(seeds.end - seeds.start), "{bar:40} {msg}");
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |cores| cores.get()));
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new((Exercised::default(), None::<Box<Failure>>));
    let lock = || sum.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_late = seconds.is_some_and(|seconds| began.elapsed().as_secs() >= seconds);
                    if seed >= seeds.end || is_late || lock().1.is_some() {
                        break;
                    }
                    let scenario = args.scenario(seed);
                    let done = if args.twice { twice(&scenario) } else { run_scenario(&scenario, &mut |_| {}) };
                    let mut sum = lock();
                    match done {
                        Ok(exercised) => sum.0.add(&exercised),
                        Err(failure) => sum.1 = sum.1.take().or(Some(failure)),
                    }
                    bar.set_position(if seconds.is_some() { began.elapsed().as_secs() } else { sum.0.runs });
                    bar.set_message(format!("{} seeds, {} calls", sum.0.runs, sum.0.calls_placed));
                }
            });
        }
    });
    bar.finish_and_clear();
    let (exercised, failure) = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(exercised), Err)
}

fn shrunk(failure: &Failure) -> Failure {
    let bar = bar(1, "{spinner} {msg}");
    let smallest = shrink(failure, &mut |scenario, tried| {
        bar.set_message(format!("{tried} runs tried: {scenario}"));
        bar.tick();
    });
    bar.finish_and_clear();
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_is_read() {
        assert_eq!(seeds("3..5"), Ok(3..5));
        for wrong in ["3", "5..5", "a..b", "..", "-1..2"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
