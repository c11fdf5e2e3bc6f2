//! `ringworld demo`: a switch and its callers in one process, over real sockets on loopback, and the proof that what
//! happened can be replayed.

mod check;
mod table;

use super::output::print;
use super::{FAILED, USAGE, fail};
use crate::config::{Config, PortRange, SipListen};
use crate::engine::{Summary, Switch};
use crate::load::{self, Plan, Progress, Report, Service};
use check::Checked;
use indicatif::{ProgressBar, ProgressStyle};
use ringworld_components::edge::Transport;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The members of a room.
const ROOM: usize = 10;

/// How long calls may take to end after their callers are done.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// The arguments of `ringworld demo`.
#[derive(clap::Args, Debug)]
pub struct DemoArgs {
    /// How many callers there are: half of them in rooms of ten, the others in echo.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    calls: u32,
    /// How long the callers talk once all are connected.
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(3..=3_600))]
    seconds: u32,
    /// Keep the recording in this file.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What was seen and measured.
struct Shown {
    report: Report,
    summary: Summary,
    bytes_per_call: Option<u64>,
    checked: Checked,
}

impl Shown {
    /// What is not as it should be, in sentences.
    fn faults(&self) -> Vec<String> {
        let mut faults = self.report.heard_wrong.clone();
        if !self.report.all_right() {
            faults.push("not every call went and sounded as it should".to_owned());
        }
        let left = &self.summary.end;
        if left.sessions + left.streams + left.rooms + left.ports > 0 {
            faults.push(format!("something is left of the calls: {left:?}"));
        }
        faults.extend(self.summary.defects.iter().cloned());
        faults.extend(self.checked.fault());
        faults
    }
}

/// Runs the demonstration.
pub fn run(args: DemoArgs) -> ExitCode {
    let kept = args.record.is_some();
    let file = args
        .record
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("ringworld-demo-{}.rwlog", std::process::id())));
    let shown = show(&args, &file);
    if !kept {
        // If the switch never started there is none.
        let _ = std::fs::remove_file(&file);
    }
    match shown {
        Err(Problem::Settings(sentence)) => fail(USAGE, sentence),
        Err(Problem::Running(sentence)) => fail(FAILED, sentence),
        Ok(shown) => {
            print(&table::text(&shown));
            let faults = shown.faults();
            if faults.is_empty() { ExitCode::SUCCESS } else { fail(FAILED, faults.join("\n           ")) }
        }
    }
}

enum Problem {
    Settings(String),
    Running(String),
}

fn show(args: &DemoArgs, file: &Path) -> Result<Shown, Problem> {
    let config = configuration(args.calls, file);
    config.check().map_err(|error| Problem::Settings(error.to_string()))?;
    let switch = Switch::start(&config).map_err(|error| Problem::Running(error.to_string()))?;
    let udp = switch.sip_addresses().iter().find(|(transport, _)| *transport == Transport::Udp);
    let target = udp.map(|(_, address)| *address).ok_or_else(|| Problem::Running("no UDP socket".to_owned()))?;
    let plan = plan(target, args.calls as usize, args.seconds);
    let before = resident_bytes();
    let mut most = before;
    let bar = Bar::new(&plan);
    let report = load::run(&plan, |progress| {
        bar.show(progress);
        if progress.started == progress.planned {
            most = most.max(resident_bytes());
        }
    });
    bar.finish();
    let summary = switch.drain(DRAIN_PATIENCE);
    let report = report.map_err(|error| Problem::Running(error.to_string()))?;
    let grown = before.zip(most).map(|(before, most)| most.saturating_sub(before));
    let bytes_per_call = grown.and_then(|bytes| bytes.checked_div(u64::from(args.calls)));
    let checked = check::replay(file, &summary);
    Ok(Shown { report, summary, bytes_per_call, checked })
}

fn plan(target: SocketAddr, calls: usize, seconds: u32) -> Plan {
    let half = calls / 2;
    let members = half.min(ROOM);
    let rooms = if members < 2 { 0 } else { half / members };
    let mut plan = Plan::new(target).with(Service::echo(calls - rooms * members));
    if rooms > 0 {
        plan = plan.with(Service::rooms("demo", rooms, members));
    }
    plan.hold = Duration::from_secs(u64::from(seconds));
    plan.rate_per_s = u32::try_from(calls / 4).unwrap_or(u32::MAX).clamp(50, 500);
    plan
}

