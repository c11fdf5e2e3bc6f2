//! A switch whose calls survive it: what that costs while it runs, and how long the callers hear nothing when it is
//! killed, or when another process takes over from it.

mod crowd;
mod probe;

use super::idle::{ports_possible, with_ports};
use super::machine::CoreClock;
use super::server::{Server, count};
use super::usage::Usage;
use super::{BenchError, Bound, Conditions, Cores, Figures};
use crate::config::{Config, SipListen};
use crowd::{Accounts, Crowd};
use probe::Probe;
use ringworld_components::edge::Transport;
use serde_json::Value;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many calls, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct StateBench {
    /// Calls that last.
    pub calls: usize,
    /// How many of them talk.
    pub audio: usize,
    /// Calls a second that come and go besides.
    pub rate_per_s: u32,
    /// Seconds that each switch is watched before anything happens to it.
    pub seconds: u32,
}

/// Between two looks at a switch that is watched.
const LOOK: Duration = Duration::from_millis(250);
/// Port pairs besides those of calls that last and of those that come while no switch answers.
const SPARE_PORTS: usize = 200;
/// A pause until a switch is idle.
const REST: Duration = Duration::from_secs(2);

/// A switch that ran for a while under load.
struct Watched {
    seconds: f64,
    from: (Value, Usage),
    to: (Value, Usage),
    calls: u64,
    lag_ticks_max: f64,
    others_percent: f64,
}

impl Watched {
    fn cpu_percent(&self) -> f64 {
        self.cpu_s() / self.seconds.max(0.001) * 100.0
    }

    fn cpu_s(&self) -> f64 {
        self.to.1.cpu_s() - self.from.1.cpu_s()
    }

    fn us_per_call(&self) -> f64 {
        self.cpu_s() * 1e6 / self.calls.max(1) as f64
    }

    /// What a counter has grown by.
    fn grown(&self, path: &str) -> f64 {
        count(&self.to.0, path) - count(&self.from.0, path)
    }

    fn threads(&self) -> String {
        let mut threads = self.to.1.threads_since(&self.from.1);
        threads.sort_by(|(_, mine), (_, theirs)| theirs.total_cmp(mine));
        let share = |(name, used_s): &(String, f64)| format!("{name} {:.1} %", used_s / self.seconds * 100.0);
        let shown: Vec<String> =
            threads.iter().filter(|(_, used_s)| *used_s > 0.001 * self.seconds).map(share).collect();
        shown.join(", ")
    }
}

/// A change from one process to the next.
struct Change {
    taken_up: u64,
    /// From the kill, or from the start of the process that takes over.
    ready: Duration,
    /// The longest times in which no caller got a packet; one caller got none; no request was answered.
    silence: crowd::Silence,
    unanswered: Duration,
    recovery: Value,
}

impl StateBench {
    /// Measures it on these cores, with a state folder beside this program.
    pub fn run(self, cores: Cores) -> Result<Figures, BenchError> {
        let program = std::env::current_exe().map_err(BenchError::while_doing("finding this program"))?;
        let beside = program.parent().unwrap_or_else(|| Path::new("."));
        let folder = beside.join(format!("ringworld-bench-state-{}", std::process::id()));
        let spare = self.spare_ports();
        let possible = ports_possible(self.calls + spare).saturating_sub(spare).max(1);
        let calls = self.calls.min(possible);
        let measured = Self { calls, audio: self.audio.min(calls), ..self }.measure(cores, &folder);
        // What was not begun is not there.
        let _ = std::fs::remove_dir_all(&folder);
        let mut figures = measured?;
        if calls < self.calls {
            let wanted = self.calls;
            figures
                .note(format!("{wanted} calls need more open files than are allowed here (ulimit -Hn): {calls} last"));
        }
        Ok(figures)
    }

