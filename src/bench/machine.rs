//! The machine that is measured on: its cores, which process ran on which core, and what else used the CPU meanwhile.

use super::BenchError;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde::Serialize;
use std::fmt::Write;
use std::fs::read_to_string;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

/// Which cores the two sides run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cores {
    /// The core of the switch.
    pub server: usize,
    /// The core of the callers; the same one if there is no other.
    pub load: usize,
}

impl Cores {
    /// The first two cores that this process may use. The calling thread and all that it starts move to the second one,
    /// so this is to be called once.
    pub fn take() -> Result<Self, BenchError> {
        let set = sched_getaffinity(Pid::from_raw(0)).map_err(BenchError::while_doing("reading the allowed cores"))?;
        let allowed = (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false));
        let mut allowed = allowed.take(2);
        let server = allowed.next().unwrap_or(0);
        let cores = Self { server, load: allowed.next().unwrap_or(server) };
        pin(cores.load)?;
        Ok(cores)
    }
}

/// Moves the calling thread, and all threads and processes that it will start, to one core.
pub(super) fn pin(core: usize) -> Result<(), BenchError> {
    let mut set = CpuSet::new();
    set.set(core)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(BenchError::while_doing(&format!("moving to core {core}")))
}

/// The conditions of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Conditions {
    /// Online cores.
    pub cores: usize,
    /// The model of the CPU.
    pub cpu: String,
    /// The release of the kernel.
    pub kernel: String,
    /// Where the packets went.
    pub network: &'static str,
    /// Which process ran on which core.
    pub pinned: Option<Cores>,
    /// Whether this is an optimised build. Figures of others mean nothing.
    pub optimised: bool,
    /// How this process and those that it starts are scheduled: `nice N` or `realtime`.
    pub scheduling: String,
    /// Processes waiting for a core, on average over the minute before.
    pub load_before: String,
    /// CPU time that one thread needs to send itself a datagram of 172 bytes over loopback and to read it, in
    /// microseconds: the least that a packet in and out can cost here and now.
    pub datagram_us: f64,
    /// The part of the server's core that others took during the run, in per cent; with what a hypervisor stole.
    pub others_percent: Option<f64>,
    /// Seconds that the measured part took.
    pub seconds: f64,
}

impl Conditions {
    /// What is known before a run.
    pub(super) fn now(pinned: Option<Cores>) -> Self {
        let cpu = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
        let line = |path| read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let load = line("/proc/loadavg");
        Self {
            cores: cpu.lines().filter(|line| line.starts_with("processor")).count(),
            cpu: model.unwrap_or("unknown").to_owned(),
            kernel: line("/proc/sys/kernel/osrelease"),
            network: if pinned.is_some() { "loopback" } else { "none" },
            pinned,
            optimised: !cfg!(debug_assertions),
            scheduling: scheduling(&line("/proc/self/stat")),
            load_before: load.split(' ').next().unwrap_or_default().to_owned(),
            datagram_us: datagram_us().unwrap_or(0.0),
            others_percent: None,
            seconds: 0.0,
        }
    }

    /// The conditions as a line or two.
    pub(super) fn text(&self) -> String {
        let mut text = format!("  conditions: {} cores, {}, Linux {}", self.cores, self.cpu, self.kernel);
        if let Some(Cores { server, load }) = self.pinned {
            let _ = write!(text, ", {}, server on core {server}, load on core {load}", self.network);
        }
        let _ = write!(
            text,
            "\n  measured for {:.1} s, {}, load average before {}",
            self.seconds, self.scheduling, self.load_before
        );
        let _ = write!(text, ", a datagram to oneself costs {:.2} us", self.datagram_us);
        if let Some(percent) = self.others_percent {
            let _ = write!(text, ", others took {percent:.0} % of the server's core");
        }
        text.push_str(if self.optimised { "\n" } else { "\n  NOT AN OPTIMISED BUILD: these figures mean nothing\n" });
        text
    }
}

