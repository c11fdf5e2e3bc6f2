//! The measured load enters as an operation.

use bevy_ecs::prelude::*;
use ringworld_components::call::{CallErrorCause, MeasuredLoad};
use ringworld_components::edge::Operation;
use ringworld_components::kernel::{Now, StableId};

pub(super) fn carry_out(world: &mut World, operation: &Operation) -> Option<Result<StableId, CallErrorCause>> {
    let Operation::ReportLoad { cpu_permille } = operation else { return None };
    let at = *world.resource::<Now>();
    *world.resource_mut::<MeasuredLoad>() = MeasuredLoad { cpu_permille: *cpu_permille, at };
    Some(Ok(StableId(0)))
}
