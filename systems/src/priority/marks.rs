//! The network is told how the packets of a call are to be marked.

use bevy_ecs::prelude::*;
use ringworld_components::call::{Priority, QosClass, StreamOf};
use ringworld_components::media::{PortPool, Stream, StreamTable};

/// Marks each port that was taken in this tick for a call whose class is not voice.
pub(super) fn mark_ports(
    mut pool: ResMut<PortPool>,
    table: Res<StreamTable>,
    streams: Query<&StreamOf>,
    priorities: Query<&Priority>,
) {
    let class = |port: u16| {
        let session = streams.get(table.find(port)?).ok()?;
        priorities.get(session.0).ok().map(|priority| priority.class)
    };
    let ports: Vec<(u16, QosClass)> = pool.taken().iter().filter_map(|&port| Some((port, class(port)?))).collect();
    mark(&mut pool, ports);
}

/// Marks the ports of all calls whose class is not voice, in the order of the ports: the network
/// threads do not know it after a restart.
pub fn mark_all_ports(world: &mut World) {
    let mut streams = world.query::<(Entity, &Stream)>();
    let mut ports: Vec<(u16, QosClass)> =
        streams.iter(world).map(|(entity, stream)| (stream.port, class_of(world, entity))).collect();
    ports.sort_unstable();
    mark(&mut world.resource_mut::<PortPool>(), ports);
}

fn mark(pool: &mut PortPool, ports: Vec<(u16, QosClass)>) {
    for (port, class) in ports.into_iter().filter(|(_, class)| *class != QosClass::default()) {
        pool.mark(port, class);
    }
}

/// The class of the session that a stream belongs to.
fn class_of(world: &World, stream: Entity) -> QosClass {
    let priority = world.get::<StreamOf>(stream).and_then(|of| world.get::<Priority>(of.0));
    priority.map(|priority| priority.class).unwrap_or_default()
}