/// The scheduling in `/proc/self/stat` (proc_pid_stat(5)). The name of the program may hold blanks and ends with a
/// bracket.
fn scheduling(stat: &str) -> String {
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // Without pid and name, nice is the 17th field and the policy the 39th.
    match (fields.get(38), fields.get(16)) {
        (Some(&"1" | &"2"), _) => "realtime".to_owned(),
        (_, Some(nice)) => format!("nice {nice}"),
        _ => "unknown".to_owned(),
    }
}

/// The median of a few batches.
fn datagram_us() -> std::io::Result<f64> {
    const BATCH: u32 = 2_000;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(socket.local_addr()?)?;
    let mut batches = [0.0; 5];
    for batch in &mut batches {
        let before = thread_cpu()?;
        for _ in 0..BATCH {
            socket.send(&[0x55; 172])?;
            socket.recv(&mut [0; 256])?;
        }
        *batch = (thread_cpu()? - before).as_secs_f64() * 1e6 / f64::from(BATCH);
    }
    batches.sort_by(f64::total_cmp);
    Ok(batches.get(2).copied().unwrap_or(0.0))
}

fn thread_cpu() -> std::io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// How busy a core was, up to a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct CoreClock {
    core: usize,
    at: Instant,
    busy_s: f64,
}

impl CoreClock {
    pub fn read(core: usize) -> Self {
        let stat = read_to_string("/proc/stat").unwrap_or_default();
        Self { core, at: Instant::now(), busy_s: busy_jiffies(&stat, core) as f64 / JIFFIES_PER_S }
    }

    /// The part of the core that went to others than a process which used `own_s` seconds meanwhile, in per cent.
    pub fn others_percent(self, own_s: f64) -> f64 {
        let now = Self::read(self.core);
        let seconds = (now.at - self.at).as_secs_f64().max(0.001);
        ((now.busy_s - self.busy_s - own_s) / seconds * 100.0).max(0.0)
    }
}

/// USER_HZ, which is 100 on all machines that Linux runs on today (proc(5)).
const JIFFIES_PER_S: f64 = 100.0;

/// All time of a core but that spent idle or waiting for a disk.
fn busy_jiffies(stat: &str, core: usize) -> u64 {
    let name = format!("cpu{core}");
    let mut lines = stat.lines().map(str::split_whitespace);
    let Some(fields) = lines.find_map(|mut fields| (fields.next() == Some(&name)).then_some(fields)) else { return 0 };
    // user nice system idle iowait irq softirq steal; guest time is part of user time.
    fields.take(8).enumerate().filter(|(n, _)| !matches!(n, 3 | 4)).filter_map(|(_, n)| n.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 400 500 6 7 8 0 0\ncpu1 10 0 0 0 0 0 0 0 0 0\n";
        assert_eq!((busy_jiffies(stat, 0), busy_jiffies(stat, 1), busy_jiffies(stat, 2)), (27, 10, 0));
    }

    #[test]
    fn the_scheduling_is_read() {
        let stat = |nice, policy| {
            let zeros = |n| "0 ".repeat(n);
            format!("7 (a) b) R {}{nice} {}{policy} 0 0", zeros(15), zeros(21))
        };
        assert_eq!((scheduling(&stat(-5, 0)), scheduling(&stat(0, 1))), ("nice -5".into(), "realtime".into()));
        assert!(Conditions::now(None).scheduling.starts_with("nice ") || scheduling("") == "unknown");
    }

    #[test]
    fn a_thread_moves_to_the_core_it_is_told() {
        let moved = std::thread::spawn(|| {
            let cores = Cores::take().unwrap();
            (cores, sched_getaffinity(Pid::from_raw(0)).unwrap())
        });
        let (cores, set) = moved.join().unwrap();
        let allowed: Vec<usize> = (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap()).collect();
        assert_eq!(allowed, [cores.load]);
    }

    #[test]
    fn the_conditions_name_the_machine() {
        let conditions = Conditions::now(Some(Cores { server: 0, load: 1 }));
        assert!(conditions.datagram_us > 0.0);
        assert!(conditions.cores > 0 && !conditions.kernel.is_empty(), "{conditions:?}");
        assert!(conditions.text().contains("server on core 0, load on core 1"));
    }
}
