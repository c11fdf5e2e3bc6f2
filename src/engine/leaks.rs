//! Entities that have outlived their purpose: no system will ever remove them.

use super::Engine;
use bevy_ecs::archetype::ArchetypeId;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    ALeg, BLeg, Group, InviteUsageOf, Members, Membership, Sequence, Session, SessionState, StreamOf,
};
use ringworld_components::kernel::{Now, StableId, TimerWheel};
use ringworld_components::media::{Participant, Participants, Room, Stream};
use ringworld_components::sip::{
    Dialog, InviteUsage, Lifetime, ResponseWait, Retransmit, Subscription, SubscriptionExpiry, Transaction, UsageOf,
    Usages,
};
use std::fmt;
use std::time::Duration;

/// A session in `Terminating` waits for one transaction, or for a CANCEL's and then for its INVITE's; some more for
/// ticks.
pub(crate) const ENDING_MAX: Duration = Duration::from_secs(100);

/// How long a session that is over stays so that others can read it: a tick, and some more where ticks come late.
const OVER_MAX: Duration = Duration::from_secs(1);

/// An entity that has leaked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Its name.
    pub id: StableId,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.what)
    }
}

impl Engine {
    /// All entities that have leaked, in the order of their ids. Looks at every entity: for the end of a world, for
    /// tests and for a look back.
    ///
    /// ```
    /// use ringworld::engine::{Engine, WorldConfig};
    ///
    /// assert!(Engine::new(&WorldConfig::default()).leaks().is_empty());
    /// ```
    pub fn leaks(&self) -> Vec<Leak> {
        let world = self.world();
        let mut leaks: Vec<Leak> = world.iter_entities().filter_map(|entity| leak(world, entity.id())).collect();
        leaks.sort_unstable_by_key(|leak| leak.id);
        leaks
    }
}

/// Iterates over all entities, a few at a time, so that a running world can afford it.
#[derive(Debug, Default)]
pub(super) struct Patrol {
    archetype: usize,
    row: usize,
}

impl Patrol {
    /// Looks at the next entities, at most so many; the first of them that has leaked ends the look.
    pub fn look(&mut self, engine: &Engine, most: usize) -> Option<Leak> {
        let world = engine.world();
        let mut left = most;
        // Each archetype once at most: in a small world there are fewer entities than may be looked at.
        for _ in 0..world.archetypes().len() {
            let archetype = world.archetypes().get(ArchetypeId::new(self.archetype));
            let Some(archetype) = archetype else {
                self.archetype = 0;
                continue;
            };
            for entity in archetype.entities().iter().skip(self.row).take(left) {
                (self.row, left) = (self.row + 1, left - 1);
                if let Some(leak) = leak(world, entity.id()) {
                    return Some(leak);
                }
            }
            if left == 0 {
                return None;
            }
            (self.archetype, self.row) = (self.archetype + 1, 0);
        }
        None
    }
}

fn leak(world: &World, entity: Entity) -> Option<Leak> {
    let what = session(world, entity)
        .or_else(|| owned(world, entity))
        .or_else(|| conference(world, entity))
        .or_else(|| relation(world, entity))
        .or_else(|| transaction(world, entity))?;
    Some(Leak { id: *world.get(entity)?, what })
}

fn session(world: &World, entity: Entity) -> Option<&'static str> {
    let session = world.get::<Session>(entity)?;
    let waited = world.resource::<Now>().since(session.since());
    match session.state() {
        SessionState::Terminated if waited > OVER_MAX => Some("a session that is over, and stays"),
        SessionState::Terminating if waited > ENDING_MAX => Some("a session that does not come to its end"),
        _ => None,
    }
}

/// A dialog ends with its last usage, an INVITE usage and a stream with their session, a subscription with its timer.
fn owned(world: &World, entity: Entity) -> Option<&'static str> {
    if world.get::<Dialog>(entity).is_some() {
        let has_usage = world.get::<Usages>(entity).is_some_and(|usages| !usages.is_empty());
        return (!has_usage).then_some("a dialog without a usage");
    }
    let has_dialog = || world.get::<UsageOf>(entity).is_some_and(|of| world.get::<Dialog>(of.0).is_some());
    if world.get::<InviteUsage>(entity).is_some() {
        let session = world.get::<InviteUsageOf>(entity).and_then(|of| world.get::<Session>(of.0));
        return match (session, has_dialog()) {
            (None, _) => Some("an INVITE usage without a session"),
            (Some(_), false) => Some("an INVITE usage without a dialog"),
            (Some(_), true) => None,
        };
    }
    if world.get::<Subscription>(entity).is_some() {
        return match (has_dialog(), runs::<SubscriptionExpiry>(world, entity)) {
            (false, _) => Some("a subscription without a dialog"),
            (true, false) => Some("a subscription that does not expire"),
            (true, true) => None,
        };
    }
    world.get::<Stream>(entity)?;
    match world.get::<StreamOf>(entity).and_then(|of| world.get::<Session>(of.0)) {
        None => Some("a stream without a session"),
        Some(session) => session.state().is_over().then_some("a stream of a session that is over"),
    }
}

