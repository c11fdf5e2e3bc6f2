//! Assembles the relations of sessions.

use super::{dependencies, endings, groups, sequences};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    ALeg, ALegOf, BLeg, BLegOf, CallErrorCause, ChildSessions, Counters, Dependency, Group, GroupCount, LeftGroups,
    MemberOf, Members, Membership, MembershipOf, Memberships, OperationApp, ParentSession, Queue, Sequence,
    StateEntered,
};
use ringworld_components::edge::Operation;
use ringworld_components::kernel::{RecordApp, StableId, Step, Tick};

/// Parents and children, sequences, groups.
#[derive(Clone, Copy, Debug, Default)]
pub struct RelationsPlugin;

impl Plugin for RelationsPlugin {
    fn build(&self, app: &mut App) {
        app.record::<ParentSession>("call.parent_session")
            .derived::<ChildSessions>()
            .record::<Dependency>("call.dependency")
            .record::<Sequence>("call.sequence")
            .record::<ALegOf>("call.a_leg_of")
            .derived::<ALeg>()
            .record::<BLegOf>("call.b_leg_of")
            .derived::<BLeg>()
            .record::<Group>("call.group")
            .record::<Membership>("call.membership")
            .record::<MemberOf>("call.member_of")
            .derived::<Members>()
            .record::<MembershipOf>("call.membership_of")
            .derived::<Memberships>()
            .unrecorded_resource(GroupCount::default())
            .scratch::<LeftGroups>(|left| left.0.is_empty())
            .scratch::<Queue<StateEntered>>(Queue::is_empty);
        app.carry_out_with(carry_out);
        app.add_systems(
            Tick,
            (
                endings::end_followers.in_set(Step::Relate),
                (endings::follow_legs, groups::settle).chain().in_set(Step::Settle),
            ),
        );
    }
}

fn carry_out(world: &mut World, operation: &Operation) -> Option<Result<StableId, CallErrorCause>> {
    let result = match operation {
        Operation::Link { parent, child, kind } => dependencies::link(world, *parent, *child, *kind)
            .map(|()| *child)
            .map_err(|why| (why.limit(), CallErrorCause::Dependency(why))),
        Operation::Unlink { child } => dependencies::unlink(world, *child)
            .map(|()| *child)
            .map_err(|why| (why.limit(), CallErrorCause::Dependency(why))),
        Operation::Sequence { a, b, rule } => {
            sequences::link(world, *a, *b, *rule).map_err(|why| (None, CallErrorCause::Sequence(why)))
        }
        Operation::EnterGroup { session, group } => {
            groups::enter(world, *session, group).map_err(|why| (why.limit(), CallErrorCause::Group(why)))
        }
        Operation::LeaveGroup { session, group } => groups::leave(world, *session, *group)
            .map(|()| *session)
            .map_err(|why| (why.limit(), CallErrorCause::Group(why))),
        Operation::EndGroup { group } => {
            groups::end(world, *group).map(|()| *group).map_err(|why| (why.limit(), CallErrorCause::Group(why)))
        }
        _ => return None,
    };
    Some(result.map_err(|(limit, cause)| {
        if let Some(limit) = limit {
            world.resource_mut::<Counters>().hit_limit(limit);
        }
        cause
    }))
}
