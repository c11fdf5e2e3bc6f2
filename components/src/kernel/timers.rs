//! Timers as systems see them: start, cancel, and a message when one fires.

use super::{Now, Phase, RecordApp, StableId, Tick, TimerWheel};
use bevy_app::App;
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use bevy_ecs::world::DeferredWorld;
use std::marker::PhantomData;
use std::time::Duration;

/// The timers of kind `T`: at most one an entity.
///
/// ```
/// # use ringworld_components::kernel::*;
/// # use bevy_ecs::prelude::*;
/// # use std::time::Duration;
/// struct Nag;
/// fn nag(mut fired: MessageReader<TimerFired<Nag>>, mut timers: Timers<Nag>) {
///     for nagged in fired.read() {
///         timers.start(nagged.owner, Duration::from_secs(10));
///     }
/// }
/// # let mut app = bevy_app::App::empty();
/// # app.add_plugins(KernelPlugin::default());
/// app.add_timer::<Nag>("nag");
/// app.add_systems(Tick, nag.in_set(Phase::Behaviour));
/// # app.update();
/// ```
#[derive(SystemParam)]
pub struct Timers<'w, T: Send + Sync + 'static> {
    wheel: ResMut<'w, TimerWheel<T>>,
    now: Res<'w, Now>,
}

impl<T: Send + Sync + 'static> Timers<'_, T> {
    /// Starts the timer of `owner`, or starts it anew. It fires `after` from now, at the end of a tick at the earliest.
    pub fn start(&mut self, owner: Entity, after: Duration) {
        let deadline = self.now.after(after);
        self.wheel.start(owner, deadline.0);
    }

    /// Stops the timer of `owner`. Nothing happens if none is running.
    pub fn cancel(&mut self, owner: Entity) {
        self.wheel.cancel(owner);
    }
}

/// Starts the timer of `owner`, or starts it anew, where a system has the whole world; see [`Timers::start`].
pub fn start_timer<T: Send + Sync + 'static>(world: &mut World, owner: Entity, after: Duration) {
    let deadline = world.resource::<Now>().after(after);
    world.resource_mut::<TimerWheel<T>>().start(owner, deadline.0);
}

/// Stops the timer of `owner`, where a system has the whole world; see [`Timers::cancel`].
pub fn cancel_timer<T: Send + Sync + 'static>(world: &mut World, owner: Entity) {
    world.resource_mut::<TimerWheel<T>>().cancel(owner);
}

/// Takes the owners of the timers of kind `T` that fired in this tick, where one exclusive system is their only reader.
pub fn take_fired<T: Send + Sync + 'static>(world: &mut World) -> Vec<Entity> {
    world.resource_mut::<Messages<TimerFired<T>>>().drain().map(|fired| fired.owner).collect()
}

/// The timer of kind `T` that `owner` had started is due.
#[derive(Message)]
pub struct TimerFired<T: Send + Sync + 'static> {
    /// The entity that owned the timer.
    pub owner: Entity,
    /// Its stable id.
    pub id: StableId,
    kind: PhantomData<fn() -> T>,
}

/// Adds kinds of timers to a world.
pub trait TimerApp {
    /// Adds the timers of kind `T` under a name that no other resource has.
    fn add_timer<T: Send + Sync + 'static>(&mut self, name: &'static str) -> &mut Self;
    /// The same for timers that only `Phase::Media` looks at: they belong to the media digest.
    fn add_timer_of_media<T: Send + Sync + 'static>(&mut self, name: &'static str) -> &mut Self;
}

impl TimerApp for App {
    fn add_timer<T: Send + Sync + 'static>(&mut self, name: &'static str) -> &mut Self {
        self.record_resource(TimerWheel::<T>::default(), name);
        add_kind::<T>(self, name)
    }

    fn add_timer_of_media<T: Send + Sync + 'static>(&mut self, name: &'static str) -> &mut Self {
        self.record_media_resource(TimerWheel::<T>::default(), name);
        add_kind::<T>(self, name)
    }
}

fn add_kind<'a, T: Send + Sync + 'static>(app: &'a mut App, name: &'static str) -> &'a mut App {
    app.record_message::<TimerFired<T>>();
    app.world_mut().resource_mut::<TimerKinds>().0.push(Kind {
        name,
        deadline: deadline::<T>,
        cancel: cancel::<T>,
        count: count::<T>,
        quiet_until: quiet_until::<T>,
    });
    app.add_systems(Tick, fire::<T>.in_set(Phase::Timers))
}

/// Looks at the timers of all kinds.
pub struct TimerCounts;

impl TimerCounts {
    /// A tick before which no timer of any kind fires; `None` if none runs.
    pub(super) fn quiet_until(world: &World) -> Option<u64> {
        let kinds = world.get_resource::<TimerKinds>()?;
        kinds.0.iter().filter_map(|kind| (kind.quiet_until)(world)).min()
    }

    /// The running timers of an entity: the name of each, and when it fires.
    pub fn of(world: &World, owner: Entity) -> Vec<(&'static str, Now)> {
        let kinds = world.get_resource::<TimerKinds>().map(|kinds| kinds.0.as_slice()).unwrap_or_default();
        kinds.iter().filter_map(|kind| Some((kind.name, Now((kind.deadline)(world, owner)?)))).collect()
    }

    /// All running timers of all kinds.
    pub fn running(world: &World) -> usize {
        world.get_resource::<TimerKinds>().map_or(0, |kinds| kinds.0.iter().map(|kind| (kind.count)(world)).sum())
    }
}

struct Kind {
    name: &'static str,
    deadline: fn(&World, Entity) -> Option<u64>,
    cancel: fn(&mut DeferredWorld, Entity),
    count: fn(&World) -> usize,
    quiet_until: fn(&World) -> Option<u64>,
}

#[derive(Resource, Default)]
pub(super) struct TimerKinds(Vec<Kind>);

/// Stops all timers of an entity that goes.
pub(super) fn cancel_all(world: &mut DeferredWorld, owner: Entity) {
    let kinds = world.get_resource::<TimerKinds>().map_or(0, |kinds| kinds.0.len());
    for index in 0..kinds {
        let cancel = world.get_resource::<TimerKinds>().and_then(|kinds| kinds.0.get(index)).map(|kind| kind.cancel);
        if let Some(cancel) = cancel {
            cancel(world, owner);
        }
    }
}

fn cancel<T: Send + Sync + 'static>(world: &mut DeferredWorld, owner: Entity) {
    if let Some(mut wheel) = world.get_resource_mut::<TimerWheel<T>>() {
        wheel.cancel(owner);
    }
}

fn deadline<T: Send + Sync + 'static>(world: &World, owner: Entity) -> Option<u64> {
    world.get_resource::<TimerWheel<T>>()?.deadline(owner)
}

fn count<T: Send + Sync + 'static>(world: &World) -> usize {
    world.get_resource::<TimerWheel<T>>().map_or(0, TimerWheel::len)
}

fn quiet_until<T: Send + Sync + 'static>(world: &World) -> Option<u64> {
    world.get_resource::<TimerWheel<T>>().and_then(TimerWheel::quiet_until)
}

fn fire<T: Send + Sync + 'static>(
    now: Res<Now>,
    ids: Query<&StableId>,
    mut wheel: ResMut<TimerWheel<T>>,
    mut fired: MessageWriter<TimerFired<T>>,
) {
    let mut due = Vec::new();
    wheel.advance(now.0, &mut due);
    fired.write_batch(due.into_iter().map(|owner| {
        let id = ids.get(owner).copied().unwrap_or(StableId(0));
        TimerFired { owner, id, kind: PhantomData }
    }));
}