/// What relates sessions.
fn relation(world: &World, entity: Entity) -> Option<&'static str> {
    let is_gone = |session: Entity| world.get::<Session>(session).is_none();
    if let Some(membership) = world.get::<Membership>(entity) {
        let is_whole = world.get::<Group>(membership.group).is_some() && !is_gone(membership.session);
        return (!is_whole).then_some("a membership without a group or a session");
    }
    if world.get::<Group>(entity).is_some() {
        let has_members = world.get::<Members>(entity).is_some_and(|members| !members.is_empty());
        return (!has_members).then_some("a group without members");
    }
    world.get::<Sequence>(entity)?;
    let legs = world.get::<ALeg>(entity).into_iter().flat_map(|legs| legs.iter());
    let mut legs = legs.chain(world.get::<BLeg>(entity).into_iter().flat_map(|legs| legs.iter()));
    legs.next().is_none().then_some("a sequence without legs")
}

fn conference(world: &World, entity: Entity) -> Option<&'static str> {
    if let Some(participant) = world.get::<Participant>(entity) {
        let is_whole =
            world.get::<Stream>(participant.stream).is_some() && world.get::<Room>(participant.room).is_some();
        return (!is_whole).then_some("a participant without a stream or a room");
    }
    world.get::<Room>(entity)?;
    let inside = world.get::<Participants>(entity).is_some_and(|inside| !inside.is_empty());
    (!inside).then_some("a room without participants")
}

/// A transaction waits for a timer, or for a decision of its user.
fn transaction(world: &World, entity: Entity) -> Option<&'static str> {
    let transaction = world.get::<Transaction>(entity)?;
    let waits =
        runs::<Lifetime>(world, entity) || runs::<Retransmit>(world, entity) || runs::<ResponseWait>(world, entity);
    let serves = transaction.user.entity().is_some_and(|user| world.get_entity(user).is_ok());
    (!waits && !serves).then_some("a transaction that waits for nothing")
}

fn runs<T: Send + Sync + 'static>(world: &World, owner: Entity) -> bool {
    world.get_resource::<TimerWheel<T>>().is_some_and(|wheel| wheel.deadline(owner).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::WorldConfig;
    use ringworld_components::kernel::StableIds;
    use ringworld_components::media::RoomState;

    /// A world with rooms without participants.
    fn with_empty_rooms(count: usize) -> Engine {
        let mut engine = Engine::new(&WorldConfig::default());
        let world = engine.app_mut().world_mut();
        for number in 0..count {
            let id = world.resource_mut::<StableIds>().mint();
            let room =
                Room { name: number.to_string(), state: RoomState::Active, created: Now(0), phase: number as u8 & 3 };
            world.spawn((id, room));
        }
        engine
    }

    /// What an engine must not hold when it is dropped.
    fn clean(engine: &mut Engine) {
        let world = engine.app_mut().world_mut();
        let rooms: Vec<Entity> = world.query_filtered::<Entity, With<Room>>().iter(world).collect();
        for room in rooms {
            world.despawn(room);
        }
    }

    #[test]
    fn what_has_leaked_is_named() {
        let mut engine = with_empty_rooms(2);
        let said: Vec<String> = engine.leaks().iter().map(Leak::to_string).collect();
        assert_eq!(said, ["#1: a room without participants", "#2: a room without participants"]);
        clean(&mut engine);
        assert!(engine.leaks().is_empty());
    }

    #[test]
    fn a_patrol_comes_round_to_everything_a_few_at_a_time() {
        let mut engine = with_empty_rooms(5);
        let mut patrol = Patrol::default();
        let mut seen: Vec<StableId> = (0..2_000).filter_map(|_| patrol.look(&engine, 1)).map(|leak| leak.id).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 5);
        clean(&mut engine);
        assert!((0..2_000).all(|_| patrol.look(&engine, 1).is_none()));
        assert_eq!(Patrol::default().look(&Engine::new(&WorldConfig::default()), 1_000), None);
    }
}
