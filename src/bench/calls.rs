//! Calls without hold: INVITE, 200, ACK, BYE, 200.

use super::drops::Drops;
use super::flight;
use super::machine::CoreClock;
use super::observe::{Sample, Window, observe};
use super::server::{Server, count};
use super::{BenchError, Bound, Conditions, Cores, Figures, sipp};
use crate::config::{Config, RecordMedia, RecordSettings};
use crate::load::{Plan, Progress, Service};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// The rate, the duration and the caller.
#[derive(Clone, Debug)]
pub struct CallsBench {
    /// New calls a second.
    pub rate_per_s: u32,
    /// Seconds.
    pub seconds: u32,
    /// Whether SIPp's built-in `uac` calls (`-d 0`), and not our own callers.
    pub sipp: bool,
    /// Whether the same is done again by a switch that records, without media.
    pub record: bool,
    /// Whether the same is done again by a switch without a flight recorder, and by one whose follower has to work; and
    /// whether what they then write out replays.
    pub flight: bool,
}

/// Seconds of the runs that others are compared with, at most.
const BRIEF_S: u32 = 40;

/// What a run of calls came to.
struct Called {
    completed: u64,
    failed: u64,
    /// By callers.
    resent: u64,
    drops: Drops,
    window: Window,
    others_percent: f64,
    /// When the last call had ended, before anything timed out.
    status: Value,
    last: Value,
    /// The flight recording, if one was wanted.
    written: Option<Result<PathBuf, String>>,
    seconds: f64,
    /// How calls ended that failed.
    outcomes: Vec<String>,
}

impl Called {
    fn late(&self) -> f64 {
        count(&self.last, "/ticks_late") + count(&self.last, "/ticks_skipped")
    }

    fn us_per_call(&self) -> f64 {
        self.window.cpu_s() * 1e6 / self.completed.max(1) as f64
    }
}

impl CallsBench {
    /// Measures it on these cores.
    pub fn run(&self, cores: Cores) -> Result<Figures, BenchError> {
        let mut conditions = Conditions::now(Some(cores));
        let calls = u64::from(self.rate_per_s) * u64::from(self.seconds);
        let folder = flight::Folder::beside_this_program()?;
        let called = self.call(cores, |record| {
            if self.flight {
                record.flight_dir.clone_from(&folder.path);
            }
        })?;
        conditions.seconds = called.seconds;
        conditions.others_percent = Some(called.others_percent);

        let by = if self.sipp { "SIPp's uac, -d 0" } else { "our own callers" };
        let title = format!("calls: {} a second for {} s, no hold, by {by}", self.rate_per_s, self.seconds);
        let mut figures = Figures::new(title, conditions);
        figures.must("calls completed", called.completed as f64, "", Bound::AtLeast(calls as f64));
        figures.must("calls failed", called.failed as f64, "", Bound::AtMost(0.0));
        figures.aim("messages that a caller sent again", called.resent as f64, "", Bound::AtMost(0.0));
        let by_switch = count(&called.last, "/signalling/retransmissions_sent");
        figures.aim("messages that the switch sent again", by_switch, "", Bound::AtMost(0.0));
        figures.tell(
            "messages that came to the switch again",
            count(&called.last, "/signalling/retransmissions_received"),
            "",
        );
        figures.tell("datagrams lost in front of the switch", called.drops.at_port as f64, "");
        figures.tell("datagrams lost on the whole machine", called.drops.everywhere as f64, "");
        let rate = called.completed as f64 / called.seconds.max(0.001);
        figures.aim("rate reached", rate, "calls/s", Bound::AtLeast(f64::from(self.rate_per_s) * 0.98));
        figures.aim("server CPU a call", called.us_per_call(), "us", Bound::AtMost(120.0));
        figures.tell("server CPU", called.window.core_percent(), "% of a core");
        let transactions = count(&called.status, "/end/transactions");
        figures.tell("transactions that wait out their 32 s", transactions, "");
        let grown = called.window.to.usage.resident_bytes.saturating_sub(called.window.from.usage.resident_bytes);
        // Below that, what the pools have grown by is most of it.
        if transactions >= 20_000.0 {
            figures.aim(
                "memory for each of them, all growth",
                grown as f64 / transactions,
                "bytes",
                Bound::AtMost(1_000.0),
            );
        }
        figures.tell("limits hit", limits_hit(&called.status), "");
        figures.tell("tick p50", count(&called.last, "/tick_time/p50_us"), "us");
        figures.tell("tick p99", count(&called.last, "/tick_time/p99_us"), "us");
        figures.tell("ticks late", count(&called.last, "/ticks_late"), "");
        figures.note(called.window.threads());
        called.outcomes.iter().for_each(|outcome| figures.note(outcome.clone()));
        if self.record {
            self.add_recorded(cores, &called, &mut figures)?;
        }
        if self.flight {
            self.add_flight(cores, &called, &folder, &mut figures)?;
        }
        Ok(figures)
    }

