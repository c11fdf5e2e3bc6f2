//! Assembles the measured load.

use super::load;
use bevy_app::{App, Plugin};
use ringworld_components::call::{MeasuredLoad, OperationApp};
use ringworld_components::kernel::RecordApp;

/// The load that is measured outside. The accounts of what calls use are kept where calls are made, in `session`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourcesPlugin;

impl Plugin for ResourcesPlugin {
    fn build(&self, app: &mut App) {
        app.record_resource(MeasuredLoad::default(), "call.measured_load");
        app.carry_out_with(load::carry_out);
    }
}
