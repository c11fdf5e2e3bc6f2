//! A panic in the work for one call costs that call, not the world.

use super::Counters;
use crate::kernel::StableIds;
use crate::record::Record;
use bevy_ecs::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What panicked: the first thing that `Phase::Sessions` does is to end the calls behind it, so that what is broken is
/// not run again.
#[derive(Resource, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// One panic that was contained.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The session, usage, dialog, transaction or stream that was worked on.
    pub culprit: Entity,
    /// The system that panicked.
    pub system: String,
}

/// Does the work for one item of a system's queue. A panic is counted under the system's name and goes no further: the
/// entities that the work had made are despawned, and the call behind the culprit is ended.
///
/// A panic outside such work still stops the world: the extent of its damage is not known.
pub fn contain(world: &mut World, system: &'static str, culprit: Option<Entity>, work: impl FnOnce(&mut World)) {
    let newest = world.resource::<StableIds>().newest();
    // After the unwinding only the culprit's own state is seen, and it is only looked at to end it.
    if catch_unwind(AssertUnwindSafe(|| work(world))).is_ok() {
        return;
    }
    // What the work had queued for its entities is carried out, so that hooks find them whole.
    let _ = catch_unwind(AssertUnwindSafe(|| world.flush()));
    for half_made in world.resource::<StableIds>().since(newest) {
        let _ = catch_unwind(AssertUnwindSafe(|| world.despawn(half_made)));
    }
    world.resource_mut::<Counters>().panicked(system);
    if let Some(culprit) = culprit {
        world.resource_mut::<Faults>().0.push(Fault { culprit, system: system.to_owned() });
    }
}

/// The same for work that has no world but its queries: `None` if it panicked, which is then for the caller to report.
pub fn contain_item<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
