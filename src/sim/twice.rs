//! Compares runs of one seed: nothing but the seed may decide.

use super::invariants::{Breach, Invariant};
use super::run::{Failure, Trace, traced};
use super::{Exercised, Scenario};

/// How many shuffled orders are compared with the stock one.
const ORDERS: u64 = 3;

/// Runs the scenario twice, and then with the systems of a tick in other legal orders, and compares every digest.
pub fn twice(scenario: &Scenario) -> Result<Exercised, Box<Failure>> {
    let (result, first) = traced(scenario);
    let exercised = result?;
    let orders = (0..=ORDERS).map(|order| order.checked_sub(1).map(|order| scenario.seed.wrapping_mul(64) + order));
    for order in orders {
        let again = Scenario { order: order.or(scenario.order), ..scenario.clone() };
        let (result, second) = traced(&again);
        result?;
        if let Some((tick, what)) = differs(&first, &second) {
            let breach = Breach::new(Invariant::SameAgain, what, []);
            return Err(Box::new(Failure { scenario: again, tick, breaches: vec![breach], faults: Vec::new() }));
        }
    }
    Ok(exercised)
}

/// The first tick in which two runs differ, and in what.
fn differs(first: &Trace, second: &Trace) -> Option<(u64, String)> {
    let chains = first.chain.iter().zip(&second.chain).find(|(one, other)| one != other);
    if let Some(((tick, one), (_, other))) = chains {
        let what = if one.control == other.control { "packets" } else { "signalling" };
        return Some((*tick, format!("another run of this seed put out other {what}")));
    }
    let worlds = first.worlds.iter().zip(&second.worlds).find(|(one, other)| one != other);
    if let Some(((tick, _), _)) = worlds {
        return Some((*tick, "another run of this seed has another world".to_owned()));
    }
    let ticks = (first.chain.len(), second.chain.len());
    (ticks.0 != ticks.1).then(|| (0, format!("one run had {} ticks, another {}", ticks.0, ticks.1)))
}
