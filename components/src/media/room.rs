//! Conference rooms and their participants.

use super::SpeechActivity;
use crate::call::LimitSettings;
use crate::kernel::{Now, StableIds, Table};
use crate::record::Record;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;

/// A room: created by its first participant, removed with the last.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
#[component(on_add = index, on_remove = forget)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: RoomState,
    /// When it was created.
    pub created: Now,
    /// In which of the four ticks of a 20 ms frame it is mixed.
    pub phase: u8,
}

/// The states of a room.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoomState {
    /// It exists and has no participant yet.
    Creating,
    /// It has participants.
    Active,
    /// The last participant has left.
    Terminating,
    /// It is about to be despawned.
    Terminated,
}

/// One voice in a room. Goes when its stream goes.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
#[component(on_remove = vacate)]
pub struct Participant {
    /// The room.
    pub room: Entity,
    /// The stream that is heard and that hears.
    pub stream: Entity,
    /// When it joined.
    pub joined: Now,
}

/// A participant is in a room.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = Participants)]
pub struct ParticipantOf(pub Entity);

/// The participants of a room. They do not go with it: a room ends when they have left.
#[derive(Component, Debug)]
#[relationship_target(relationship = ParticipantOf)]
pub struct Participants(Vec<Entity>);

/// Rooms whose last participant may just have left; looked at in `Phase::Cleanup` of the same tick.
#[derive(Resource, Debug, Default)]
pub struct Vacated(pub Vec<Entity>);

/// Finds rooms by name. Follows from the components by hooks.
#[derive(Resource, Default, Debug)]
pub struct RoomTable {
    by_name: Table<String, Entity>,
    in_phase: [u32; 4],
}

impl RoomTable {
    /// The room of that name.
    pub fn find(&self, name: &str) -> Option<Entity> {
        self.by_name.get(&name.to_owned()).copied()
    }

    /// The room whose name comes first.
    #[cfg(feature = "planted-faults")]
    fn first(&self) -> Option<Entity> {
        self.by_name.sorted().first().map(|(_, room)| **room)
    }

    /// The phase with the fewest rooms.
    pub fn calmest_phase(&self) -> u8 {
        (0..4).min_by_key(|&phase| self.in_phase[usize::from(phase)]).unwrap_or(0)
    }

    /// How many rooms there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

/// Why a stream can't enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomFull {
    /// The room has as many participants as it may.
    Participants,
    /// There are as many rooms as there may be.
    Rooms,
}

impl Room {
    /// Lets a stream into the room of that name, which is made if it is not there, and returns the room.
    pub fn enter(world: &mut World, name: &str, stream: Entity, limits: &LimitSettings) -> Result<Entity, RoomFull> {
        if limits.participants == 0 {
            return Err(RoomFull::Participants);
        }
        let now = *world.resource::<Now>();
        let table = world.resource::<RoomTable>();
        let room = match crate::planted!(WrongRoom ? table.first(), table.find(name)) {
            Some(room) => room,
            None => {
                if table.len() >= limits.rooms as usize {
                    return Err(RoomFull::Rooms);
                }
                let phase = table.calmest_phase();
                let id = world.resource_mut::<StableIds>().mint();
                let room = Room { name: name.to_owned(), state: RoomState::Creating, created: now, phase };
                world.spawn((id, room)).id()
            }
        };
        let inside = world.get::<Participants>(room).map_or(0, |participants| participants.len());
        if inside >= limits.participants as usize {
            return Err(RoomFull::Participants);
        }
        let id = world.resource_mut::<StableIds>().mint();
        let participant = Participant { room, stream, joined: now };
        world.spawn((id, participant, SpeechActivity::default(), ParticipantOf(room), VoiceOf(stream)));
        if let Some(mut room) = world.get_mut::<Room>(room) {
            room.state = RoomState::Active;
        }
        Ok(room)
    }
}

/// A participant belongs to a stream, and goes when it goes.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = Voice)]
pub struct VoiceOf(pub Entity);

/// The participant that a stream is.
#[derive(Component, Debug)]
#[relationship_target(relationship = VoiceOf, linked_spawn)]
pub struct Voice(Vec<Entity>);

fn index(mut world: DeferredWorld, context: HookContext) {
    let room = world.get::<Room>(context.entity).map(|room| (room.name.clone(), room.phase));
    if let (Some((name, phase)), Some(mut table)) = (room, world.get_resource_mut::<RoomTable>()) {
        table.by_name.insert(name, context.entity);
        table.in_phase[usize::from(phase & 3)] += 1;
    }
}

fn forget(mut world: DeferredWorld, context: HookContext) {
    let room = world.get::<Room>(context.entity).map(|room| (room.name.clone(), room.phase));
    if let (Some((name, phase)), Some(mut table)) = (room, world.get_resource_mut::<RoomTable>()) {
        table.by_name.remove(&name);
        let rooms = &mut table.in_phase[usize::from(phase & 3)];
        *rooms = rooms.saturating_sub(1);
    }
}

fn vacate(mut world: DeferredWorld, context: HookContext) {
    let room = world.get::<Participant>(context.entity).map(|participant| participant.room);
    if let (Some(room), Some(mut vacated)) = (room, world.get_resource_mut::<Vacated>()) {
        vacated.0.push(room);
    }
}