    fn measure(self, cores: Cores, folder: &Path) -> Result<Figures, BenchError> {
        let mut conditions = Conditions::now(Some(cores));
        let plain = self.without(cores)?;
        let config = self.config(folder.to_owned())?;
        let mut server = Server::switch_there(cores.server, &config, false)?;
        let target = server.address;
        let mut crowd = Crowd::gather(target, self.calls, self.audio)?;
        let probe = Probe::start(target)?;
        let kept = self.watch(cores, &mut server, &mut crowd)?;

        let killed = Instant::now();
        server.kill();
        let mut server = Server::switch_there(cores.server, &config, false)?;
        let restart = change(killed, &mut server, &crowd, &probe)?;
        let began = Instant::now();
        let mut next = Server::switch_there(cores.server, &config, true)?;
        server.wait_for_end();
        let take_over = change(began, &mut next, &crowd, &probe)?;
        let accounts = crowd.leave()?;
        drop(probe);
        let last = next.stop()?;

        conditions.seconds = plain.seconds + kept.seconds;
        conditions.others_percent = Some(kept.others_percent);
        let Self { calls, audio, rate_per_s, .. } = self;
        let title = format!(
            "state: {calls} calls that last, {audio} of them talking, and {rate_per_s} new ones a second, by our own callers"
        );
        let mut figures = Figures::new(title, conditions);
        add_running(&mut figures, &plain, &kept);
        add_change(&mut figures, "kill -9 and start", &restart, self.calls);
        add_change(&mut figures, "take-over", &take_over, self.calls);
        self.add_accounts(&mut figures, &accounts, &last);
        let disk = folder.parent().unwrap_or(folder).display();
        figures.note(format!("the state folder was in {disk}; a slow disk makes snapshots rarer, and delays no tick"));
        Ok(figures)
    }

    /// What calls in for a second and a half at once when a switch is back, and some.
    fn spare_ports(self) -> usize {
        SPARE_PORTS + self.rate_per_s as usize * 3 / 2
    }

    /// The same load on a switch without a state folder.
    fn without(self, cores: Cores) -> Result<Watched, BenchError> {
        let mut server = Server::switch_there(cores.server, &self.config(PathBuf::new())?, false)?;
        let mut crowd = Crowd::gather(server.address, self.calls, self.audio)?;
        let _probe = Probe::start(server.address)?;
        let watched = self.watch(cores, &mut server, &mut crowd)?;
        crowd.leave()?;
        server.stop()?;
        Ok(watched)
    }

    fn config(self, folder: PathBuf) -> Result<Config, BenchError> {
        let mut config = with_ports(self.calls + self.spare_ports());
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let address = free.map_err(BenchError::while_doing("looking for a free port"))?;
        config.network.sip = vec![SipListen { transport: Transport::Udp, address }];
        // All of them are to be answered at once.
        let stock = u32::try_from(self.spare_ports()).unwrap_or(u32::MAX);
        config.network.rtp_port_stock = config.network.rtp_port_stock.max(stock);
        config.state.folder = folder;
        Ok(config)
    }

    fn watch(self, cores: Cores, server: &mut Server, crowd: &mut Crowd) -> Result<Watched, BenchError> {
        crowd.begin_calling(server.address, self.rate_per_s);
        std::thread::sleep(REST);
        let clock = CoreClock::read(cores.server);
        let (began, before) = (Instant::now(), crowd.called());
        let from = (server.status()?, server.usage());
        let mut lag_ticks_max = 0f64;
        while began.elapsed() < Duration::from_secs(u64::from(self.seconds)) {
            std::thread::sleep(LOOK);
            lag_ticks_max = lag_ticks_max.max(count(&server.status()?, "/state/lag_ticks"));
        }
        let to = (server.status()?, server.usage());
        let others_percent = clock.others_percent(to.1.cpu_s() - from.1.cpu_s());
        let (seconds, calls) = (began.elapsed().as_secs_f64(), crowd.called() - before);
        Ok(Watched { seconds, from, to, calls, lag_ticks_max, others_percent })
    }

