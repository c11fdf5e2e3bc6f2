//! A look into the world: which sessions depend on which, and what each account is charged.

use super::{Breach, Invariant};
use crate::engine::Engine;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    ALeg, Account, Accounts, Amounts, BLeg, Charge, Dependency, DependencyKind, DependencyState, ParentSession,
    Sequence, SequenceState, Session, SessionState,
};
use ringworld_components::kernel::StableId;

/// Looks at every relation and every charge.
pub(super) fn check(engine: &Engine) -> Option<Breach> {
    let world = engine.world();
    children(world).or_else(|| sequences(world)).or_else(|| accounts(world))
}

/// At the end of a tick no dependent child outlives its parent: it has ended, or is ending.
fn children(world: &World) -> Option<Breach> {
    let mut query = world.try_query::<(&StableId, &Session, &Dependency, Option<&ParentSession>)>()?;
    query.iter(world).find_map(|(id, session, dependency, parent)| {
        let parent = parent.and_then(|of| world.get::<Session>(of.0)).map(Session::state);
        let parent_is_over = parent.is_none_or(SessionState::is_over);
        let is_living = !session.state().is_over();
        let what = match (dependency.kind, dependency.state) {
            (DependencyKind::Dependent, DependencyState::Active) if parent_is_over && is_living => "it goes on",
            (_, DependencyState::Ending) if is_living => "it was to end and goes on",
            (_, DependencyState::Released) if !parent_is_over => "it was released from a parent that lives",
            _ => return None,
        };
        let what = format!("{what}, though its parent {} is {parent:?}", dependency.parent);
        Some(Breach::new(Invariant::ChildrenFollow, what, [format!("session {id}")]))
    })
}

/// At the end of a tick the state of every sequence is that of its legs.
fn sequences(world: &World) -> Option<Breach> {
    let state = |session: Option<Entity>| session.and_then(|it| world.get::<Session>(it)).map(Session::state);
    let mut query = world.try_query::<(&StableId, &Sequence, Option<&ALeg>, Option<&BLeg>)>()?;
    query.iter(world).find_map(|(id, sequence, a, b)| {
        let a = state(a.and_then(|legs| legs.iter().next()));
        let b = state(b.and_then(|legs| legs.iter().next()));
        let expected = SequenceState::of(a, b, sequence.rule);
        // An ending is not taken back by another rule.
        let is_right = sequence.state() == expected
            || (sequence.state() == SequenceState::Ending && expected != SequenceState::Ended);
        let what = format!("it is {}, its legs are {a:?} and {b:?}", sequence.state());
        (!is_right).then(|| Breach::new(Invariant::SequencesFollow, what, [format!("sequence {id}")]))
    })
}

/// The accounts are the sums of the charges on the entities.
fn accounts(world: &World) -> Option<Breach> {
    let kept = world.resource::<Accounts>();
    let mut charges = world.try_query::<&Charge>()?;
    let charged = charges.iter(world).fold(Amounts::default(), |sum, charge| sum.plus(charge.0));
    if charged != kept.used() {
        let what = format!("{charged:?} is charged, {:?} is said to be used", kept.used());
        return Some(Breach::new(Invariant::ResourcesAddUp, what, []));
    }
    let mut holders = world.try_query::<&Account>()?;
    let holders: Vec<&Account> = holders.iter(world).collect();
    let of_user = |user: &[u8]| holders.iter().filter(|account| account.user == user).count();
    let of_endpoint = |endpoint| holders.iter().filter(|account| account.endpoint == endpoint).count();
    let users = kept.users().all(|(user, count)| of_user(user) == count as usize);
    let endpoints = kept.endpoints().all(|(endpoint, count)| of_endpoint(endpoint) == count as usize);
    (!(users && endpoints)).then(|| {
        let what = "the sessions of a user or of an endpoint are counted wrongly";
        Breach::new(Invariant::ResourcesAddUp, what, [])
    })
}
