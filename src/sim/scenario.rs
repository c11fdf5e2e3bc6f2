//! What to run.

use super::fault::{self, Fault, Kind, Level};
use super::{Dice, Purpose, SECOND};
use crate::engine::WorldConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A run: with the same build, the same scenario gives the same run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// Decides everything.
    pub seed: u64,
    /// How many agents there are.
    pub agents: u32,
    /// How long they run before the network heals (all faults end), in seconds.
    pub seconds: u32,
    /// How much goes wrong.
    pub level: Level,
    /// The agents that take part; all if there are none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub only: BTreeSet<u32>,
    /// The numbers of faults that are left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<u32>,
    /// How many threads run the systems of a tick; nothing may depend on it.
    pub world_threads: usize,
    /// Which legal order the systems of a tick run in; the stock order if none.
    pub order: Option<u64>,
}

impl Scenario {
    /// What continuous integration runs: 20 agents for a minute.
    pub fn of_seed(seed: u64) -> Self {
        Self {
            seed,
            agents: 20,
            seconds: 60,
            level: Level::Light,
            only: BTreeSet::new(),
            without: BTreeSet::new(),
            world_threads: 1,
            order: None,
        }
    }

    /// How long the agents live, in nanoseconds.
    pub(super) fn length(&self) -> u64 {
        u64::from(self.seconds) * SECOND
    }

    /// Whether an agent takes part.
    pub(super) fn has(&self, agent: u32) -> bool {
        self.only.is_empty() || self.only.contains(&agent)
    }

    /// The agents that take part.
    pub fn participants(&self) -> Vec<u32> {
        (0..self.agents).filter(|agent| self.has(*agent)).collect()
    }

    /// The faults of the run, without those that are left out or that would strike no agent of it.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = fault::draw(self.seed, self.level, self.agents, self.length_drawn());
        faults.retain(|fault| !self.without.contains(&fault.number));
        faults.retain(|fault| fault.agent.is_none_or(|agent| self.has(agent)));
        faults
    }

    /// Faults are drawn for whole minutes, so that a shorter run has the first ones of the longer.
    fn length_drawn(&self) -> u64 {
        u64::from(self.seconds.next_multiple_of(60)) * SECOND
    }

    /// The world of the run.
    pub(super) fn world(&self, faults: &[Fault]) -> WorldConfig {
        let dice = &mut Dice::new(self.seed, Purpose::Settings, 0);
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&self.seed.to_le_bytes());
        let mut config = WorldConfig { secret, ..WorldConfig::default() };
        let timers = &mut config.settings.timers;
        timers.ringing_s = dice.pick(&[(4, 1), (20, 2)]);
        timers.deferral_s = 10;
        timers.call_s = dice.pick(&[(12, 1), (90, 3)]);
        timers.rtp_silence_s = dice.pick(&[(0, 3), (10, 1)]);
        config.settings.services.ask_handler = dice.happens(250);
        let agents = u64::from(self.agents);
        config.settings.resources.bandwidth_kbit_s = dice.pick(&[(0, 3), (80 * agents, 1)]);
        config.settings.limits.sessions_per_user = dice.pick(&[(0, 3), (2, 1)]);
        config.settings.timers.rtp_pause_s = dice.pick(&[(0, 1), (1, 2), (5, 2)]);
        let limits = &mut config.settings.limits;
        for fault in faults {
            // The worse, the fewer; never none.
            let few = |of: u64| u32::try_from(1 + of - fault.part_of(of)).unwrap_or(u32::MAX);
            match fault.kind {
                Kind::FewSessions => limits.sessions = few(agents),
                Kind::FewTransactions => limits.transactions = few(agents * 8),
                Kind::FewDialogs => limits.dialogs = few(agents),
                Kind::FewRooms => (limits.rooms, limits.participants) = (few(agents / 5), few(5)),
                Kind::SmallPool => config.pool_share = few(16) as usize,
                _ => {}
            }
        }
        config
    }

    /// RTP port pairs of the switch.
    pub(super) fn ports(&self, faults: &[Fault]) -> u16 {
        let many = u64::from(self.agents) * 3 + 20;
        let few = faults.iter().find(|fault| fault.kind == Kind::FewPorts);
        let pairs = few.map_or(many, |fault| 2 + u64::from(self.agents) * (1000 - fault.strength) / 1000);
        u16::try_from(pairs.min(25_000)).unwrap_or(u16::MAX)
    }

    /// The room in the rings.
    pub(super) fn ring_room(&self, faults: &[Fault]) -> usize {
        let short = faults.iter().find(|fault| fault.kind == Kind::ShortRings);
        short.map_or(8192, |fault| 4 + (1000 - fault.strength) as usize / 20)
    }
}

/// The command that runs it.
impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &BTreeSet<u32>| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        write!(f, "ringworld sim --seed {} --agents {}", self.seed, self.agents)?;
        match self.seconds % 60 {
            0 => write!(f, " --minutes {}", self.seconds / 60)?,
            _ => write!(f, " --seconds {}", self.seconds)?,
        }
        write!(f, " --faults {}", format!("{:?}", self.level).to_lowercase())?;
        if !self.only.is_empty() {
            write!(f, " --only {}", list(&self.only))?;
        }
        if !self.without.is_empty() {
            write!(f, " --without {}", list(&self.without))?;
        }
        if self.world_threads != 1 {
            write!(f, " --world-threads {}", self.world_threads)?;
        }
        if let Some(order) = self.order {
            write!(f, " --order {order}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_all_that_differs() {
        let scenario = Scenario { only: [3, 5].into(), without: [9].into(), ..Scenario::of_seed(7) };
        let command = "ringworld sim --seed 7 --agents 20 --minutes 1 --faults light --only 3,5 --without 9";
        assert_eq!(scenario.to_string(), command);
        let shorter = Scenario { seconds: 17, order: Some(2), ..Scenario::of_seed(7) };
        assert_eq!(shorter.to_string(), "ringworld sim --seed 7 --agents 20 --seconds 17 --faults light --order 2");
    }

    #[test]
    fn leaving_out_agents_and_time_keeps_the_other_faults() {
        let whole = Scenario { level: Level::Heavy, ..Scenario::of_seed(3) };
        let part = Scenario { only: [1, 2].into(), seconds: 20, ..whole.clone() };
        let all = whole.faults();
        assert!(part.faults().iter().all(|fault| all.contains(fault)));
        assert!(part.faults().len() < all.len());
    }
}
