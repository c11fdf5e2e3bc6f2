//! Parent and child sessions are linked and released.

use super::sessions::{id_of, is_living, living};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    ChildEnded, ChildSessions, Dependency, DependencyError, DependencyKind, DependencyState, FactQueue, ParentSession,
    Session, Settings,
};
use ringworld_components::kernel::{Now, StableId};

/// Makes `child` a child of `parent`, or changes the kind of a child that it has.
pub(super) fn link(
    world: &mut World,
    parent: StableId,
    child: StableId,
    kind: DependencyKind,
) -> Result<(), DependencyError> {
    let (parent_id, child_id) = (parent, child);
    let parent = living(world, parent).ok_or(DependencyError::UnknownSession(parent_id))?;
    let child = living(world, child).ok_or(DependencyError::UnknownSession(child_id))?;
    if parent == child {
        return Err(DependencyError::SelfParent(child_id));
    }
    match world.get::<ParentSession>(child).map(|of| of.0) {
        Some(other) if other == parent => {}
        Some(other) => return Err(DependencyError::HasParent { child: child_id, parent: id_of(world, other) }),
        None => check_new(world, parent, child)?,
    }
    let dependency =
        Dependency { kind, state: DependencyState::Active, since: *world.resource::<Now>(), parent: parent_id };
    if let Ok(mut child) = world.get_entity_mut(child) {
        child.insert((dependency, ParentSession(parent)));
    }
    Ok(())
}

/// Whether a session without a parent may become a child: no cycle, no limit.
fn check_new(world: &World, parent: Entity, child: Entity) -> Result<(), DependencyError> {
    let above = ancestors(world, parent);
    if let Some(at) = above.iter().position(|&ancestor| ancestor == child) {
        let down = above.get(..=at).unwrap_or_default().iter().rev().chain([&child]);
        return Err(DependencyError::Cycle(down.map(|&session| id_of(world, session)).collect()));
    }
    let limits = &world.resource::<Settings>().limits;
    if world.get::<ChildSessions>(parent).map_or(0, |children| children.len()) >= limits.children as usize {
        return Err(DependencyError::Children(limits.children));
    }
    if above.len() + height(world, child) > limits.dependency_depth as usize {
        return Err(DependencyError::Depth(limits.dependency_depth));
    }
    Ok(())
}

/// A session and the parents above it, the nearest first.
fn ancestors(world: &World, session: Entity) -> Vec<Entity> {
    let up = |&session: &Entity| world.get::<ParentSession>(session).map(|of| of.0);
    std::iter::successors(Some(session), up).collect()
}

/// How many sessions are below one another under a session.
fn height(world: &World, session: Entity) -> usize {
    let mut height = 0;
    let mut level = vec![session];
    loop {
        level =
            level.iter().filter_map(|&parent| world.get::<ChildSessions>(parent)).flat_map(|it| it.iter()).collect();
        if level.is_empty() {
            return height;
        }
        height += 1;
    }
}

/// Ends the relation of a child to its parent. Both go on.
pub(super) fn unlink(world: &mut World, child: StableId) -> Result<(), DependencyError> {
    let entity = living(world, child).ok_or(DependencyError::UnknownSession(child))?;
    if !world.entity(entity).contains::<ParentSession>() {
        return Err(DependencyError::NoParent(child));
    }
    world.entity_mut(entity).remove::<(ParentSession, Dependency)>();
    Ok(())
}

/// Notes for each living child that its parent has ended; says which children end with it.
pub(super) fn parent_ended(world: &mut World, children: &[Entity]) -> Vec<Entity> {
    let now = *world.resource::<Now>();
    let mut ending = Vec::new();
    for &child in children {
        let is_living = is_living(world, child);
        let Some(mut dependency) = world.get_mut::<Dependency>(child) else { continue };
        if dependency.state != DependencyState::Active || !is_living {
            continue;
        }
        let state = match dependency.kind {
            DependencyKind::Dependent => DependencyState::Ending,
            DependencyKind::Independent => DependencyState::Released,
        };
        (dependency.state, dependency.since) = (state, now);
        if state == DependencyState::Ending {
            ending.push(child);
        }
    }
    ending
}

/// Raises the fact that a child has ended.
pub(super) fn tell_parent(world: &mut World, child: Entity) {
    let Some(parent) = world.get::<ParentSession>(child).map(|of| of.0) else { return };
    let Some(ending) = world.get::<Session>(child).and_then(|session| session.ending.clone()) else { return };
    let fact = ChildEnded::of(id_of(world, parent), parent, id_of(world, child), ending);
    world.resource_mut::<FactQueue>().raise(fact);
}
