//! Assembles the border of the world.

use super::{egress, ingress};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::edge::{Inputs, Outputs};
use ringworld_components::kernel::{Phase, RecordApp, Step, Tick};

/// Inputs in, outputs out.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgePlugin;

impl Plugin for EdgePlugin {
    fn build(&self, app: &mut App) {
        app.scratch::<Inputs>(|inputs| inputs.0.is_empty()).unrecorded_resource(Outputs::default());
        app.add_systems(Tick, (ingress::take_inputs.in_set(Phase::Ingress), egress::flush_outputs.in_set(Step::Flush)));
    }
}
