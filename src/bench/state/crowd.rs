//! The callers of a switch that is killed under load: calls that last, some with media, and calls that come and go.

use crate::bench::BenchError;
use crate::load::{self, LoadError, Plan, Progress, Report, Service};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No call that lasts ends by itself.
const LONG: Duration = Duration::from_secs(3_600);
/// Lasting calls that begin in a second, and end.
const RAMP_PER_S: u32 = 2_000;
/// Seconds for which calls come and go unless they are stopped before.
const STEADY_S: usize = 240;

type Told = Arc<Mutex<Vec<(Instant, Progress)>>>;

/// A fleet of callers on a thread of its own.
struct Fleet {
    told: Told,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Report, LoadError>>,
}

impl Fleet {
    fn start(mut plan: Plan) -> Self {
        let (told, stop) = (Told::default(), Arc::new(AtomicBool::new(false)));
        plan.stop = Some(stop.clone());
        let of_thread = told.clone();
        let tell = move |progress: &Progress| lock(&of_thread).push((Instant::now(), *progress));
        Self { told, stop, thread: std::thread::spawn(move || load::run(&plan, tell)) }
    }

    fn now(&self) -> Progress {
        lock(&self.told).last().map(|(_, progress)| *progress).unwrap_or_default()
    }

    fn finish(self) -> Result<Report, BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        let report = self.thread.join().unwrap_or(Err(LoadError::Panicked));
        report.map_err(BenchError::while_doing("running the callers"))
    }
}

fn lock(told: &Told) -> std::sync::MutexGuard<'_, Vec<(Instant, Progress)>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All callers.
pub(super) struct Crowd {
    lasting: Fleet,
    steady: Option<Fleet>,
    calls: u64,
}

/// How it went, in the end.
pub(super) struct Accounts {
    pub lasting: Report,
    pub steady: Report,
}

/// What callers heard in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Silence {
    /// The longest time in which no caller got a packet.
    pub of_all: Duration,
    /// The longest time in which one of the callers got no packet.
    pub of_one: Duration,
}

impl Crowd {
    /// Connects `calls` that last, of which `audio` talk to an echo, and returns when they are.
    pub fn gather(target: SocketAddr, calls: usize, audio: usize) -> Result<Self, BenchError> {
        let quiet = Service::signalling("echo", calls - audio);
        let mut plan = Plan::new(target);
        plan.services.extend([quiet, Service::echo(audio)].into_iter().filter(|service| service.groups > 0));
        (plan.rate_per_s, plan.hold) = (RAMP_PER_S, LONG);
        let crowd = Self { lasting: Fleet::start(plan), steady: None, calls: calls as u64 };
        let patience = Duration::from_secs(crowd.calls / u64::from(RAMP_PER_S) + 20);
        let began = Instant::now();
        while crowd.lasting.now().connected < crowd.calls {
            if began.elapsed() > patience || crowd.lasting.thread.is_finished() {
                let connected = crowd.lasting.now().connected;
                crowd.lasting.stop.store(true, Ordering::Relaxed);
                return Err(BenchError::new(format!("only {connected} of {calls} calls were connected")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(crowd)
    }

    /// Lets calls come and go.
    pub fn begin_calling(&mut self, target: SocketAddr, rate_per_s: u32) {
        let mut plan = Plan::new(target).with(Service::signalling("echo", rate_per_s as usize * STEADY_S));
        (plan.rate_per_s, plan.hold) = (rate_per_s, Duration::ZERO);
        self.steady = Some(Fleet::start(plan));
    }

    /// Calls that have come and gone.
    pub fn called(&self) -> u64 {
        self.steady.as_ref().map_or(0, |fleet| fleet.now().ended)
    }

    /// What the calls with media received between two moments.
    pub fn silence(&self, from: Instant, to: Instant) -> Silence {
        silence(&lock(&self.lasting.told), from, to)
    }

    /// Has no more calls begin, and all end.
    pub fn leave(self) -> Result<Accounts, BenchError> {
        // First those that come and go: the others take their time.
        let steady = self.steady.map_or_else(|| Ok(Report::default()), Fleet::finish)?;
        Ok(Accounts { lasting: self.lasting.finish()?, steady })
    }
}

/// A value reported at a moment covers the time since the report before it.
fn silence(told: &[(Instant, Progress)], from: Instant, to: Instant) -> Silence {
    let mut longest = Silence::default();
    for (_, progress) in told.iter().filter(|(at, _)| *at > from && *at <= to) {
        longest.of_all = longest.of_all.max(Duration::from_micros(progress.silence_us));
        longest.of_one = longest.of_one.max(Duration::from_micros(progress.pause_us));
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silences_are_found_in_their_stretch_of_time() {
        let began = Instant::now();
        let at = |n: u64| began + Duration::from_millis(100 * n);
        let told = |(n, pause_us, silence_us)| (at(n), Progress { pause_us, silence_us, ..Progress::default() });
        let told = [(1, 20_000, 1_000), (2, 900_000, 400_000), (3, 700_000, 2_000), (4, 20_000, 1_000)].map(told);
        let [all, one] = [400, 900].map(Duration::from_millis);
        assert_eq!(silence(&told, at(1), at(4)), Silence { of_all: all, of_one: one });
        assert_eq!(silence(&told, at(3), at(4)).of_one, Duration::from_millis(20));
        assert_eq!(silence(&[], at(0), at(9)), Silence::default());
    }
}
