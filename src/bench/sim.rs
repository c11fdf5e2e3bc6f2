//! The simulator: how long it takes to live simulated minutes, on one thread.

use super::machine::CoreClock;
use super::{BenchError, Bound, Conditions, Cores, Figures};
use crate::sim::{Exercised, Scenario, run};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::time::Instant;

/// How many agents live for how long.
#[derive(Clone, Copy, Debug)]
pub struct SimBench {
    /// Decides everything.
    pub seed: u64,
    /// User agents; of many, one in ten has audio.
    pub agents: u32,
    /// Simulated minutes.
    pub minutes: u32,
}

/// What the issue asks for is a thousand agents for ten minutes within a minute.
const TARGET_S: f64 = 60.0;
const TARGET_AGENT_MINUTES: f64 = 10_000.0;

impl SimBench {
    /// Measures it on one of these cores.
    pub fn run(self, cores: Cores) -> Result<Figures, BenchError> {
        let Self { seed, agents, minutes } = self;
        let mut conditions = Conditions { network: "none", ..Conditions::now(Some(cores)) };
        let scenario = Scenario { agents, seconds: minutes * 60, ..Scenario::of_seed(seed) };
        let clock = CoreClock::read(cores.load);
        let (began, before) = (Instant::now(), usage()?);
        // A run in which an invariant does not hold ends early: its time means nothing.
        let lived: Exercised = run(&scenario, &mut |_| {}).map_err(BenchError::new)?;
        let (seconds, after) = (began.elapsed().as_secs_f64(), usage()?);
        let user_s = seconds_of(after.user_time()) - seconds_of(before.user_time());
        let system_s = seconds_of(after.system_time()) - seconds_of(before.system_time());
        conditions.seconds = seconds;
        conditions.others_percent = Some(clock.others_percent(user_s + system_s));

        let title = format!(
            "sim: {agents} agents, one in ten with audio, {minutes} simulated minutes, light faults, one thread"
        );
        let mut figures = Figures::new(title, conditions);
        let target = TARGET_S * f64::from(agents) * f64::from(minutes) / TARGET_AGENT_MINUTES;
        figures.aim("time on the wall", seconds, "s", Bound::AtMost(target));
        figures.tell("CPU time of the thread, in user space", user_s, "s");
        figures.tell("CPU time of the thread, in the kernel", system_s, "s");
        figures.tell("simulated time, with that until all is quiet", lived.lived_ms as f64 / 1e3, "s");
        figures.tell("ticks that ran", lived.ticks as f64, "");
        figures.must("calls placed", lived.calls_placed as f64, "", Bound::AtLeast(1.0));
        figures.tell("packets that the network carried", lived.packets as f64, "");
        figures.note(format!("all invariants held; again: {scenario}"));
        figures.note("the thread ran on the core of the load, which is the one that others are told of");
        Ok(figures)
    }
}

fn usage() -> Result<Usage, BenchError> {
    getrusage(UsageWho::RUSAGE_THREAD).map_err(BenchError::while_doing("reading the CPU time of a thread"))
}

fn seconds_of(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_run_is_measured_with_its_conditions() {
        let figures = SimBench { seed: 1, agents: 4, minutes: 1 }.run(Cores { server: 0, load: 0 }).unwrap();
        assert!(figures.all_right(), "{}", figures.text());
        let of = |name| figures.figures.iter().find(|figure| figure.name.starts_with(name)).unwrap();
        assert!(of("simulated time").value >= 60.0 && of("CPU time").value > 0.0, "{}", figures.text());
        assert_eq!(of("time on the wall").target, Some(Bound::AtMost(0.024)));
    }
}
