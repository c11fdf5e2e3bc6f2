//! The clock of the tick thread: on time, late, or giving ticks up.

use crate::sim::fault::{Fault, Kind};
use crate::sim::{Dice, Purpose, TICK};

/// Ticks that are skipped at most when nothing happens, as live.
const QUIET_TICKS_MAX: u64 = 40;

/// The simulated time, and how far the world is behind it.
pub(super) struct Clock {
    /// Nanoseconds since the run began; always at a tick.
    pub now: u64,
    /// Ticks that the world has not run yet.
    owed: u64,
    stalled_until: u64,
    faults: Vec<(Fault, Dice)>,
    /// How often ticks were late, and how often some were given up.
    pub late: u64,
    pub skipped: u64,
}

impl Clock {
    pub fn new(seed: u64, faults: &[Fault]) -> Self {
        let faults = faults
            .iter()
            .filter(|fault| matches!(fault.kind, Kind::LateTicks | Kind::SkippedTicks))
            .map(|fault| (fault.clone(), Dice::new(seed, Purpose::Fault, fault.number)))
            .collect();
        Self { now: 0, owed: 0, stalled_until: 0, faults, late: 0, skipped: 0 }
    }

    /// On time from now on.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// Goes on to the tick at or after `due`, at least by one and not by more than may be skipped. With something
    /// waiting in the rings, by one.
    pub fn advance(&mut self, due: u64, is_empty: bool) {
        let ticks = due.div_ceil(TICK).saturating_sub(self.now / TICK);
        let ticks = if is_empty { ticks.clamp(1, QUIET_TICKS_MAX) } else { 1 };
        self.now += ticks * TICK;
        self.owed += ticks;
        if self.now < self.stalled_until {
            return;
        }
        for (fault, dice) in self.faults.iter_mut().filter(|(fault, _)| fault.is_on(self.now)) {
            let (often, count) = match fault.kind {
                Kind::LateTicks => (30, &mut self.late),
                _ => (4, &mut self.skipped),
            };
            if dice.happens(often) {
                *count += 1;
                self.stalled_until = self.now + (1 + dice.below(fault.lag() / TICK)) * TICK;
            }
        }
    }

    /// The world begins again and has not run so many ticks.
    pub fn owe(&mut self, ticks: u64) {
        self.owed = ticks;
    }

    /// By how many ticks the world advances now, if it does.
    pub fn elapsed(&mut self, quiet: bool) -> Option<u32> {
        let waits = quiet && self.owed < QUIET_TICKS_MAX;
        if waits || self.now < self.stalled_until || self.owed == 0 {
            return None;
        }
        u32::try_from(std::mem::take(&mut self.owed)).ok()
    }
}
