//! What has ended in a tick ends what depends on it, in the same tick and in a fixed order.

use super::sessions::{in_order, is_living};
use super::{dependencies, sequences};
use bevy_ecs::prelude::*;
use ringworld_components::call::{ChildSessions, EndCause, EndFollower, Queue, SessionState, StateEntered, contain};
use ringworld_components::planted;
use std::collections::BTreeSet;

/// Asks for the end of every session that ends with those that have ended in this tick: children and other legs, and
/// theirs in turn. Level by level, each in the order of stable ids.
pub(super) fn end_followers(world: &mut World) {
    let entered = &world.resource::<Queue<StateEntered>>().0;
    let over: BTreeSet<Entity> = entered.iter().filter(|it| it.state.is_over()).map(|it| it.session).collect();
    if over.is_empty() {
        return;
    }
    let mut seen = over.clone();
    let mut level = in_order(world, over);
    while !level.is_empty() {
        let mut next = Vec::new();
        for session in level {
            contain(world, "end_followers", Some(session), |world| {
                for (follower, cause) in followers(world, session) {
                    if seen.insert(follower) {
                        world.resource_mut::<Queue<EndFollower>>().push(EndFollower { session: follower, cause });
                        next.push(follower);
                    }
                }
            });
        }
        level = next;
    }
}

/// The living sessions that end with a session, and why.
fn followers(world: &mut World, session: Entity) -> Vec<(Entity, EndCause)> {
    let children: Vec<Entity> =
        world.get::<ChildSessions>(session).map(|children| children.iter().collect()).unwrap_or_default();
    let children = in_order(world, children);
    let mut followers = Vec::new();
    if !planted!(ChildStays) {
        let ending = dependencies::parent_ended(world, &children);
        followers.extend(ending.into_iter().map(|child| (child, EndCause::ParentEnded)));
    }
    followers.extend(sequences::leg_ended(world, session).into_iter().map(|leg| (leg, EndCause::OtherLegEnded)));
    followers.retain(|&(follower, _)| is_living(world, follower));
    followers
}

/// Tells parents of children that have ended in this tick, and brings sequences up to the states that their legs have
/// entered.
pub(super) fn follow_legs(world: &mut World) {
    let entered = world.resource_mut::<Queue<StateEntered>>().take();
    for it in entered.iter().filter(|it| it.state == SessionState::Terminated) {
        dependencies::tell_parent(world, it.session);
    }
    let affected: BTreeSet<Entity> =
        entered.iter().flat_map(|it| sequences::of_session(world, it.session).collect::<Vec<_>>()).collect();
    for sequence in in_order(world, affected) {
        contain(world, "follow_legs", Some(sequence), |world| sequences::follow(world, sequence));
    }
}
