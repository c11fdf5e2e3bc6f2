//! Assembles the call engine.

use super::services;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::RingThenAnswer;
use ringworld_components::kernel::{Phase, Tick, TimerApp};

/// Connects calls to the built-in services.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallEnginePlugin;

impl Plugin for CallEnginePlugin {
    fn build(&self, app: &mut App) {
        app.add_timer::<RingThenAnswer>("callengine.ring_then_answer");
        app.add_systems(Tick, (services::route_calls, services::answer_after_ringing).chain().in_set(Phase::Behaviour));
    }
}
