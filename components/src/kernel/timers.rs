//! Timers as systems see them: start, cancel, and a message when one fires.

use super::{Now, RecordApp, StableId, TimerWheel};
use bevy_app::App;
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use bevy_ecs::world::DeferredWorld;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    if world.resource::<Messages<TimerFired<T>>>().is_empty() {
        return Vec::new();
    }
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
    app.cleared_message::<TimerFired<T>>();
    let running = Arc::<AtomicUsize>::default();
    app.world_mut().resource_mut::<TimerWheel<T>>().count_in(&running);
    Arc::make_mut(&mut app.world_mut().resource_mut::<TimerKinds>().kinds).push(Kind {
        name,
        deadline: deadline::<T>,
        cancel: cancel::<T>,
        count: count::<T>,
        quiet_until: quiet_until::<T>,
        fire: fire::<T>,
        running,
        count_in: count_in::<T>,
    });
    app
}

/// Looks at the timers of all kinds.
pub struct TimerCounts;

impl TimerCounts {
    /// A tick before which no timer of any kind fires; `None` if none runs.
    pub(super) fn quiet_until(world: &World) -> Option<u64> {
        let kinds = world.get_resource::<TimerKinds>()?;
        kinds.kinds.iter().filter_map(|kind| (kind.quiet_until)(world)).min()
    }

    /// The running timers of an entity: the name of each, and when it fires.
    pub fn of(world: &World, owner: Entity) -> Vec<(&'static str, Now)> {
        let kinds = world.get_resource::<TimerKinds>().map(|kinds| kinds.kinds.as_slice()).unwrap_or_default();
        kinds.iter().filter_map(|kind| Some((kind.name, Now((kind.deadline)(world, owner)?)))).collect()
    }

    /// All running timers of all kinds.
    pub fn running(world: &World) -> usize {
        world.get_resource::<TimerKinds>().map_or(0, |kinds| kinds.kinds.iter().map(|kind| (kind.count)(world)).sum())
    }
}

#[derive(Clone)]
struct Kind {
    name: &'static str,
    deadline: fn(&World, Entity) -> Option<u64>,
    cancel: fn(&mut DeferredWorld, Entity),
    count: fn(&World) -> usize,
    quiet_until: fn(&World) -> Option<u64>,
    fire: fn(&mut World, u64),
    /// How many run. Most kinds have no timer at most times, and need not be looked at when an entity goes.
    running: Arc<AtomicUsize>,
    count_in: fn(&mut World, &Arc<AtomicUsize>),
}

/// All kinds of timers, in the order in which they were added.
#[derive(Resource, Default)]
pub(super) struct TimerKinds {
    kinds: Arc<Vec<Kind>>,
    /// What removes the messages of the kinds that fired in this tick.
    clear: Vec<fn(&mut World)>,
}

/// Fires all timers that are due: one kind after the other, each in the order of deadlines.
pub(super) fn fire_timers(world: &mut World) {
    let now = world.resource::<Now>().0;
    let kinds = Arc::clone(&world.resource::<TimerKinds>().kinds);
    kinds.iter().for_each(|kind| (kind.fire)(world, now));
}

/// Removes the messages of the timers that fired in this tick.
pub(super) fn clear_fired(world: &mut World) {
    for clear in std::mem::take(&mut world.resource_mut::<TimerKinds>().clear) {
        clear(world);
    }
}

/// Stops all timers of an entity that goes.
pub(super) fn cancel_all(world: &mut DeferredWorld, owner: Entity) {
    let Some(kinds) = world.get_resource::<TimerKinds>().map(|kinds| Arc::clone(&kinds.kinds)) else { return };
    let in_use = kinds.iter().filter(|kind| kind.running.load(Ordering::Relaxed) > 0);
    in_use.for_each(|kind| (kind.cancel)(world, owner));
}

/// Counts the timers of all kinds anew, after the wheels were restored.
pub(super) fn count_again(world: &mut World) {
    let Some(kinds) = world.get_resource::<TimerKinds>().map(|kinds| Arc::clone(&kinds.kinds)) else { return };
    kinds.iter().for_each(|kind| (kind.count_in)(world, &kind.running));
}

fn count_in<T: Send + Sync + 'static>(world: &mut World, running: &Arc<AtomicUsize>) {
    if let Some(mut wheel) = world.get_resource_mut::<TimerWheel<T>>() {
        wheel.count_in(running);
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

fn fire<T: Send + Sync + 'static>(world: &mut World, now: u64) {
    let mut due = Vec::new();
    world.resource_mut::<TimerWheel<T>>().advance(now, &mut due);
    if due.is_empty() {
        return;
    }
    let message = |owner| {
        let id = world.get::<StableId>(owner).copied().unwrap_or(StableId(0));
        TimerFired { owner, id, kind: PhantomData::<fn() -> T> }
    };
    let fired: Vec<_> = due.into_iter().map(message).collect();
    world.resource_mut::<Messages<TimerFired<T>>>().write_batch(fired);
    world.resource_mut::<TimerKinds>().clear.push(|world| world.resource_mut::<Messages<TimerFired<T>>>().clear());
}
