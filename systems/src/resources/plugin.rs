//! Assembles the accounts of resources.

use super::load;
use bevy_app::{App, Plugin};
use ringworld_components::call::{Account, Accounts, Charge, MeasuredLoad, OperationApp};
use ringworld_components::kernel::RecordApp;

/// Accounts of what calls use, by resource, user and endpoint. Without it no budget and no limit of a user or an
/// endpoint is held.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourcesPlugin;

impl Plugin for ResourcesPlugin {
    fn build(&self, app: &mut App) {
        app.record::<Charge>("call.charge")
            .record::<Account>("call.account")
            .record_resource(MeasuredLoad::default(), "call.measured_load")
            .unrecorded_resource(Accounts::default());
        app.carry_out_with(load::carry_out);
    }
}
