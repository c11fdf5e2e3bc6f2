//! The way between one agent and the switch.

use crate::sim::fault::{Fault, Kind};
use crate::sim::{Dice, MS, Purpose};
use std::collections::BTreeMap;

/// What a packet takes at most where nothing is wrong.
pub(crate) const DELAY_MAX: u64 = 40 * MS;

/// What becomes of one copy of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate {
    /// When it arrives.
    pub at: u64,
    /// If it arrives changed: how.
    pub corrupt: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Link {
    /// What every packet takes, each way.
    delay: u64,
    faults: Vec<(Fault, Dice)>,
    /// Which bindings of its NAT are in force.
    pub generation: u16,
    /// Whether the agent has disappeared, and whether its host answers with ICMP.
    pub gone: bool,
    pub refuses: bool,
}

impl Link {
    pub fn new(seed: u64, agent: u32, faults: &[Fault]) -> Self {
        let delay = Dice::new(seed, Purpose::Link, agent).within(MS..=DELAY_MAX);
        let faults = faults
            .iter()
            .filter(|fault| fault.agent == Some(agent))
            .map(|fault| (fault.clone(), Dice::new(seed, Purpose::Fault, fault.number)))
            .collect();
        Self { delay, faults, generation: 1, gone: false, refuses: false }
    }

    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// The copies of a datagram that arrive: none, one or two.
    pub fn fates(&mut self, now: u64, from_agent: bool, struck: &mut BTreeMap<Kind, u64>) -> Vec<Fate> {
        let mut fates = vec![Fate { at: now + self.delay, corrupt: None }];
        for (fault, dice) in self.faults.iter_mut().filter(|(fault, _)| fault.is_on(now)) {
            let happens = match fault.kind {
                Kind::Delay | Kind::Jitter | Kind::Partition => true,
                Kind::CutFromAgent => from_agent,
                Kind::CutToAgent => !from_agent,
                Kind::Loss => dice.happens(fault.part_of(250)),
                Kind::Reorder | Kind::Duplicate => dice.happens(fault.part_of(150)),
                Kind::Corrupt => dice.happens(fault.part_of(60)),
                _ => false,
            };
            if !happens {
                continue;
            }
            *struck.entry(fault.kind).or_default() += 1;
            match fault.kind {
                Kind::Delay => fates.iter_mut().for_each(|fate| fate.at += fault.lag()),
                Kind::Jitter => fates.iter_mut().for_each(|fate| fate.at += dice.below(fault.lag())),
                Kind::Reorder => fates.iter_mut().for_each(|fate| fate.at += dice.within(20 * MS..=fault.lag())),
                Kind::Duplicate => {
                    if let Some(&first) = fates.first() {
                        fates.push(Fate { at: first.at + dice.below(fault.lag()), ..first });
                    }
                }
                Kind::Corrupt => fates.iter_mut().for_each(|fate| fate.corrupt = Some(dice.bits())),
                _ => fates.clear(),
            }
        }
        fates
    }

    /// When a message over a stream arrives: what is lost is sent again by the transport, what is cut waits.
    pub fn stream_fate(&mut self, now: u64, from_agent: bool, struck: &mut BTreeMap<Kind, u64>) -> u64 {
        let mut at = now + self.delay;
        for (fault, dice) in self.faults.iter_mut().filter(|(fault, _)| fault.is_on(now)) {
            let later = match fault.kind {
                Kind::Delay => fault.lag(),
                Kind::Jitter => dice.below(fault.lag()),
                Kind::Loss if dice.happens(fault.part_of(250)) => 200 * MS,
                Kind::Partition => fault.to - now,
                Kind::CutFromAgent if from_agent => fault.to - now,
                Kind::CutToAgent if !from_agent => fault.to - now,
                _ => continue,
            };
            *struck.entry(fault.kind).or_default() += 1;
            at += later;
        }
        at
    }
}
