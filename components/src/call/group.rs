//! Groups of sessions. A session may be in several. A group has a kind and no rule: what its members do for each other
//! is decided by the plugins that made it.

use crate::kernel::{Now, StableId};
use crate::record::Record;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;
use std::fmt;

/// The longest name of a custom kind, in bytes.
pub const GROUP_NAME_BYTES_MAX: usize = 64;

/// A group of sessions. Made with its first member; goes with its last one, or when it is ended.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
#[component(on_add = enter, on_remove = leave)]
pub struct Group {
    /// What it was declared to be.
    pub kind: GroupKind,
    /// When it was made.
    pub created: Now,
}

/// What a group is. It has no consequence of its own.
#[derive(Record, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// Sessions that hear each other.
    Conference,
    /// Sessions that take part in a transfer.
    Transfer,
    /// Sessions that are joined.
    Bridge,
    /// A call about another call.
    Consultation,
    /// Anything else, by name.
    Custom(String),
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom(name) => write!(f, "Custom({name})"),
            named => fmt::Debug::fmt(named, f),
        }
    }
}

/// One session in one group: an entity of its own, which goes when either goes.
#[derive(Component, Record, Clone, Copy, Debug, PartialEq, Eq)]
#[component(on_remove = vacate)]
pub struct Membership {
    /// The group.
    pub group: Entity,
    /// The session.
    pub session: Entity,
    /// The stable id of the session.
    pub member: StableId,
    /// Since when.
    pub since: Now,
}

/// A membership is in a group.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = Members)]
pub struct MemberOf(pub Entity);

/// The memberships of a group, in no particular order: sort them by stable id.
#[derive(Component, Debug)]
#[relationship_target(relationship = MemberOf, linked_spawn)]
pub struct Members(Vec<Entity>);

/// A membership is that of a session.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = Memberships)]
pub struct MembershipOf(pub Entity);

/// The memberships of a session, in no particular order: sort them by stable id.
#[derive(Component, Debug)]
#[relationship_target(relationship = MembershipOf, linked_spawn)]
pub struct Memberships(Vec<Entity>);

/// The memberships that have ended in this tick; looked at in `Step::Settle` of `Phase::Cleanup`.
#[derive(Resource, Debug, Default)]
pub struct LeftGroups(pub Vec<Membership>);

/// How many groups there are. Follows from the components by hooks.
#[derive(Resource, Debug, Default)]
pub struct GroupCount(pub u32);

/// Which group a session enters.
#[derive(Record, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupChoice {
    /// A new one of this kind.
    New(GroupKind),
    /// The one with this stable id.
    Existing(StableId),
}

/// Why a session can't enter or leave a group. Nothing was changed.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum GroupError {
    /// There is no such session, or it has ended or is ending.
    UnknownSession(StableId),
    /// There is no such group.
    UnknownGroup(StableId),
    /// The session is in the group already.
    IsMember,
    /// The session is not in the group.
    IsNoMember,
    /// The name of a custom kind is empty or longer than [`GROUP_NAME_BYTES_MAX`].
    Name,
    /// There are as many groups as there may be.
    Groups(u32),
    /// The group has as many members as it may have.
    Members(u32),
    /// The session is in as many groups as it may be.
    Memberships(u32),
}

impl GroupError {
    /// The limit that refused, for the counter.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Groups(_) => Some("groups"),
            Self::Members(_) => Some("group members"),
            Self::Memberships(_) => Some("groups of a session"),
            _ => None,
        }
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSession(id) => write!(f, "there is no session {id} that could be in a group"),
            Self::UnknownGroup(id) => write!(f, "there is no group {id}"),
            Self::IsMember => f.write_str("the session is in the group already"),
            Self::IsNoMember => f.write_str("the session is not in the group"),
            Self::Name => write!(f, "the name of a group has 1 to {GROUP_NAME_BYTES_MAX} bytes"),
            Self::Groups(limit) => write!(f, "there are {limit} groups, the limit"),
            Self::Members(limit) => write!(f, "the group has {limit} members, the limit"),
            Self::Memberships(limit) => write!(f, "the session is in {limit} groups, the limit"),
        }
    }
}

impl std::error::Error for GroupError {}

fn enter(mut world: DeferredWorld, _: HookContext) {
    if let Some(mut count) = world.get_resource_mut::<GroupCount>() {
        count.0 += 1;
    }
}

fn leave(mut world: DeferredWorld, _: HookContext) {
    if let Some(mut count) = world.get_resource_mut::<GroupCount>() {
        count.0 = count.0.saturating_sub(1);
    }
}

fn vacate(mut world: DeferredWorld, context: HookContext) {
    let membership = world.get::<Membership>(context.entity).copied();
    if let (Some(membership), Some(mut left)) = (membership, world.get_resource_mut::<LeftGroups>()) {
        left.0.push(membership);
    }
}
