//! Watching a server while callers use it.

use super::BenchError;
use super::server::Server;
use super::usage::Usage;
use crate::load::{self, Plan, Progress, Report};
use std::time::{Duration, Instant};

/// Let pass at both ends of the time in which all are connected: start and end of a call are no steady state, and
/// callers stop speaking shortly before they hang up.
const MARGIN: Duration = Duration::from_millis(500);

/// What there was at a moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub at: Instant,
    pub progress: Progress,
    pub usage: Usage,
}

impl Sample {
    pub fn of(server: &Server, progress: Progress) -> Self {
        Self { at: Instant::now(), progress, usage: server.usage() }
    }
}

/// Two moments, and what happened between them.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub from: Sample,
    pub to: Sample,
}

impl Window {
    /// From the first to the last sample in which `calls` are connected, without margins. None if that was too short.
    pub fn of_steady_state(samples: &[Sample], calls: u64) -> Option<Self> {
        let full = || samples.iter().filter(|sample| sample.progress.connected == calls);
        let (first, last) = (full().next()?.at + MARGIN, full().next_back()?.at.checked_sub(MARGIN)?);
        let mut inside = samples.iter().filter(|sample| (first..=last).contains(&sample.at));
        let from = inside.next()?;
        let to = inside.next_back()?;
        Some(Self { from: from.clone(), to: to.clone() })
    }

    pub fn seconds(&self) -> f64 {
        (self.to.at - self.from.at).as_secs_f64()
    }

    /// CPU time of the server, in seconds.
    pub fn cpu_s(&self) -> f64 {
        self.to.usage.cpu_s() - self.from.usage.cpu_s()
    }

    /// The part of a core that the server took, in per cent.
    pub fn core_percent(&self) -> f64 {
        self.cpu_s() / self.seconds().max(0.001) * 100.0
    }

    /// The server's threads by what they used, largest first, as a remark.
    pub fn threads(&self) -> String {
        let mut threads = self.to.usage.threads_since(&self.from.usage);
        threads.sort_by(|(_, mine), (_, theirs)| theirs.total_cmp(mine));
        let total = self.cpu_s().max(1e-9);
        let share = |(name, used_s): (String, f64)| format!("{name} {:.0} %", used_s / total * 100.0);
        let shown: Vec<String> = threads.into_iter().filter(|(_, used_s)| *used_s > total / 200.0).map(share).collect();
        format!("the server's CPU time by thread: {}", shown.join(", "))
    }
}

/// Runs a plan against a server and takes a sample of both about ten times a second.
pub(super) fn observe(
    plan: &Plan,
    server: &Server,
    mut each: impl FnMut(&Sample),
) -> Result<(Report, Vec<Sample>), BenchError> {
    let mut samples = vec![Sample::of(server, Progress::default())];
    let report = load::run(plan, |progress| {
        let sample = Sample::of(server, *progress);
        each(&sample);
        samples.push(sample);
    });
    let report = report.map_err(BenchError::while_doing("running the callers"))?;
    Ok((report, samples))
}

/// Watches an unused server for a while.
pub(super) fn watch(server: &Server, time: Duration) -> Window {
    let from = Sample::of(server, Progress::default());
    std::thread::sleep(time);
    Window { from, to: Sample::of(server, Progress::default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(began: Instant, ms: u64, connected: u64) -> Sample {
        let mut usage = Usage::default();
        usage.threads_ns.insert("world".into(), ms * 100_000);
        usage.threads_ns.insert("net".into(), ms * 300_000);
        let progress = Progress { connected, ..Progress::default() };
        Sample { at: began + Duration::from_millis(ms), progress, usage }
    }

    #[test]
    fn the_window_lies_inside_the_time_in_which_all_are_connected() {
        let began = Instant::now();
        let samples: Vec<Sample> =
            (0..50).map(|n| sample(began, n * 100, if (10..40).contains(&n) { 7 } else { 3 })).collect();
        let window = Window::of_steady_state(&samples, 7).unwrap();
        assert_eq!(window.from.at - began, Duration::from_millis(1_500));
        assert_eq!(window.to.at - began, Duration::from_millis(3_400));
        assert!((window.core_percent() - 40.0).abs() < 0.1);
        assert_eq!(window.threads(), "the server's CPU time by thread: net 75 %, world 25 %");
        assert!(Window::of_steady_state(&samples, 8).is_none());
        assert!(Window::of_steady_state(&samples[..15], 7).is_none());
    }
}
