//! Assembles the kernel.

use super::registry::ScratchChecks;
use super::timers::{TimerKinds, clear_fired, fire_timers};
use super::{
    Anchor, Elapsed, Now, Phase, RecordApp, Registry, Secret, StableId, StableIds, Step, Tick, snapshot, time,
};
use bevy_app::{App, Plugin};
use bevy_ecs::component::ComponentId;
use bevy_ecs::message::{MessageRegistry, message_update_system};
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, ScheduleLabel, SingleThreadedExecutor};

/// The tick, its phases, time, ids, randomness, timers and the registry. Every world has it, and has it first.
#[derive(Clone, Debug)]
pub struct KernelPlugin {
    /// The world's secret seed.
    pub secret: Secret,
    /// The index of this world among the worlds of the process.
    pub world: u8,
    /// How often this world's state directory was started before.
    pub epoch: u16,
    /// The time of day at tick 0.
    pub anchor: Anchor,
}

impl Default for KernelPlugin {
    fn default() -> Self {
        Self { secret: Secret::new([0; 32]), world: 0, epoch: 0, anchor: Anchor::default() }
    }
}

impl Plugin for KernelPlugin {
    fn build(&self, app: &mut App) {
        app.main_mut().update_schedule = Some(Tick.intern());
        app.init_schedule(Tick).edit_schedule(Tick, |schedule| {
            schedule.set_executor(SingleThreadedExecutor::new());
            schedule.set_build_settings(ScheduleBuildSettings {
                ambiguity_detection: LogLevel::Error,
                ..Default::default()
            });
            schedule.configure_sets(
                (
                    Phase::Ingress,
                    Phase::Timers,
                    Phase::Transactions,
                    Phase::Dialogs,
                    Phase::Sessions,
                    Step::Deliver,
                    Phase::Behaviour,
                    Step::Merge,
                    Phase::Admission,
                    Phase::Media,
                    Phase::Cleanup,
                    Phase::Egress,
                    Phase::Observe,
                    Step::MergeLate,
                )
                    .chain(),
            );
            schedule.configure_sets((Step::Receive, Step::Mix).chain().in_set(Phase::Media));
            schedule
                .configure_sets((Step::Relate, Step::Reap, Step::Settle, Step::Close).chain().in_set(Phase::Cleanup));
            schedule.configure_sets(
                (Step::Mark, Step::Compose, Step::Write, Step::Publish, Step::Flush).chain().in_set(Phase::Egress),
            );
        });
        app.init_resource::<Registry>().init_resource::<ScratchChecks>().init_resource::<TimerKinds>();
        app.init_resource::<MessageRegistry>();
        know_what_is_here(app.world_mut());
        app.unrecorded_resource(Elapsed::default())
            .record_resource(StableIds::new(self.world, self.epoch), "kernel.stable_ids")
            .record_resource(Now::default(), "kernel.now")
            .record_resource(self.secret.clone(), "kernel.secret")
            .record_resource(self.anchor, "kernel.anchor")
            .derived::<StableId>();
        app.add_systems(Tick, (time::advance.before(Phase::Ingress), fire_timers.in_set(Phase::Timers)));
        // Messages are double-buffered: updated twice, none is left at the end of the tick.
        app.add_systems(Tick, (message_update_system, message_update_system, end_tick).chain().after(Step::MergeLate));
    }
}

/// What the libraries put into every world (schedules, message registry, defaults) is the same in every run.
fn know_what_is_here(world: &mut World) {
    let here: Vec<ComponentId> =
        world.archetypes().iter().flat_map(|archetype| archetype.components().to_vec()).collect();
    let mut registry = world.resource_mut::<Registry>();
    for id in here {
        registry.knows(id);
    }
}

/// Sets the next step back to one tick, and leaves no message of a timer.
fn end_tick(world: &mut World) {
    clear_fired(world);
    world.resource_mut::<Elapsed>().0 = 1;
    debug_assert!(snapshot::scratch_is_empty(world), "a scratch resource is not empty at the end of a tick");
}
