//! Conference rooms in which all participants talk.

use super::machine::CoreClock;
use super::observe::{Window, observe};
use super::server::{Server, count};
use super::{BenchError, Bound, Conditions, Cores, Figures};
use crate::config::Config;
use crate::load::{Plan, Service};
use std::time::Duration;

/// How many rooms of how many, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct RoomsBench {
    /// Rooms.
    pub rooms: usize,
    /// Participants of each.
    pub members: usize,
    /// Seconds of steady state.
    pub seconds: u32,
}

impl RoomsBench {
    /// Measures it on these cores.
    pub fn run(self, cores: Cores) -> Result<Figures, BenchError> {
        let legs = self.rooms * self.members;
        let mut conditions = Conditions::now(Some(cores));
        let server = Server::switch(cores.server, Config::default())?;
        let clock = CoreClock::read(cores.server);
        let mut plan = Plan::new(server.address).with(Service::rooms("bench", self.rooms, self.members));
        plan.rate_per_s = 250;
        let ramp_s = legs as u32 / plan.rate_per_s + 1;
        plan.hold = Duration::from_secs(u64::from(ramp_s + self.seconds + 1));
        let (report, samples) = observe(&plan, &server, |_| {})?;
        conditions.others_percent = Some(clock.others_percent(server.usage().cpu_s()));
        let summary = server.stop()?;
        let Some(window) = Window::of_steady_state(&samples, legs as u64) else {
            let outcomes = &report.calls_by_outcome;
            return Err(BenchError::new(format!("the callers were never all connected at a time: {outcomes:?}")));
        };
        conditions.seconds = window.seconds();

        let title = format!("rooms: {} of {}, all talking, PCMU and PCMA mixed", self.rooms, self.members);
        let mut figures = Figures::new(title, conditions);
        figures.must("calls completed", report.completed as f64, "", Bound::AtLeast(legs as f64));
        let (exact, lost) = (report.rooms.exact as f64, report.packets_lost as f64);
        let heard = "callers that heard all others and not themselves";
        if report.kept_pace() {
            figures.must(heard, exact, "", Bound::AtLeast(legs as f64));
            figures.must("packets lost on the way back", lost, "", Bound::AtMost(0.0));
        } else {
            figures.aim(heard, exact, "", Bound::AtLeast(legs as f64));
            figures.aim("packets lost on the way back", lost, "", Bound::AtMost(0.0));
            figures.note(super::rtp::behind(&report));
        }
        let ms_per_leg = window.cpu_s() * 1e3 / window.seconds() / legs as f64;
        figures.aim("server CPU a leg and second", ms_per_leg, "ms", Bound::AtMost(0.4));
        figures.tell("server CPU", window.core_percent(), "% of a core");
        let received = (window.to.progress.packets_received - window.from.progress.packets_received) as f64;
        figures.tell("packets sent to the callers", received / window.seconds(), "a second");
        figures.tell("packets in", count(&summary, "/media/packets_in"), "");
        figures.tell("tick p50", count(&summary, "/tick_time/p50_us"), "us");
        figures.tell("tick p99", count(&summary, "/tick_time/p99_us"), "us");
        figures.tell("ticks late", count(&summary, "/ticks_late"), "");
        figures.note(window.threads());
        report.heard_wrong.iter().for_each(|wrong| figures.note(wrong.clone()));
        Ok(figures)
    }
}
