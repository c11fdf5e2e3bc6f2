//! Assembles the border of the world.

use super::{egress, ingress};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::Settings;
use ringworld_components::edge::{Inputs, Outputs, PacketPool};
use ringworld_components::kernel::{Phase, RecordApp, Step, Tick};

/// Inputs in, outputs out, and what the outside decides about a world: its settings and its packet buffers. Every world
/// has it, after the kernel and before all others.
#[derive(Clone, Debug)]
pub struct EdgePlugin {
    /// The settings of the world.
    pub settings: Settings,
    /// How many packet buffers the world keeps.
    pub pool_share: usize,
}

impl Default for EdgePlugin {
    fn default() -> Self {
        Self { settings: Settings::default(), pool_share: 4096 }
    }
}

impl Plugin for EdgePlugin {
    fn build(&self, app: &mut App) {
        app.scratch::<Inputs>(|inputs| inputs.0.is_empty())
            .unrecorded_resource(Outputs::default())
            .record_resource(self.settings.clone(), "call.settings")
            .unrecorded_resource(PacketPool::new(self.pool_share));
        app.add_systems(Tick, (ingress::take_inputs.in_set(Phase::Ingress), egress::flush_outputs.in_set(Step::Flush)));
    }
}
