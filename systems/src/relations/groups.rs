//! Sessions enter and leave groups.

use super::sessions::{id_of, in_order, living};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    FactQueue, GROUP_NAME_BYTES_MAX, Group, GroupChoice, GroupCount, GroupEnded, GroupEntered, GroupError, GroupKind,
    GroupLeft, LeftGroups, MemberOf, Members, Membership, MembershipOf, Memberships, Settings,
};
use ringworld_components::kernel::{Now, StableId, StableIds};

/// Lets a session enter a group, which is made if it is new; returns its stable id.
pub(super) fn enter(world: &mut World, session: StableId, choice: &GroupChoice) -> Result<StableId, GroupError> {
    let entity = living(world, session).ok_or(GroupError::UnknownSession(session))?;
    let limits = world.resource::<Settings>().limits.clone();
    let groups = world.get::<Memberships>(entity).map_or(0, |memberships| memberships.len());
    if groups >= limits.groups_per_session as usize {
        return Err(GroupError::Memberships(limits.groups_per_session));
    }
    if limits.group_members == 0 {
        return Err(GroupError::Members(0));
    }
    let now = *world.resource::<Now>();
    let group = match choice {
        GroupChoice::Existing(id) => {
            let group = find(world, *id)?;
            if membership(world, entity, group).is_some() {
                return Err(GroupError::IsMember);
            }
            if world.get::<Members>(group).map_or(0, |members| members.len()) >= limits.group_members as usize {
                return Err(GroupError::Members(limits.group_members));
            }
            group
        }
        GroupChoice::New(kind) => {
            if let GroupKind::Custom(name) = kind
                && (name.is_empty() || name.len() > GROUP_NAME_BYTES_MAX)
            {
                return Err(GroupError::Name);
            }
            if world.resource::<GroupCount>().0 >= limits.groups {
                return Err(GroupError::Groups(limits.groups));
            }
            let id = world.resource_mut::<StableIds>().mint();
            world.spawn((id, Group { kind: kind.clone(), created: now })).id()
        }
    };
    let id = world.resource_mut::<StableIds>().mint();
    let membership = Membership { group, session: entity, member: session, since: now };
    world.spawn((id, membership, MemberOf(group), MembershipOf(entity)));
    let group = id_of(world, group);
    world.resource_mut::<FactQueue>().raise(GroupEntered::of(session, entity, group));
    Ok(group)
}

/// Lets a session leave a group.
pub(super) fn leave(world: &mut World, session: StableId, group: StableId) -> Result<(), GroupError> {
    let entity = living(world, session).ok_or(GroupError::UnknownSession(session))?;
    let group = find(world, group)?;
    let membership = membership(world, entity, group).ok_or(GroupError::IsNoMember)?;
    world.despawn(membership);
    Ok(())
}

/// Lets all members leave a group, and ends it.
pub(super) fn end(world: &mut World, group: StableId) -> Result<(), GroupError> {
    let group = find(world, group)?;
    // The group goes with its last membership.
    let members: Vec<Entity> = world.get::<Members>(group).map(|members| members.iter().collect()).unwrap_or_default();
    for membership in in_order(world, members) {
        world.despawn(membership);
    }
    Ok(())
}

/// Tells of the members that have left in this tick, and despawns the groups whose last member has.
pub(super) fn settle(world: &mut World) {
    let left = std::mem::take(&mut world.resource_mut::<LeftGroups>().0);
    let mut left: Vec<(StableId, Membership)> = left.into_iter().map(|it| (id_of(world, it.group), it)).collect();
    left.sort_unstable_by_key(|(group, it)| (*group, it.member));
    for (id, Membership { group, session, member, .. }) in left {
        world.resource_mut::<FactQueue>().raise(GroupLeft::of(member, session, id));
        let is_empty = world.get::<Members>(group).is_none_or(|members| members.is_empty());
        if is_empty && world.get::<Group>(group).is_some() {
            world.despawn(group);
            world.resource_mut::<FactQueue>().raise(GroupEnded::of(StableId(0), group, id));
        }
    }
}

fn find(world: &World, group: StableId) -> Result<Entity, GroupError> {
    let found = world.resource::<StableIds>().find(group).filter(|&entity| world.get::<Group>(entity).is_some());
    found.ok_or(GroupError::UnknownGroup(group))
}

fn membership(world: &World, session: Entity, group: Entity) -> Option<Entity> {
    let memberships = world.get::<Memberships>(session)?;
    let of_group = |entity: &Entity| world.get::<Membership>(*entity).is_some_and(|it| it.group == group);
    memberships.iter().find(of_group)
}