    fn add_recorded(&self, cores: Cores, plain: &Called, figures: &mut Figures) -> Result<(), BenchError> {
        let file = std::env::temp_dir().join(format!("ringworld-bench-{}.rwlog", std::process::id()));
        let recorded = self.call(cores, |record| record.file.clone_from(&file));
        let bytes = std::fs::metadata(&file).map(|file| file.len());
        // Without a recording there is nothing to remove.
        let _ = std::fs::remove_file(&file);
        let recorded = recorded?;
        figures.must("calls failed while recording", recorded.failed as f64, "", Bound::AtMost(0.0));
        figures.tell("server CPU a call, recording", recorded.us_per_call(), "us");
        let more = (recorded.us_per_call() / plain.us_per_call().max(1e-9) - 1.0) * 100.0;
        figures.aim("more CPU by recording", more, "%", Bound::AtMost(10.0));
        let per_call = bytes.unwrap_or(0) as f64 / recorded.completed.max(1) as f64;
        figures.tell("recorded a call", per_call, "bytes");
        Ok(())
    }

    /// The flight recorder is always on; its follower works once the calls have lasted for twice its window.
    fn add_flight(
        &self,
        cores: Cores,
        plain: &Called,
        folder: &flight::Folder,
        figures: &mut Figures,
    ) -> Result<(), BenchError> {
        // The comparison needs no more than the time in which the first transactions end.
        let brief = Self { seconds: self.seconds.min(BRIEF_S), ..self.clone() };
        let without = brief.call(cores, |record| record.flight_seconds = 0)?;
        figures.tell("server CPU a call without the flight recorder", without.us_per_call(), "us");
        let more = |called: &Called| (called.us_per_call() / without.us_per_call().max(1e-9) - 1.0) * 100.0;
        figures.aim("more CPU by the flight recorder", more(plain), "%", Bound::AtMost(10.0));
        let window_s = (brief.seconds / 8).max(1);
        let followed = brief.call(cores, |record| {
            record.flight_seconds = window_s;
            record.flight_dir.clone_from(&folder.path);
        })?;
        figures.must("calls failed while the follower worked", followed.failed as f64, "", Bound::AtMost(0.0));
        figures.tell(format!("more CPU with a window of {window_s} s").as_str(), more(&followed), "%");
        let memory = |called: &Called| called.window.to.usage.resident_bytes as f64 / f64::from(1 << 20);
        figures.tell("memory at the end without the flight recorder", memory(&without), "MiB");
        figures.tell("memory at the end with it", memory(plain), "MiB");
        figures.tell("memory at the end, the follower working", memory(&followed), "MiB");
        for (name, called) in [("defaults", plain), ("short window", &followed)] {
            figures.tell(&format!("ticks late or skipped, {name}"), called.late(), "");
            flight::add(figures, name, &called.status, called.written.as_ref())?;
        }
        figures.tell("ticks late or skipped without the flight recorder", without.late(), "");
        figures.note(format!("without the flight recorder: {}", without.window.threads()));
        figures.note(format!("with the follower working: {}", followed.window.threads()));
        Ok(())
    }

    fn call(&self, cores: Cores, adapt: impl FnOnce(&mut RecordSettings)) -> Result<Called, BenchError> {
        let mut config = Config::default();
        config.record.media = RecordMedia::Off;
        adapt(&mut config.record);
        let writes_flight = !config.record.flight_dir.as_os_str().is_empty();
        let mut server = Server::switch(cores.server, config)?;
        std::thread::sleep(Duration::from_millis(500));
        let clock = CoreClock::read(cores.server);
        let drops = Drops::read(server.address.port());
        let from = Sample::of(&server, Progress::default());
        let calls = u64::from(self.rate_per_s) * u64::from(self.seconds);
        let (completed, failed, resent, seconds, outcomes) = if self.sipp {
            let account = sipp::call(server.address, self.rate_per_s, calls)?;
            (account.completed, account.failed, account.retransmissions, account.seconds, Vec::new())
        } else {
            let mut plan = Plan::new(server.address).with(Service::signalling("echo", calls as usize));
            plan.rate_per_s = self.rate_per_s;
            plan.hold = Duration::ZERO;
            let (report, _) = observe(&plan, &server, |_| {})?;
            let ends = report.calls_by_outcome.iter().filter(|(end, _)| *end != "completed");
            let outcomes = ends.map(|(end, calls)| format!("{calls} calls ended with: {end}")).collect();
            // The callers wait 300 ms for stragglers.
            (
                report.completed,
                report.calls - report.completed,
                report.retransmissions_sent,
                report.seconds - 0.3,
                outcomes,
            )
        };
        let window = Window { from, to: Sample::of(&server, Progress::default()) };
        let drops = Drops::read(server.address.port()).since(drops);
        let others_percent = clock.others_percent(window.cpu_s());
        // The status is published five times a second.
        std::thread::sleep(Duration::from_millis(250));
        let status = server.status()?;
        let written = if writes_flight { Some(server.write_flight()?) } else { None };
        let last = server.stop()?;
        Ok(Called {
            written,
            completed,
            failed,
            resent,
            drops,
            window,
            others_percent,
            status,
            last,
            seconds,
            outcomes,
        })
    }
}

/// How often any limit refused something.
fn limits_hit(summary: &Value) -> f64 {
    let limits = summary.pointer("/signalling/limits_hit").and_then(Value::as_object);
    limits.map_or(0.0, |limits| limits.values().filter_map(Value::as_u64).sum::<u64>() as f64)
}
