//! Runs a plan: checks it, spreads the groups over threads, and puts their accounts together.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::group::Group;
use super::net;
use super::plan::{Hears, Plan, Service};
use super::report::{Measured, Progress, Report};
use super::tone::FREQUENCIES;
use super::worker::{Account, Shared, Worker};

/// Files that the callers need besides one for each.
const OTHER_FILES: u64 = 16;

/// Calls of one run.
const MOST_CALLS: usize = 10_000_000;
/// A full second must be heard, after jitter buffers have filled.
const SHORTEST_LISTENING: Duration = Duration::from_millis(1_500);

/// Why a plan could not be run.
#[derive(Debug)]
pub enum LoadError {
    /// The plan has no call, no law, a rate of zero, or addresses of two families.
    Plan(&'static str),
    /// So many callers in one room cannot be distinguished by their tones within a second.
    RoomTooLarge {
        members: usize,
        most: usize,
    },
    /// The callers need more open files than the system allows (`ulimit -Hn`).
    Files {
        needed: u64,
        allowed: u64,
    },
    Io(io::Error),
    /// A thread of the callers broke down.
    Panicked,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Plan(what) => write!(f, "the plan {what}"),
            LoadError::RoomTooLarge { members, most } => {
                write!(f, "a room of {members} callers: at most {most} can be told apart by their tones")
            }
            LoadError::Files { needed, allowed } => {
                write!(f, "{needed} more open files needed, {allowed} allowed: raise the limit (ulimit -Hn)")
            }
            LoadError::Io(error) => write!(f, "the callers' sockets failed: {error}"),
            LoadError::Panicked => f.write_str("a thread of the callers broke down"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for LoadError {
    fn from(error: io::Error) -> LoadError {
        LoadError::Io(error)
    }
}

fn check(plan: &Plan) -> Result<(), LoadError> {
    if plan.calls() == 0 {
        return Err(LoadError::Plan("has no call"));
    }
    if plan.calls() > MOST_CALLS {
        return Err(LoadError::Plan("has more than ten million calls"));
    }
    if plan.laws.is_empty() {
        return Err(LoadError::Plan("offers no codec"));
    }
    if plan.rate_per_s == 0 {
        return Err(LoadError::Plan("has a rate of zero"));
    }
    if plan.target.is_ipv4() != plan.bind.is_ipv4() {
        return Err(LoadError::Plan("mixes IPv4 and IPv6"));
    }
    let listens = |service: &Service| service.media && service.hears != Hears::Anything;
    if plan.hold < SHORTEST_LISTENING && plan.services.iter().any(listens) {
        return Err(LoadError::Plan("holds calls too briefly to hear a full second (1500 ms at least)"));
    }
    for service in &plan.services {
        if service.hears == Hears::Others && service.media && service.members > FREQUENCIES {
            return Err(LoadError::RoomTooLarge { members: service.members, most: FREQUENCIES });
        }
    }
    let needed = plan.sockets() as u64 + OTHER_FILES + 3 * plan.threads as u64;
    net::allow_files(needed).map_err(|allowed| LoadError::Files { needed, allowed })
}

/// Runs the plan to its end and reports its progress about ten times a second.
///
/// Every call ends within the limits of its timers, so this returns even if no peer answers.
pub fn run(plan: &Plan, mut progress: impl FnMut(&Progress)) -> Result<Report, LoadError> {
    check(plan)?;
    let threads = plan.threads.clamp(1, 64);
    let mut shares = vec![Vec::new(); threads];
    for group in Group::of_plan(plan) {
        if let Some(share) = shares.get_mut(group.number % threads) {
            share.push(group);
        }
    }
    shares.retain(|share| !share.is_empty());
    let rate = (u64::from(plan.rate_per_s) / shares.len().max(1) as u64).max(1);
    let mut running = Vec::new();
    for (n, share) in shares.into_iter().enumerate() {
        let shared = Arc::new(Shared::default());
        let worker = Worker::new(plan.clone(), share, rate, Arc::clone(&shared))?;
        let thread = thread::Builder::new().name(format!("load-{n}")).spawn(move || worker.run())?;
        running.push((thread, shared));
    }
    while running.iter().any(|(thread, _)| !thread.is_finished()) {
        thread::sleep(Duration::from_millis(100));
        let mut sum = Progress { planned: plan.calls() as u64, ..Progress::default() };
        running.iter().for_each(|(_, shared)| shared.add_to(&mut sum));
        progress(&sum);
    }
    let mut report = Report::default();
    let (mut setup, mut round_trip) = (Measured::new(), Measured::new());
    for (thread, _) in running {
        let account: Account = thread.join().map_err(|_| LoadError::Panicked)??;
        report.add(account.report);
        setup.merge(&account.setup);
        round_trip.merge(&account.round_trip);
    }
    report.setup = setup.quantiles();
    report.echo_round_trip = round_trip.quantiles();
    Ok(report)
}
