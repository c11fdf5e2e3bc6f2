//! Two sessions in sequence: they are linked, and the sequence follows the states of its legs.

use super::sessions::{id_of, is_living, living};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    ALeg, ALegOf, BLeg, BLegOf, EndingRule, FactQueue, Sequence, SequenceChanged, SequenceError, SequenceState,
    Session, SessionState,
};
use ringworld_components::kernel::{Now, StableId, StableIds};

/// Puts two sessions in sequence. If the A-leg is in a sequence that has no living B-leg, `b` becomes its B-leg; if
/// both are in sequence already, the rule changes.
pub(super) fn link(world: &mut World, a: StableId, b: StableId, rule: EndingRule) -> Result<StableId, SequenceError> {
    let (a_id, b_id) = (a, b);
    if a == b {
        return Err(SequenceError::SameSession(a));
    }
    let a = living(world, a).ok_or(SequenceError::UnknownSession(a))?;
    let b = living(world, b).ok_or(SequenceError::UnknownSession(b))?;
    let of_a = world.get::<ALegOf>(a).map(|of| of.0);
    let of_b = world.get::<BLegOf>(b).map(|of| of.0);
    let sequence = match (of_a, of_b) {
        (Some(sequence), Some(other)) if sequence == other => sequence,
        (_, Some(_)) => return Err(SequenceError::IsBLeg(b_id)),
        (Some(sequence), None) => {
            if world.get::<Sequence>(sequence).is_some_and(|it| it.state() == SequenceState::Ending) {
                return Err(SequenceError::Ending(a_id));
            }
            if let Some(living) = b_leg(world, sequence).filter(|&leg| is_living(world, leg)) {
                return Err(SequenceError::HasBLeg { a: a_id, b: id_of(world, living) });
            }
            if let Some(old) = b_leg(world, sequence) {
                world.entity_mut(old).remove::<BLegOf>();
            }
            world.entity_mut(b).insert(BLegOf(sequence));
            sequence
        }
        (None, None) => {
            let id = world.resource_mut::<StableIds>().mint();
            let state = SequenceState::of(state_of(world, a), state_of(world, b), rule);
            let sequence = world.spawn((id, Sequence::new(state, rule, *world.resource::<Now>()))).id();
            world.entity_mut(a).insert(ALegOf(sequence));
            world.entity_mut(b).insert(BLegOf(sequence));
            sequence
        }
    };
    if let Some(mut it) = world.get_mut::<Sequence>(sequence) {
        it.rule = rule;
    }
    follow(world, sequence);
    Ok(id_of(world, sequence))
}

/// The session that ends because `session` has ended, by the rules of the sequences that it is in.
pub(super) fn leg_ended(world: &World, session: Entity) -> Vec<Entity> {
    let rule = |sequence: Entity| world.get::<Sequence>(sequence).map(|it| it.rule);
    let mut ending = Vec::new();
    if let Some(sequence) = world.get::<ALegOf>(session).map(|of| of.0)
        && rule(sequence).is_some_and(EndingRule::a_ends_b)
    {
        ending.extend(b_leg(world, sequence));
    }
    if let Some(sequence) = world.get::<BLegOf>(session).map(|of| of.0)
        && rule(sequence).is_some_and(EndingRule::b_ends_a)
    {
        ending.extend(a_leg(world, sequence));
    }
    ending.retain(|&leg| is_living(world, leg));
    ending
}

/// The sequences that a session is in.
pub(super) fn of_session(world: &World, session: Entity) -> impl Iterator<Item = Entity> {
    let as_a = world.get::<ALegOf>(session).map(|of| of.0);
    let as_b = world.get::<BLegOf>(session).map(|of| of.0);
    as_a.into_iter().chain(as_b)
}

/// Brings the state of a sequence up to that of its legs. One that has ended is despawned.
pub(super) fn follow(world: &mut World, sequence: Entity) {
    let Some(before) = world.get::<Sequence>(sequence) else { return };
    let (from, rule) = (before.state(), before.rule);
    let leg = |leg: Option<Entity>| leg.and_then(|leg| state_of(world, leg));
    let mut to = SequenceState::of(leg(a_leg(world, sequence)), leg(b_leg(world, sequence)), rule);
    if from == SequenceState::Ending && to != SequenceState::Ended {
        // The rule may have changed meanwhile; an ending is not taken back.
        to = SequenceState::Ending;
    }
    let now = *world.resource::<Now>();
    if from != to
        && let Some(mut it) = world.get_mut::<Sequence>(sequence)
        && !it.change(to, now)
    {
        tracing::warn!(%from, %to, sequence = %id_of(world, sequence), "a change of a sequence's state was refused");
        return;
    }
    if from != to {
        let leg = a_leg(world, sequence).or_else(|| b_leg(world, sequence)).unwrap_or(Entity::PLACEHOLDER);
        let fact = SequenceChanged::of(id_of(world, leg), leg, id_of(world, sequence), from, to);
        world.resource_mut::<FactQueue>().raise(fact);
    }
    if to == SequenceState::Ended {
        world.despawn(sequence);
    }
}

fn a_leg(world: &World, sequence: Entity) -> Option<Entity> {
    world.get::<ALeg>(sequence).and_then(|legs| legs.iter().next())
}

fn b_leg(world: &World, sequence: Entity) -> Option<Entity> {
    world.get::<BLeg>(sequence).and_then(|legs| legs.iter().next())
}

fn state_of(world: &World, session: Entity) -> Option<SessionState> {
    world.get::<Session>(session).map(Session::state)
}
