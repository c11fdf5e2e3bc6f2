//! Any legal order of the systems of a tick, each as likely as chance has it.
//!
//! The shuffle that comes with bevy_ecs permutes the nodes of the graph before a depth-first sort, which leaves two
//! neighbours of a late phase in the same order for most seeds. This one draws every next system from those that are
//! free to run, and makes a chain of them.

use bevy_ecs::schedule::graph::{DiGraph, Direction};
use bevy_ecs::schedule::{
    FlattenedDependencies, NodeId, Schedule, ScheduleBuildError, ScheduleBuildPass, ScheduleGraph, SystemKey,
    SystemSetKey,
};
use bevy_ecs::world::World;
use bevy_platform::hash::FixedHasher;
use indexmap::IndexSet;
use ringworld::replay::ReplayOptions;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Plays with the systems in the order that the seed decides.
pub fn shuffled(seed: u64) -> ReplayOptions {
    let edit_schedule = Arc::new(move |schedule: &mut Schedule| {
        schedule.add_build_pass(AnyOrder { seed });
    });
    ReplayOptions { edit_schedule, ..Default::default() }
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
        let order = draw(dependencies.graph(), self.seed);
        for pair in order.windows(2) {
            dependencies.add_edge(pair[0], pair[1]);
        }
        Ok(())
    }
}

fn draw(graph: &DiGraph<SystemKey>, seed: u64) -> Vec<SystemKey> {
    let mut waits_for: BTreeMap<SystemKey, usize> =
        graph.nodes().map(|node| (node, graph.neighbors_directed(node, Direction::Incoming).count())).collect();
    let mut free: Vec<SystemKey> = waits_for.iter().filter(|(_, count)| **count == 0).map(|(node, _)| *node).collect();
    let mut order = Vec::new();
    let mut state = seed.wrapping_add(1);
    while !free.is_empty() {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let next = free.swap_remove((state >> 33) as usize % free.len());
        order.push(next);
        for later in graph.neighbors(next) {
            let count = waits_for.get_mut(&later).expect("a node of the graph");
            *count -= 1;
            if *count == 0 {
                free.push(later);
            }
        }
    }
    assert_eq!(order.len(), graph.node_count(), "the graph has a cycle");
    order
}
