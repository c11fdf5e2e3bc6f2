//! Echo: what a packet costs that comes in and goes out again, and how long it stays.

use super::machine::CoreClock;
use super::observe::{Window, observe};
use super::server::{Server, count};
use super::{BenchError, Bound, Conditions, Cores, Figures};
use crate::config::Config;
use crate::load::{Plan, Report, Service};
use std::time::Duration;

/// How many calls, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct RtpBench {
    /// Calls, each of 50 packets a second in each direction.
    pub calls: usize,
    /// Seconds of steady state.
    pub seconds: u32,
}

/// One side's account.
struct Echoed {
    report: Report,
    window: Window,
    us_per_packet: f64,
}

impl RtpBench {
    /// Measures a plain echo program, then the switch, under the same load.
    pub fn run(self, cores: Cores) -> Result<Figures, BenchError> {
        let mut conditions = Conditions::now(Some(cores));
        let bare = Server::echo(cores.server)?;
        let baseline = self.echo(&bare)?;
        drop(bare);

        let server = Server::switch(cores.server, Config::default())?;
        let clock = CoreClock::read(cores.server);
        let echoed = self.echo(&server)?;
        conditions.others_percent = Some(clock.others_percent(server.usage().cpu_s()));
        let summary = server.stop()?;
        conditions.seconds = echoed.window.seconds();

        let title = format!("rtp: echo of {} calls, 50 packets/s each way, 172 bytes, PCMU and PCMA", self.calls);
        let mut figures = Figures::new(title, conditions);
        let Echoed { report, window, us_per_packet } = &echoed;
        figures.must("calls completed", report.completed as f64, "", Bound::AtLeast(self.calls as f64));
        figures.tell("packets echoed", report.packets_received as f64, "");
        let lost = report.echo_not_returned as f64;
        if report.kept_pace() {
            figures.must("packets not returned", lost, "", Bound::AtMost(0.0));
            figures.must("callers that heard themselves exactly", report.echo.exact as f64, "", all(report));
        } else {
            figures.aim("packets not returned", lost, "", Bound::AtMost(0.0));
            figures.aim("callers that heard themselves exactly", report.echo.exact as f64, "", all(report));
            figures.note(behind(report));
        }
        figures.aim("server CPU for a packet in and out", *us_per_packet, "us", Bound::AtMost(6.0));
        figures.tell("the same, by a plain epoll echo", baseline.us_per_packet, "us");
        figures.tell("ratio", us_per_packet / baseline.us_per_packet.max(1e-9), "times the plain echo");
        figures.tell("server CPU", window.core_percent(), "% of a core");
        let (delay, bare_delay) = (report.echo_round_trip, baseline.report.echo_round_trip);
        let ms = |us: u64| us as f64 / 1_000.0;
        figures.tell("round trip p50", ms(delay.p50_us), "ms");
        figures.aim("round trip p99", ms(delay.p99_us), "ms", Bound::AtMost(10.0));
        figures.tell("round trip p50 by the plain echo", ms(bare_delay.p50_us), "ms");
        figures.tell("round trip p99 by the plain echo", ms(bare_delay.p99_us), "ms");
        figures.tell("tick p50", count(&summary, "/tick_time/p50_us"), "us");
        figures.tell("tick p99", count(&summary, "/tick_time/p99_us"), "us");
        figures.tell("ticks late", count(&summary, "/ticks_late"), "");
        figures.note(window.threads());
        figures.note("an echo has no jitter buffer: the round trip is all delay there is, both kernels' ways included");
        Ok(figures)
    }

    fn echo(self, server: &Server) -> Result<Echoed, BenchError> {
        let mut plan = Plan::new(server.address).with(Service::echo(self.calls));
        plan.rate_per_s = 250;
        let ramp_s = self.calls as u32 / plan.rate_per_s + 1;
        plan.hold = Duration::from_secs(u64::from(ramp_s + self.seconds + 1));
        let (report, samples) = observe(&plan, server, |_| {})?;
        let Some(window) = Window::of_steady_state(&samples, self.calls as u64) else {
            let outcomes = &report.calls_by_outcome;
            return Err(BenchError::new(format!("the calls were never all connected at a time: {outcomes:?}")));
        };
        let packets = window.to.progress.packets_received - window.from.progress.packets_received;
        let us_per_packet = window.cpu_s() * 1e6 / packets.max(1) as f64;
        Ok(Echoed { report, window, us_per_packet })
    }
}

fn all(report: &Report) -> Bound {
    Bound::AtLeast(report.echo.expected as f64)
}

/// Why what the callers heard proves little.
pub(super) fn behind(report: &Report) -> String {
    format!(
        "the callers could not keep pace ({} packets over 5 ms late, {} never sent, the latest by {} ms): this machine was \
         busy, and what they missed is no fault of the switch",
        report.packets_late,
        report.packets_skipped,
        report.late_max_us / 1_000
    )
}
