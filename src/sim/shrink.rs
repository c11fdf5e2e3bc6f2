//! Makes a failing run smaller.

use super::run::{Failure, run};
use super::{Scenario, TICK};
use std::collections::BTreeSet;

/// Finds a smaller run in which the same invariant does not hold: less time, fewer agents, fewer faults. `watch` is
/// told of each step, and of how many runs were tried.
pub fn shrink(failure: &Failure, watch: &mut dyn FnMut(&Scenario, u32)) -> Failure {
    let mut smallest = failure.clone();
    let mut tried = 0;
    let mut attempt = |smallest: &mut Failure, scenario: Scenario| {
        tried += 1;
        let fails = run(&scenario, &mut |_| {}).err().filter(|found| found.invariant() == smallest.invariant());
        let shrinks = fails.is_some();
        if let Some(found) = fails {
            *smallest = *found;
            watch(&smallest.scenario, tried);
        }
        shrinks
    };
    // Nothing after the failure matters, unless it is found once all is over.
    let seconds = (smallest.tick * TICK).div_ceil(super::SECOND) as u32 + 1;
    if seconds < smallest.scenario.seconds {
        let shorter = Scenario { seconds, ..smallest.scenario.clone() };
        attempt(&mut smallest, shorter);
    }
    for part in [4, 2] {
        while smallest.scenario.seconds > 2 {
            let less = smallest.scenario.seconds - (smallest.scenario.seconds / part).max(1);
            let shorter = Scenario { seconds: less, ..smallest.scenario.clone() };
            if !attempt(&mut smallest, shorter) {
                break;
            }
        }
    }
    let agents: Vec<u32> = smallest.scenario.participants();
    halve(agents, |without| {
        let only: BTreeSet<u32> =
            smallest.scenario.participants().into_iter().filter(|agent| !without.contains(agent)).collect();
        let fewer = Scenario { only, ..smallest.scenario.clone() };
        !fewer.only.is_empty() && attempt(&mut smallest, fewer)
    });
    let faults: Vec<u32> = smallest.scenario.faults().iter().map(|fault| fault.number).collect();
    halve(faults, |leave_out| {
        let mut without = smallest.scenario.without.clone();
        without.extend(leave_out);
        let calmer = Scenario { without, ..smallest.scenario.clone() };
        attempt(&mut smallest, calmer)
    });
    smallest
}

/// Tries to leave out all, then halves of what could not be left out at once, down to single ones.
fn halve(all: Vec<u32>, mut leaves_out: impl FnMut(&[u32]) -> bool) {
    let mut parts = vec![all];
    while let Some(part) = parts.pop() {
        if part.is_empty() || leaves_out(&part) || part.len() == 1 {
            continue;
        }
        let (first, second) = part.split_at(part.len() / 2);
        parts.push(second.to_vec());
        parts.push(first.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_left_out_is_left_out() {
        let mut left = BTreeSet::from_iter(0..100);
        halve((0..100).collect(), |part| {
            let may = part.iter().all(|number| ![7, 60].contains(number));
            if may {
                left.retain(|number| !part.contains(number));
            }
            may
        });
        assert_eq!(left, BTreeSet::from([7, 60]));
    }
}