    fn add_accounts(self, figures: &mut Figures, accounts: &Accounts, last: &Value) {
        let (lasting, steady) = (&accounts.lasting, &accounts.steady);
        let lost = self.calls as f64 - lasting.completed as f64;
        figures.must("lasting calls that could not be ended by a BYE afterwards", lost, "", Bound::AtMost(0.0));
        let failed = (steady.calls - steady.completed) as f64;
        figures.must("new calls that failed, at whatever moment", failed, "", Bound::AtMost(0.0));
        figures.must("calls left in the switch", count(last, "/end/sessions"), "", Bound::AtMost(0.0));
        for (end, calls) in lasting.calls_by_outcome.iter().chain(&steady.calls_by_outcome) {
            if end != "completed" {
                figures.note(format!("{calls} calls ended with: {end}"));
            }
        }
    }
}

/// Waits until all is well again after one process has replaced another, and reports the interruption.
fn change(began: Instant, server: &mut Server, crowd: &Crowd, probe: &Probe) -> Result<Change, BenchError> {
    let ready = began.elapsed();
    std::thread::sleep(2 * REST);
    let (status, now) = (server.status()?, Instant::now());
    Ok(Change {
        taken_up: server.taken_up,
        ready,
        silence: crowd.silence(began, now),
        unanswered: probe.longest_silence(began, now),
        recovery: status.pointer("/recovery").cloned().unwrap_or_default(),
    })
}

fn add_running(figures: &mut Figures, plain: &Watched, kept: &Watched) {
    for (name, of) in [("without state", plain), ("with state", kept)] {
        let slow = of.grown("/ticks_late") + of.grown("/ticks_skipped");
        figures.aim(&format!("ticks late or skipped, {name}"), slow, "", Bound::AtMost(0.0));
        figures.tell(&format!("tick p50, {name}"), count(&of.to.0, "/tick_time/p50_us"), "us");
        figures.tell(&format!("tick p99, {name}"), count(&of.to.0, "/tick_time/p99_us"), "us");
        figures.tell(&format!("new calls, {name}"), of.calls as f64 / of.seconds, "a second");
        figures.tell(&format!("server CPU, {name}"), of.cpu_percent(), "% of a core");
        figures.tell(&format!("server CPU a new call, audio and all, {name}"), of.us_per_call(), "us");
        figures.tell(&format!("memory, {name}"), of.to.1.resident_bytes as f64 / f64::from(1 << 20), "MiB");
        figures.note(format!("{name}, of a core: {}", of.threads()));
    }
    figures.tell("snapshots written", count(&kept.to.0, "/state/snapshots"), "");
    let apart = count(&kept.to.0, "/state/apart_ms_max") / 1e3;
    figures.aim("longest time between two snapshots", apart, "s", Bound::AtMost(5.0));
    let encode = count(&kept.to.0, "/state/encode_us_max") / 1e3;
    figures.aim("most processor time to encode the world", encode, "ms", Bound::AtMost(50.0));
    figures.tell("journal", kept.grown("/state/journal_bytes") / kept.seconds / 1e6, "MB/s");
    figures.tell("longest lag of the follower", kept.lag_ticks_max * 5.0, "ms");
}

fn add_change(figures: &mut Figures, name: &str, change: &Change, calls: usize) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    figures.must(&format!("{name}: calls taken up"), change.taken_up as f64, "", Bound::AtLeast(calls as f64));
    figures.tell(&format!("{name}: process ready after"), ms(change.ready), "ms");
    let restored = count(&change.recovery, "/restore_us") / 1e3;
    figures.aim(&format!("{name}: snapshot read and restored in"), restored, "ms", Bound::AtMost(200.0));
    let name_of_ticks = format!("{name}: {} ticks lived again in", count(&change.recovery, "/ticks"));
    figures.tell(&name_of_ticks, count(&change.recovery, "/live_us") / 1e3, "ms");
    figures.tell(&format!("{name}: no packet came to any call for"), ms(change.silence.of_all), "ms");
    let gap = ms(change.silence.of_one);
    figures.aim(&format!("{name}: longest audio gap of a caller"), gap, "ms", Bound::AtMost(1_000.0));
    figures.aim(&format!("{name}: no request was answered for"), ms(change.unanswered), "ms", Bound::AtMost(1_000.0));
}
