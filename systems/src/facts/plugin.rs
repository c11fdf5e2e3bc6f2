//! Assembles the delivery of facts.

use super::deliver::{Delivered, clear_facts, deliver_facts, publish_events};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::{Fact, FactQueue, OperationQueue, Queue, WrittenBuffers, merge_written};
use ringworld_components::edge::Event;
use ringworld_components::kernel::{QuietApp, RecordApp, Step, Tick};

/// The queue of facts, and the buffers in which systems write operations.
#[derive(Clone, Copy, Debug, Default)]
pub struct FactsPlugin;

impl Plugin for FactsPlugin {
    fn build(&self, app: &mut App) {
        app.record_resource(FactQueue::default(), "call.facts")
            .record_resource(OperationQueue::default(), "call.operations")
            .scratch::<Queue<Event>>(Queue::is_empty)
            .scratch::<Delivered>(|delivered| !delivered.0)
            .scratch::<WrittenBuffers>(WrittenBuffers::is_empty);
        Fact::register(app);
        app.awake_while(|world| {
            !world.resource::<FactQueue>().is_empty() || !world.resource::<OperationQueue>().0.is_empty()
        });
        app.add_systems(
            Tick,
            (
                deliver_facts.in_set(Step::Deliver),
                (clear_facts, merge_written).chain().in_set(Step::Merge),
                publish_events.in_set(Step::Publish),
                merge_written.in_set(Step::MergeLate),
            ),
        );
    }
}
