//! Assembles priorities.

use super::{marks, operations};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::OperationApp;
use ringworld_components::kernel::{QuietApp, Step, Tick};
use ringworld_components::media::PortPool;

/// Priorities, and the marks of packets that follow from them.
#[derive(Clone, Copy, Debug, Default)]
pub struct PriorityPlugin;

impl Plugin for PriorityPlugin {
    fn build(&self, app: &mut App) {
        app.carry_out_with(operations::carry_out);
        // Only the beginning of another boot epoch leaves something to report between two ticks.
        app.awake_while(|world| world.resource::<PortPool>().has_changed());
        app.add_systems(Tick, marks::mark_ports.in_set(Step::Mark));
    }
}
