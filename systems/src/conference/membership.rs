//! Rooms end with their last participant.

use bevy_ecs::prelude::*;
use ringworld_components::media::{Participants, Room, RoomState, Vacated};
use ringworld_components::planted;

/// Looks at rooms that a participant left in this tick, and at no others.
pub(super) fn close_empty_rooms(world: &mut World) {
    for room in std::mem::take(&mut world.resource_mut::<Vacated>().0) {
        let is_empty = world.get::<Participants>(room).is_none_or(|participants| participants.is_empty());
        if is_empty
            && !planted!(RoomOutlives)
            && let Some(mut state) = world.get_mut::<Room>(room)
        {
            state.state = RoomState::Terminated;
            world.despawn(room);
        }
    }
}
