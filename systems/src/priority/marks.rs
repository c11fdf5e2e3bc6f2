//! The network is told how the packets of a call are to be marked.

use bevy_ecs::prelude::*;
use ringworld_components::call::{Priority, QosClass, Queue, StreamOf};
use ringworld_components::edge::Output;
use ringworld_components::media::{PortPool, Stream, StreamTable};

/// Tells the class of each port that was taken in this tick, if it is not voice.
pub(super) fn mark_ports(world: &mut World) {
    let taken = world.resource::<PortPool>().taken();
    if taken.is_empty() {
        return;
    }
    let table = world.resource::<StreamTable>();
    let class = |port: u16| table.find(port).map(|stream| class_of(world, stream)).unwrap_or_default();
    let marked: Vec<Output> = taken
        .iter()
        .map(|&port| (port, class(port)))
        .filter(|(_, class)| *class != QosClass::default())
        .map(|(port, class)| Output::PortMarked(port, class))
        .collect();
    world.resource_mut::<Queue<Output>>().0.extend(marked);
}

/// What the network must be told about the ports of all calls when it begins anew, in the order of the ports: those whose
/// class is not voice.
pub fn marks_of_calls(world: &mut World) -> Vec<Output> {
    let mut streams = world.query::<(Entity, &Stream)>();
    let mut ports: Vec<(u16, QosClass)> =
        streams.iter(world).map(|(entity, stream)| (stream.port, class_of(world, entity))).collect();
    ports.retain(|(_, class)| *class != QosClass::default());
    ports.sort_unstable();
    ports.into_iter().map(|(port, class)| Output::PortMarked(port, class)).collect()
}

/// The class of the session that a stream belongs to.
fn class_of(world: &World, stream: Entity) -> QosClass {
    let priority = world.get::<StreamOf>(stream).and_then(|of| world.get::<Priority>(of.0));
    priority.map(|priority| priority.class).unwrap_or_default()
}
