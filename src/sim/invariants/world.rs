//! A look into the world: what owns each entity, and which timers run.

use super::{Breach, Invariant, relations};
use crate::engine::{ENDING_MAX, Engine, Sum};
use bevy_ecs::prelude::*;
use bevy_ecs::query::QueryData;
use ringworld_components::call::{CancelDeadline, DurationDeadline, RingDeadline, Session, SessionState};
use ringworld_components::kernel::{Now, Registry, StableId, StableIds, TimerWheel};
use ringworld_components::sip::{AckWait, AnswerRetransmit, InviteUsage, Retransmit, Transaction, TransactionState};

/// Looks at every entity.
pub(in crate::sim) fn deep(engine: &Engine) -> Option<Breach> {
    let world = engine.world();
    let found = timers(world).or_else(|| ownership(engine)).or_else(|| sums(engine));
    found.or_else(|| relations::check(engine)).or_else(|| {
        engine.unregistered().first().map(|what| Breach::new(Invariant::AllRegistered, format!("{what:?}"), []))
    })
}

/// Nothing is left; if something is, the first of it is described.
pub(in crate::sim) fn nothing_left(engine: &Engine) -> Option<Breach> {
    let (world, census) = (engine.world(), engine.census());
    if census == Default::default() {
        return None;
    }
    let mut left: Vec<StableId> = world.iter_entities().filter_map(|entity| entity.get().copied()).collect();
    left.sort_unstable();
    let involved = left.iter().take(3).map(|id| {
        let entity = world.resource::<StableIds>().find(*id).and_then(|entity| world.get_entity(entity).ok());
        let holds = entity.map(|entity| world.resource::<Registry>().describe(entity)).unwrap_or_default();
        let holds: Vec<String> = holds.into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        format!("{id}: {}", holds.join(" "))
    });
    Some(Breach::new(Invariant::NothingOutlives, format!("left: {census:?}"), involved))
}

/// All entities with these components, with their names.
fn each<D: QueryData<ReadOnly = D> + bevy_ecs::query::IterQueryData>(
    world: &World,
    mut visit: impl FnMut(StableId, D::Item<'_, '_>) -> Option<Breach>,
) -> Option<Breach> {
    let mut query = world.try_query::<(&StableId, D)>()?;
    query.iter(world).find_map(|(id, item)| visit(*id, item))
}

fn ownership(engine: &Engine) -> Option<Breach> {
    let census = engine.census();
    if census.ports != census.streams {
        let what = format!("{} ports are in use by {} streams", census.ports, census.streams);
        return Some(Breach::new(Invariant::NothingOutlives, what, []));
    }
    let leaks = engine.leaks();
    let involved = leaks.iter().take(3).map(|leak| format!("entity {}", leak.id));
    leaks.first().map(|first| Breach::new(Invariant::NothingOutlives, first.what, involved))
}

/// What must be as many as something else, in any world.
fn sums(engine: &Engine) -> Option<Breach> {
    let imbalance = Sum::ALL.iter().find_map(|sum| sum.check(engine))?;
    Some(Breach::new(Invariant::CountersAddUp, imbalance.to_string(), []))
}

fn runs<T: Send + Sync + 'static>(world: &World, owner: Entity) -> bool {
    world.get_resource::<TimerWheel<T>>().is_some_and(|wheel| wheel.deadline(owner).is_some())
}

fn timers(world: &World) -> Option<Breach> {
    let now = *world.resource::<Now>();
    each::<(Entity, &Session)>(world, |id, (entity, session)| {
        use SessionState::{Dialing, Initializing, Ringing, Terminating};
        let state = session.state();
        let involved = [format!("session {id}")];
        if state == Terminating && now.since(session.since()) > ENDING_MAX {
            let what = format!("it has been ending for {} s", now.since(session.since()).as_secs());
            return Some(Breach::new(Invariant::SessionsEnd, what, involved));
        }
        let wrong = [
            (
                "ring deadline",
                runs::<RingDeadline>(world, entity) && !matches!(state, Initializing | Dialing | Ringing),
            ),
            ("duration deadline", runs::<DurationDeadline>(world, entity) && state.is_over()),
            (
                "cancel deadline",
                runs::<CancelDeadline>(world, entity) && !matches!(state, Terminating | SessionState::Terminated),
            ),
        ];
        let found = wrong.into_iter().find(|(_, is_wrong)| *is_wrong);
        found.map(|(name, _)| {
            Breach::new(Invariant::TimersStop, format!("its {name} runs though it is {state}"), involved)
        })
    })
    .or_else(|| {
        each::<(Entity, &InviteUsage)>(world, |id, (entity, usage)| {
            let running = runs::<AnswerRetransmit>(world, entity) || runs::<AckWait>(world, entity);
            (running && usage.unacked.is_none()).then(|| {
                Breach::new(Invariant::TimersStop, "it waits for an ACK that it has", [format!("INVITE usage {id}")])
            })
        })
    })
    .or_else(|| {
        each::<(Entity, &Transaction)>(world, |id, (entity, transaction)| {
            let settled = matches!(transaction.state, TransactionState::Confirmed | TransactionState::Accepted)
                || (transaction.state == TransactionState::Completed && !transaction.kind.is_server());
            (settled && runs::<Retransmit>(world, entity)).then(|| {
                let what = format!("it would send again though it is {:?}", transaction.state);
                Breach::new(Invariant::TimersStop, what, [format!("transaction {id}")])
            })
        })
    })
}
