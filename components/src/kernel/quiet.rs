//! Ticks in which nothing can happen need not run.

use super::{Now, RecordApp, TimerCounts};
use bevy_app::App;
use bevy_ecs::prelude::*;

/// What can keep a world busy without an input or a timer: work queues that cross a tick.
#[derive(Resource, Default)]
pub(super) struct Restless(Vec<fn(&World) -> bool>);

/// Declares what keeps a world awake.
pub trait QuietApp {
    /// While `is_busy` says so, every tick runs. Without inputs, due timers and such work, ticks are skipped, and
    /// counted in the `Elapsed` of the next one: systems wake on messages, timers and queues, never by counting ticks.
    fn awake_while(&mut self, is_busy: fn(&World) -> bool) -> &mut Self;
}

impl QuietApp for App {
    fn awake_while(&mut self, is_busy: fn(&World) -> bool) -> &mut Self {
        if self.world().get_resource::<Restless>().is_none() {
            self.unrecorded_resource(Restless::default());
        }
        self.world_mut().resource_mut::<Restless>().0.push(is_busy);
        self
    }
}

/// The tick that must run next if no input comes: the next one if the world is busy, else that of the next timer.
pub fn next_due(world: &World) -> Now {
    let now = world.get_resource::<Now>().copied().unwrap_or_default();
    let is_busy = world.get_resource::<Restless>().is_some_and(|restless| restless.0.iter().any(|busy| busy(world)));
    if is_busy { Now(now.0 + 1) } else { Now(TimerCounts::quiet_until(world).unwrap_or(u64::MAX)) }
}
