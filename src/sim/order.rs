//! Any legal order of the systems of a tick, drawn at random.
//!
//! The shuffle that comes with bevy_ecs permutes the nodes of the graph before a depth-first sort, which leaves two
//! neighbours of a late phase in the same order for most seeds. This one draws every next system from those that are
//! free to run, and makes a chain of them.

use super::{Dice, Purpose};
use bevy_ecs::schedule::graph::{DiGraph, Direction};
use bevy_ecs::schedule::{
    FlattenedDependencies, NodeId, Schedule, ScheduleBuildError, ScheduleBuildPass, ScheduleGraph, SystemKey,
    SystemSetKey,
};
use bevy_ecs::world::World;
use bevy_platform::hash::FixedHasher;
use indexmap::IndexSet;
use std::collections::BTreeMap;

/// Lets the systems of a schedule run in the legal order that the seed decides.
pub fn shuffle_systems(schedule: &mut Schedule, seed: u64) {
    schedule.add_build_pass(AnyOrder { seed });
}

#[derive(Debug)]
struct AnyOrder {
    seed: u64,
}

impl ScheduleBuildPass for AnyOrder {
    type EdgeOptions = ();

    fn add_dependency(&mut self, _: NodeId, _: NodeId, _: Option<&()>) {}

    fn collapse_set(
        &mut self,
        _: SystemSetKey,
        _: &IndexSet<SystemKey, FixedHasher>,
        _: &DiGraph<NodeId>,
    ) -> impl Iterator<Item = (NodeId, NodeId)> {
        std::iter::empty()
    }

    fn build(
        &mut self,
        _: &mut World,
        _: &mut ScheduleGraph,
        mut dependencies: FlattenedDependencies<'_>,
    ) -> Result<(), ScheduleBuildError> {
        let order = draw(dependencies.graph(), &mut Dice::new(self.seed, Purpose::Order, 0));
        for (one, next) in order.iter().zip(order.iter().skip(1)) {
            dependencies.add_edge(*one, *next);
        }
        Ok(())
    }
}

fn draw(graph: &DiGraph<SystemKey>, dice: &mut Dice) -> Vec<SystemKey> {
    let mut waits_for: BTreeMap<SystemKey, usize> =
        graph.nodes().map(|node| (node, graph.neighbors_directed(node, Direction::Incoming).count())).collect();
    let mut free: Vec<SystemKey> = waits_for.iter().filter(|(_, count)| **count == 0).map(|(node, _)| *node).collect();
    let mut order = Vec::new();
    while !free.is_empty() {
        let next = free.swap_remove(dice.below(free.len() as u64) as usize);
        order.push(next);
        for later in graph.neighbors(next) {
            if let Some(count) = waits_for.get_mut(&later) {
                *count -= 1;
                if *count == 0 {
                    free.push(later);
                }
            }
        }
    }
    order
}
