//! Random numbers: every decision of a run is drawn from its seed, and each purpose has dice of its own.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{RngCore, SeedableRng};
use std::ops::RangeInclusive;

/// What dice are thrown for. Leaving out an agent or a fault leaves the throws of all others as they were, which is
/// what makes a failing run shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The settings of the world.
    Settings = 1,
    /// Which faults there are.
    Faults,
    /// What one fault does to one packet or tick; numbered by fault.
    Fault,
    /// What an agent is like; numbered by agent.
    Habits,
    /// What an agent does; numbered by agent.
    Deeds,
    /// The way between an agent and the switch; numbered by agent.
    Link,
    /// What the operator does.
    Operator,
    /// In which order a restored world is spawned.
    Restore,
    /// In which order systems run; numbered by run.
    Order,
    /// When the switch is killed.
    Kills,
    /// At which point a kill stops the switch, or how a fault of the disk acts; numbered by fault.
    Kill,
    /// How the bytes of a connection are cut; numbered by connection.
    Stream,
    /// How the operator relates sessions.
    Relations,
    /// How an agent writes its session descriptions; numbered by agent.
    Layouts,
    /// What hosts that are of no call send.
    Intruders,
}

/// A stream of random numbers: the same for the same seed, purpose and number, on every machine and in every build.
///
/// ```
/// use ringworld::sim::{Dice, Purpose};
///
/// let mut dice = Dice::new(7, Purpose::Deeds, 3);
/// let first: Vec<u64> = (0..4).map(|_| dice.below(6)).collect();
/// let mut again = Dice::new(7, Purpose::Deeds, 3);
/// assert!(first.iter().all(|&eyes| eyes == again.below(6) && eyes < 6));
/// ```
#[derive(Clone, Debug)]
pub struct Dice(Pcg64Mcg);

impl Dice {
    /// The dice of one purpose.
    pub fn new(seed: u64, purpose: Purpose, number: u32) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..12].copy_from_slice(&number.to_le_bytes());
        key[12] = purpose as u8;
        Self(Pcg64Mcg::seed_from_u64(xxhash_rust::xxh3::xxh3_64(&key)))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of a range.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (first, last) = range.into_inner();
        first + self.below(last.saturating_sub(first).saturating_add(1))
    }

    /// Whether something happens that does so `per_mille` times in a thousand.
    pub fn happens(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of several, each as likely as its weight says; the first if all weights are 0.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<T: Clone>(&mut self, choices: &[(T, u64)]) -> T {
        let mut at = self.below(choices.iter().map(|(_, weight)| weight).sum());
        for (choice, weight) in choices {
            if at < *weight {
                return choice.clone();
            }
            at -= weight;
        }
        choices[0].0.clone()
    }

    /// The numbers below `count` in any order.
    pub fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_numbers_have_streams_of_their_own() {
        let first = |purpose, number| Dice::new(1, purpose, number).bits();
        assert_ne!(first(Purpose::Deeds, 1), first(Purpose::Deeds, 2));
        assert_ne!(first(Purpose::Deeds, 1), first(Purpose::Habits, 1));
        assert_ne!(Dice::new(2, Purpose::Deeds, 1).bits(), first(Purpose::Deeds, 1));
    }

    #[test]
    fn weights_and_bounds_are_kept() {
        let mut dice = Dice::new(3, Purpose::Operator, 0);
        assert!((0..500).all(|_| dice.pick(&[('a', 0), ('b', 2), ('c', 0)]) == 'b'));
        assert!((0..500).all(|_| (4..=6).contains(&dice.within(4..=6))));
        let order = dice.shuffled(50);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        assert!((0..50).all(|number| order.contains(&number)));
    }
}
