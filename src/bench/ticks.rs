//! What a quiet tick costs, by how many sessions are established: it should not depend on it.

use super::idle::IdleBench;
use super::quiet::Quiet;
use super::{BenchError, Bound, Conditions, Cores, Figures};
use std::time::Instant;

/// Sessions in the small and in the large world.
const FEW: u32 = 1_000;
const MANY: u32 = 100_000;
const ROOMS: u32 = 10_000;
/// Ticks that one world makes before it is another one's turn, so that a busy moment of the machine affects all.
const TURN: usize = 100;
/// Ticks in a second.
const RATE: f64 = 200.0;

impl IdleBench {
    /// Times quiet ticks of worlds without sockets, in turns.
    pub(super) fn ticks(self, cores: Cores) -> Result<Figures, BenchError> {
        let mut conditions = Conditions { network: "none", ..Conditions::now(Some(cores)) };
        let mut worlds = [
            Quiet::with_sessions(0)?,
            Quiet::with_sessions(FEW)?,
            Quiet::with_sessions(MANY)?,
            Quiet::with_rooms(ROOMS)?,
        ];
        let mut costs_ns: [Vec<u64>; 4] = Default::default();
        let began = Instant::now();
        while costs_ns.iter().any(|costs| costs.len() < self.ticks) {
            for (world, costs) in worlds.iter_mut().zip(&mut costs_ns) {
                costs.extend((0..TURN).map(|_| time_ns(world)));
            }
        }
        conditions.seconds = began.elapsed().as_secs_f64();
        costs_ns.iter_mut().for_each(|costs| costs.sort_unstable());
        let at = |world: usize, percent: usize| quantile(&costs_ns, world, percent);

        let title = format!("idle: {} quiet ticks of worlds without sockets", self.ticks);
        let mut figures = Figures::new(title, conditions);
        figures.tell("tick, empty world, median", at(0, 50), "us");
        figures.tell(&format!("tick, {FEW} sessions, median"), at(1, 50), "us");
        figures.aim(&format!("tick, {MANY} sessions, median"), at(2, 50), "us", Bound::AtMost(50.0));
        figures.tell(&format!("tick, {MANY} sessions, p99"), at(2, 99), "us");
        figures.tell(&format!("tick, {MANY} sessions, longest"), at(2, 100), "us");
        figures.aim("ratio of the medians", at(2, 50) / at(1, 50).max(1e-3), "", Bound::AtMost(1.1));
        // A machine that is busy with other things may not make this fail, a scan of all sessions must.
        let most = 1.5 * at(1, 50) + 10.0;
        figures.must("the large world's median, for continuous integration", at(2, 50), "us", Bound::AtMost(most));
        let rooms = at(3, 50) * RATE / 1e6 * 100.0;
        figures.tell(&format!("ticks of {ROOMS} idle rooms"), rooms, "% of a core");
        figures.note("a quarter of the sessions have ports and streams, the media of the others are not handled here");
        Ok(figures)
    }
}

fn time_ns(world: &mut Quiet) -> u64 {
    let began = Instant::now();
    world.tick();
    began.elapsed().as_nanos() as u64
}

/// In microseconds.
fn quantile(sorted_ns: &[Vec<u64>], world: usize, percent: usize) -> f64 {
    let costs = sorted_ns.get(world).map(Vec::as_slice).unwrap_or_default();
    let at = (costs.len() * percent / 100).min(costs.len().saturating_sub(1));
    costs.get(at).copied().unwrap_or(0) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_microseconds() {
        let costs = [(1..=100).map(|n| n * 1_000).collect::<Vec<u64>>()];
        assert_eq!((quantile(&costs, 0, 50), quantile(&costs, 0, 100), quantile(&costs, 7, 50)), (51.0, 100.0, 0.0));
    }
}