/// Loopback, ports that the system chooses, and a range of RTP ports below the ephemeral ones that another
/// demonstration at the same time most likely does not have.
fn configuration(calls: u32, file: &Path) -> Config {
    let mut config = Config::default();
    let loopback = |transport| SipListen { transport, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
    config.network.sip = vec![loopback(Transport::Udp), loopback(Transport::Tcp)];
    config.network.rtp_ports = rtp_range(calls, std::process::id());
    config.record.file = file.to_owned();
    config
}

const PORTS: std::ops::Range<u32> = 10_000..32_000;

fn rtp_range(calls: u32, process: u32) -> PortRange {
    // Two ports a call, half as many again for those that other processes hold or that are just being closed.
    let width = (calls * 3 + 256).min(PORTS.end - PORTS.start - 2);
    let room = PORTS.end - PORTS.start - width;
    let first = (PORTS.start + process.wrapping_mul(7_919) % room) & !1;
    let port = |port: u32| u16::try_from(port).unwrap_or(u16::MAX);
    PortRange { first: port(first), last: port(first + width - 1) }
}

/// The memory that the process has in use.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The progress bar: it advances with time, and shows how many are in a call.
struct Bar {
    bar: ProgressBar,
    began: Instant,
}

impl Bar {
    fn new(plan: &Plan) -> Self {
        let ramp_ms = plan.calls() as u64 * 1000 / u64::from(plan.rate_per_s.max(1));
        let bar = ProgressBar::new(2 * ramp_ms + plan.hold.as_millis() as u64);
        let style = ProgressStyle::with_template("{bar:40} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, began: Instant::now() }
    }

    fn show(&self, progress: &Progress) {
        self.bar.set_position(self.began.elapsed().as_millis() as u64);
        self.bar.set_message(format!(
            "{} of {} called, {} talking, {} done, {} packets",
            progress.started, progress.planned, progress.connected, progress.ended, progress.packets_received
        ));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_callers_are_in_rooms_and_none_is_forgotten() {
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        for (calls, rooms, members) in [(200, 10, 10), (1, 0, 0), (3, 0, 0), (8, 1, 4), (45, 2, 10)] {
            let plan = plan(target, calls, 5);
            assert_eq!(plan.calls(), calls);
            let in_rooms = plan.services.get(1).map_or((0, 0), |rooms| (rooms.groups, rooms.members));
            assert_eq!(in_rooms, (rooms, members), "{calls} calls");
        }
    }

    #[test]
    fn rtp_ports_lie_below_the_ephemeral_ones_and_suffice() {
        for calls in [1, 200, 5_000] {
            for process in [0, 1, 77, 4_194_304, u32::MAX] {
                let range = rtp_range(calls, process);
                assert!(range.first >= 10_000 && range.last < 32_000 && range.first.is_multiple_of(2), "{range}");
                assert!(u32::from(range.last - range.first) >= 2 * calls, "{range} for {calls} calls");
            }
        }
    }

    #[test]
    fn whatever_is_not_right_is_a_fault() {
        let shown = |change: fn(&mut Shown)| {
            let report = Report { calls: 2, completed: 2, ..Report::default() };
            let checked = Checked::Agreed { ticks: 1, speed: 1 };
            let mut shown = Shown { report, summary: Summary::default(), bytes_per_call: None, checked };
            change(&mut shown);
            shown.faults()
        };
        assert_eq!(shown(|_| ()), Vec::<String>::new());
        for (change, part) in [
            (
                (|shown| shown.report.heard_wrong.push("caller 7 heard 440 Hz".into())) as fn(&mut Shown),
                "caller 7 heard 440 Hz",
            ),
            (|shown| shown.report.completed = 1, "not every call"),
            (|shown| shown.report.packets_lost = 1, "not every call"),
            (|shown| shown.report.echo.expected = 1, "not every call"),
            (|shown| shown.report.rooms.expected = 1, "not every call"),
            (|shown| shown.summary.end.ports = 1, "something is left of the calls"),
            (|shown| shown.summary.defects.push("a world panicked".into()), "a world panicked"),
            (|shown| shown.checked = Checked::Failed("tick 9 differs".into()), "tick 9 differs"),
        ] {
            let faults = shown(change);
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
        }
    }

    #[test]
    fn the_configuration_passes_its_own_check() {
        assert!(configuration(200, Path::new("demo.rwlog")).check().is_ok());
    }
}
