//! A behaviour in a crate of its own that depends on ringworld alone: one caller has at most so many calls at a time, and
//! further ones are refused with 486. Callers are told apart by the URI of From.

use ringworld::prelude::*;
use std::collections::BTreeMap;

/// The limit, and how many calls each caller has.
#[derive(Resource, Record, Clone, Debug)]
pub struct CallerLimit {
    /// The most calls of one caller.
    pub calls_max: u32,
    calls: BTreeMap<Vec<u8>, u32>,
}

/// A call that is counted, with the URI that it is counted under.
#[derive(Component, Record, Clone, Debug)]
struct Counted(Vec<u8>);

/// Adds the behaviour.
pub struct CallerLimitPlugin {
    /// The most calls of one caller.
    pub calls_max: u32,
}

impl Plugin for CallerLimitPlugin {
    fn build(&self, app: &mut App) {
        let limit = CallerLimit { calls_max: self.calls_max, calls: BTreeMap::new() };
        app.record_resource(limit, "caller_limit.calls");
        app.record::<Counted>("caller_limit.counted");
        app.add_systems(Tick, limit_calls.in_set(Phase::Behaviour));
    }
}

fn limit_calls(
    mut offered: MessageReader<CallOffered>,
    mut ended: MessageReader<CallEnded>,
    mut limit: ResMut<CallerLimit>,
    counted: Query<&Counted>,
    mut operations: Operations,
) {
    operations.for_each_call(ended.read(), |_, call| {
        if let Ok(Counted(caller)) = counted.get(call.entity)
            && let Some(count) = limit.calls.get_mut(caller)
        {
            *count -= 1;
            limit.calls.retain(|_, count| *count > 0);
        }
    });
    operations.for_each_call(offered.read(), |operations, call| {
        let (caller, calls_max) = (call.from.to_vec(), limit.calls_max);
        let count = limit.calls.entry(caller.clone()).or_default();
        if *count == calls_max {
            operations.write_with(OperationPriority::High, Operation::reject(call.session, 486));
        } else {
            *count += 1;
            operations.insert(call.entity, Counted(caller));
        }
    });
}
