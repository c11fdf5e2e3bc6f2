//! What waiting costs: an unused switch, held calls, rooms with silent participants, and the tick alone.

use super::machine::CoreClock;
use super::observe::{Sample, Window, observe, watch};
use super::server::{Server, count};
use super::usage::kernel_bytes;
use super::{BenchError, Bound, Conditions, Cores, Figures};
use crate::config::{Config, PortRange};
use crate::load::{Plan, Service};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How much waits, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct IdleBench {
    /// Calls that are held without a packet.
    pub calls: usize,
    /// Rooms of one silent participant.
    pub rooms: usize,
    /// Seconds that each of them is watched.
    pub seconds: u32,
    /// Ticks that are timed in each world without sockets.
    pub ticks: usize,
}

/// Descriptors that a switch needs besides those of its ports.
const OTHER_FILES: u64 = 160;
/// TCP connections: none come.
const CONNECTIONS: u32 = 8;
/// No call ends by itself while it is watched.
const LONG: Duration = Duration::from_secs(3_600);

impl IdleBench {
    /// Measures it on these cores.
    pub fn run(self, cores: Cores) -> Result<Vec<Figures>, BenchError> {
        Ok(vec![self.held(cores)?, self.rooms(cores)?, self.ticks(cores)?])
    }

    /// An unused switch, then the same one with calls that send nothing.
    fn held(self, cores: Cores) -> Result<Figures, BenchError> {
        let mut conditions = Conditions::now(Some(cores));
        let mut server = Server::switch(cores.server, with_ports(self.calls + 128))?;
        let time = Duration::from_secs(u64::from(self.seconds));
        std::thread::sleep(Duration::from_millis(500));
        let clock = CoreClock::read(cores.server);
        let idle = watch(&server, time);
        let kernel_before = kernel_bytes();
        let held = self.hold(&mut server, Service::signalling("echo", self.calls))?;
        conditions.others_percent = Some(clock.others_percent(server.usage().cpu_s()));
        conditions.seconds = idle.seconds() + held.window.seconds();
        server.stop()?;

        let title = format!("idle: an unused switch, then {} held calls with media ports and no packets", self.calls);
        let mut figures = Figures::new(title, conditions);
        figures.aim("CPU of the unused switch", idle.core_percent(), "% of a core", Bound::AtMost(1.0));
        figures.must("calls held", held.streams, "", Bound::AtLeast(self.calls as f64));
        let above = held.window.core_percent() - idle.core_percent();
        figures.aim("CPU of all held calls, above that", above, "% of a core", Bound::AtMost(2.0));
        let grown = held.window.to.usage.resident_bytes.saturating_sub(idle.to.usage.resident_bytes);
        figures.aim("memory a held call", grown as f64 / self.calls as f64, "bytes", Bound::AtMost(12_000.0));
        let sockets = held.kernel_bytes.saturating_sub(kernel_before);
        figures.tell("besides, in the kernel (sockets)", sockets as f64 / self.calls as f64, "bytes");
        figures.note(
            "the memory of a call includes that of its INVITE transaction, which waits out its 32 s, and what pools and tables \
             grew by",
        );
        figures.note(held.window.threads());
        Ok(figures)
    }

    /// Rooms of one participant, which sends nothing.
    fn rooms(self, cores: Cores) -> Result<Figures, BenchError> {
        let mut conditions = Conditions::now(Some(cores));
        let rooms = self.rooms.min(ports_possible(self.rooms));
        let mut server = Server::switch(cores.server, with_ports(rooms))?;
        let clock = CoreClock::read(cores.server);
        let held = self.hold(&mut server, Service::signalling("conf-idle-{}", rooms))?;
        conditions.others_percent = Some(clock.others_percent(server.usage().cpu_s()));
        conditions.seconds = held.window.seconds();
        server.stop()?;

        let mut figures = Figures::new(format!("idle: {rooms} rooms of one silent participant"), conditions);
        figures.must("rooms", held.rooms, "", Bound::AtLeast(rooms as f64));
        figures.aim("CPU of the switch", held.window.core_percent(), "% of a core", Bound::AtMost(1.0));
        if rooms < self.rooms {
            let wanted = self.rooms;
            figures.note(format!(
                "{wanted} rooms need more open files than are allowed here (ulimit -Hn): {rooms} are watched"
            ));
        }
        figures.note(held.window.threads());
        Ok(figures)
    }

    /// Connects all, watches them, and lets them go.
    fn hold(self, server: &mut Server, service: Service) -> Result<Held, BenchError> {
        let calls = (service.groups * service.members) as u64;
        let mut plan = Plan::new(server.address).with(service);
        (plan.rate_per_s, plan.hold) = (1_000, LONG);
        let stop = Arc::new(AtomicBool::new(false));
        plan.stop = Some(stop.clone());
        let time = Duration::from_secs(u64::from(self.seconds) + 1);
        let patience = Duration::from_secs(calls / 1_000 + 40);
        let (began, mut since, mut kernel) = (Instant::now(), None, 0);
        let (report, samples) = observe(&plan, server, |sample: &Sample| {
            if sample.progress.connected == calls {
                since.get_or_insert(sample.at);
            }
            let is_over = since.is_some_and(|since| sample.at - since > time);
            if (is_over || began.elapsed() > patience + time) && !stop.swap(true, Ordering::Relaxed) {
                kernel = kernel_bytes();
            }
        })?;
        let Some(window) = Window::of_steady_state(&samples, calls) else {
            let outcomes = report.calls_by_outcome;
            return Err(BenchError::new(format!("the calls were never all connected at a time: {outcomes:?}")));
        };
        let status = server.status()?;
        let peak = |what: &str| count(&status, &format!("/peak/{what}"));
        Ok(Held { window, kernel_bytes: kernel, streams: peak("streams"), rooms: peak("rooms") })
    }
}

/// Calls that were connected for a while.
struct Held {
    window: Window,
    kernel_bytes: u64,
    streams: f64,
    rooms: f64,
}

/// A configuration with that many pairs of ports.
pub(super) fn with_ports(pairs: usize) -> Config {
    let mut config = Config::default();
    let pairs = pairs.min(ports_possible(pairs)) as u16;
    config.network.rtp_ports = PortRange { first: 10_000, last: 10_000 + 2 * pairs - 1 };
    config.network.tcp_connections_max = CONNECTIONS;
    config
}

/// How many of these pairs the system allows a process to open, below the ports that it gives out by itself.
pub(super) fn ports_possible(pairs: usize) -> usize {
    let needed = 2 * pairs as u64 + OTHER_FILES;
    let hard = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(_, hard)| hard);
    // The switch inherits the limit. A process that may not raise it makes do with what it has.
    let granted =
        if hard < needed && setrlimit(Resource::RLIMIT_NOFILE, needed, needed).is_ok() { needed } else { hard };
    (granted.saturating_sub(OTHER_FILES) / 2).clamp(1, 11_000) as usize
}
