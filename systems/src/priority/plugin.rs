//! Assembles priorities.

use super::{marks, operations};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::{OperationApp, Priority};
use ringworld_components::kernel::{RecordApp, Step, Tick};

/// Priorities, and the marks of packets that follow from them.
#[derive(Clone, Copy, Debug, Default)]
pub struct PriorityPlugin;

impl Plugin for PriorityPlugin {
    fn build(&self, app: &mut App) {
        app.record::<Priority>("call.priority");
        app.carry_out_with(operations::carry_out);
        app.add_systems(Tick, marks::mark_ports.in_set(Step::Mark));
    }
}
