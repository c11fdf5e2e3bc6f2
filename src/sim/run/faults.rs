//! Faults that happen once, at their time.

use super::Run;
use crate::engine::Engine;
use crate::sim::fault::{Fault, Kind};
use crate::sim::invariants::{Breach, Invariant};
use crate::sim::{Dice, Purpose, SECOND};
use ringworld_components::edge::{Command, Input, Operation};

/// Those of the list, the first one last.
pub(super) fn instants(faults: &[Fault]) -> Vec<Fault> {
    use Kind::{Drain, Kill, Rebind, Reset, Restore, Vanish};
    let is_instant = |fault: &&Fault| matches!(fault.kind, Rebind | Reset | Vanish | Drain | Restore | Kill(_));
    let mut instants: Vec<Fault> = faults.iter().filter(is_instant).cloned().collect();
    instants.sort_by_key(|fault| std::cmp::Reverse((fault.from, fault.number)));
    instants
}

impl Run {
    /// Lets those strike whose time has come.
    pub(super) fn strike(&mut self, now: u64) {
        while let Some(fault) = self.instants.pop_if(|fault| fault.from <= now) {
            let agent = fault.agent.unwrap_or_default();
            match fault.kind {
                Kind::Rebind => self.network.rebind(agent),
                Kind::Reset => self.network.reset(now, agent, fault.strength.is_multiple_of(2)),
                Kind::Vanish => {
                    self.network.vanish(now, agent, fault.strength.is_multiple_of(2));
                    self.network.strike(Kind::Vanish);
                    if let Some(agent) = self.desk.agents.get_mut(agent as usize) {
                        agent.vanish();
                    }
                }
                // Drained early, the switch would do little in the rest of the run.
                Kind::Drain if now * 2 > self.scenario.length() && self.down.is_none() => {
                    self.network.strike(Kind::Drain);
                    self.rings.push(Input::Command(Command { number: 0, operation: Operation::Drain }));
                }
                Kind::Restore if self.down.is_none() => self.restore(fault.number),
                Kind::Kill(death) => self.begin_to_die(&fault, death),
                _ => {}
            }
        }
    }

    /// Encodes the world, drops it, and goes on with another one that was restored from the bytes.
    fn restore(&mut self, number: u32) {
        let (bytes, digest, chain) = (self.engine.snapshot(), self.engine.digest(), self.engine.chain());
        let extend = self.extend.clone();
        let mut restored = Engine::with_plugins(&self.config, |plugins| extend(plugins));
        let seed = self.scenario.seed;
        let order = move |count: usize| Dice::new(seed, Purpose::Restore, number).shuffled(count);
        let result = restored.restore(&bytes, Some(&order));
        restored.resume_chain(chain);
        let after = restored.digest();
        let what = match result {
            Err(error) => Some(format!("it can't be restored: {error}")),
            Ok(()) if after != digest => Some(format!("digest {after:x?} where {digest:x?} was encoded")),
            Ok(()) if restored.next_due() > self.engine.next_due() => {
                Some("a timer would be slept through after it was restored".to_owned())
            }
            Ok(()) => None,
        };
        self.watchers.breaches.extend(what.map(|what| Breach::new(Invariant::RestoredIsSame, what, [])));
        self.engine = restored;
        self.network.strike(Kind::Restore);
    }

    /// Whether nothing disturbs an agent about now.
    pub(super) fn is_calm(&self, now: u64, agent: u32) -> bool {
        self.is_calm_but_for(now, agent, |kind| matches!(kind, Kind::Restore | Kind::FullDisk))
    }

    /// Whether nothing disturbs the audio of an agent about now. Low limits disturb only what begins.
    pub(super) fn is_audio_calm(&self, now: u64, agent: u32) -> bool {
        use Kind::{Drain, FewDialogs, FewPorts, FewRooms, FewSessions, FewTransactions, FullDisk, Reset, Restore};
        let few = |kind| matches!(kind, FewDialogs | FewPorts | FewRooms | FewSessions | FewTransactions);
        self.is_calm_but_for(now, agent, |kind| few(kind) || matches!(kind, Drain | FullDisk | Reset | Restore))
    }

    fn is_calm_but_for(&self, now: u64, agent: u32, harmless: impl Fn(Kind) -> bool) -> bool {
        let near = |fault: &Fault| fault.from < now + 2 * SECOND && fault.to.saturating_add(2 * SECOND) > now;
        let concerns = |fault: &Fault| fault.agent.is_none_or(|struck| struck == agent);
        !self.faults.iter().any(|fault| concerns(fault) && near(fault) && !harmless(fault.kind))
    }
}
