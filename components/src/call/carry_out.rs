//! Which plugin carries out which operations.

use super::CallErrorCause;
use crate::edge::Operation;
use crate::kernel::{RecordApp, StableId};
use bevy_app::App;
use bevy_ecs::prelude::*;

/// Carries out the operations of one plugin; `None` if the operation is none of its own. An error has changed nothing.
pub type CarryOut = fn(&mut World, &Operation) -> Option<Result<StableId, CallErrorCause>>;

/// The functions that carry out operations that are not about a single session. The same in every run of a build.
#[derive(Resource, Default)]
pub struct OperationTable(Vec<CarryOut>);

impl OperationTable {
    /// The result of the first plugin that knows the operation; `None` if none does.
    pub fn carry_out(world: &mut World, operation: &Operation) -> Option<Result<StableId, CallErrorCause>> {
        let functions = world.get_resource::<Self>().map(|table| table.0.clone()).unwrap_or_default();
        functions.into_iter().find_map(|carry_out| carry_out(world, operation))
    }
}

/// Declares what carries out operations.
pub trait OperationApp {
    /// Asks `carry_out` about every operation that the functions before it do not know.
    fn carry_out_with(&mut self, carry_out: CarryOut) -> &mut Self;
}

impl OperationApp for App {
    fn carry_out_with(&mut self, carry_out: CarryOut) -> &mut Self {
        if self.world().get_resource::<OperationTable>().is_none() {
            self.unrecorded_resource(OperationTable::default());
        }
        self.world_mut().resource_mut::<OperationTable>().0.push(carry_out);
        self
    }
}
