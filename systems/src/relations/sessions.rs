//! What all relations ask about sessions.

use bevy_ecs::prelude::*;
use ringworld_components::call::Session;
use ringworld_components::kernel::{StableId, StableIds};

/// The session of that id, if it has not ended and is not ending.
pub(super) fn living(world: &World, id: StableId) -> Option<Entity> {
    world.resource::<StableIds>().find(id).filter(|&session| is_living(world, session))
}

/// Whether it is a session that has not ended and is not ending.
pub(super) fn is_living(world: &World, session: Entity) -> bool {
    world.get::<Session>(session).is_some_and(|session| !session.state().is_over())
}

/// The stable id of an entity; 0 if it has none.
pub(super) fn id_of(world: &World, entity: Entity) -> StableId {
    world.get::<StableId>(entity).copied().unwrap_or(StableId(0))
}

/// Sorted by stable id: the order of a relationship's target is not recorded.
pub(super) fn in_order(world: &World, entities: impl IntoIterator<Item = Entity>) -> Vec<Entity> {
    let mut sorted: Vec<(StableId, Entity)> =
        entities.into_iter().map(|entity| (id_of(world, entity), entity)).collect();
    sorted.sort_unstable();
    sorted.into_iter().map(|(_, entity)| entity).collect()
}
