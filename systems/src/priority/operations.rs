//! Priorities are set by operations.

use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallErrorCause, FactQueue, Priority, PriorityChanged, PriorityLevel, PrioritySource, QosClass, Session, Streams,
};
use ringworld_components::edge::Operation;
use ringworld_components::kernel::{StableId, StableIds};
use ringworld_components::media::{PortPool, Stream};

pub(super) fn carry_out(world: &mut World, operation: &Operation) -> Option<Result<StableId, CallErrorCause>> {
    let Operation::SetPriority { session, level, class } = operation else { return None };
    let found = world.resource::<StableIds>().find(*session);
    let entity = found.filter(|&it| world.get::<Session>(it).is_some_and(|session| !session.state().is_over()));
    Some(match entity {
        Some(entity) => {
            set(world, entity, *level, *class);
            Ok(*session)
        }
        None => Err(CallErrorCause::NoSuchSession),
    })
}

fn set(world: &mut World, session: Entity, level: PriorityLevel, class: QosClass) {
    let before = world.get::<Priority>(session).copied().unwrap_or_default();
    let priority = Priority { level, class, source: PrioritySource::Operation };
    world.entity_mut(session).insert(priority);
    let id = world.get::<StableId>(session).copied().unwrap_or(StableId(0));
    world.resource_mut::<FactQueue>().raise(PriorityChanged::of(id, session, priority));
    if before.class != class {
        let mut ports = ports_of(world, session);
        ports.sort_unstable();
        let mut pool = world.resource_mut::<PortPool>();
        ports.into_iter().for_each(|port| pool.mark(port, class));
    }
}

fn ports_of(world: &World, session: Entity) -> Vec<u16> {
    let streams = world.get::<Streams>(session).into_iter().flat_map(|streams| streams.iter());
    streams.filter_map(|stream| world.get::<Stream>(stream)).map(|stream| stream.port).collect()
}
