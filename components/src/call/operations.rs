//! How systems ask for operations, make entities and start timers, without an order among the systems that do so.

use super::{AboutCall, Counters, Fault, Faults, contain};
use crate::edge::{Operation, OperationPriority};
use crate::kernel::{Now, StableIds, TimerWheel};
use crate::record::Record;
use bevy_ecs::entity::EntityAllocator;
use bevy_ecs::prelude::*;
use bevy_ecs::system::{Deferred, SystemBuffer, SystemMeta, SystemParam};
use bevy_ecs::world::DeferredWorld;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What a system writes: operations, entities, components and timers.
///
/// Each system writes into a buffer of its own, so any number of systems do so without an order among them. The buffers
/// are merged after `Phase::Behaviour` and at the end of the tick, in the order in which the systems were added to the
/// world (which is that of their plugins): entities get their stable ids then, and so no id depends on the order in
/// which systems ran. Operations are carried out in `Phase::Admission`: in this tick if they were written in
/// `Phase::Behaviour` or earlier, else in the next one.
///
/// ```
/// # use ringworld_components::call::{Answered, Operations};
/// # use ringworld_components::edge::Operation;
/// # use bevy_ecs::prelude::*;
/// fn greet(mut answered: MessageReader<Answered>, mut operations: Operations) {
///     operations.for_each_call(answered.read(), |operations, call| {
///         operations.write(Operation::announce(call.session, "welcome"));
///     });
/// }
/// ```
#[derive(SystemParam)]
pub struct Operations<'w, 's> {
    buffer: Deferred<'s, WriteBuffer>,
    now: Res<'w, Now>,
    allocator: &'w EntityAllocator,
}

/// Names an operation that a system asked for, and comes back in [`OperationDone`](super::OperationDone).
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// The tick in which it was written.
    pub tick: Now,
    /// The number of the system, in the order in which systems were added to the world.
    pub system: u32,
    /// How many operations the system had written before in that tick.
    pub number: u32,
}

impl Operations<'_, '_> {
    /// Asks for an operation. If it is refused, an [`OperationDone`](super::OperationDone) with this ticket says so.
    pub fn write(&mut self, operation: Operation) -> Ticket {
        self.push(operation, OperationPriority::Normal, false)
    }

    /// Asks for an operation of another priority than [`OperationPriority::Normal`]. The highest that a system can have
    /// is [`OperationPriority::High`].
    pub fn write_with(&mut self, priority: OperationPriority, operation: Operation) -> Ticket {
        self.push(operation, priority.min(OperationPriority::High), false)
    }

    /// Asks for an operation whose result is wanted in any case: an [`OperationDone`](super::OperationDone) with this
    /// ticket brings it.
    pub fn request(&mut self, operation: Operation) -> Ticket {
        self.push(operation, OperationPriority::Normal, true)
    }

    fn push(&mut self, operation: Operation, priority: OperationPriority, wants_result: bool) -> Ticket {
        let WriteBuffer { system, tick, number, items, .. } = &mut *self.buffer;
        if *tick != *self.now {
            (*tick, *number) = (*self.now, 0);
        }
        let ticket = Ticket { tick: *tick, system: *system, number: *number };
        *number += 1;
        items.push(Item::Operation(Box::new(WrittenOperation { priority, ticket, wants_result, operation })));
        ticket
    }

    /// Spawns an entity with a stable id. It exists from the merge on; until then components can be inserted into it
    /// and timers started for it here.
    pub fn spawn(&mut self, bundle: impl Bundle) -> Entity {
        let entity = self.allocator.alloc();
        self.defer(move |world| {
            let id = world.resource_mut::<StableIds>().mint();
            // The entity was reserved for this very command.
            let _ = world.spawn_at(entity, (id, bundle));
        });
        entity
    }

    /// Despawns an entity that a plugin has spawned. Nothing happens if it is gone.
    pub fn despawn(&mut self, entity: Entity) {
        self.defer(move |world| {
            let _ = world.try_despawn(entity);
        });
    }

    /// Inserts components into an entity. Nothing happens if it is gone.
    pub fn insert(&mut self, entity: Entity, bundle: impl Bundle) {
        self.defer(move |world| {
            if let Ok(mut entity) = world.get_entity_mut(entity) {
                entity.insert(bundle);
            }
        });
    }

    /// Removes a component from an entity. Nothing happens if it is gone.
    pub fn remove<C: Component>(&mut self, entity: Entity) {
        self.defer(move |world| {
            if let Ok(mut entity) = world.get_entity_mut(entity) {
                entity.remove::<C>();
            }
        });
    }

    /// Starts the timer of kind `T` of `owner`, or starts it anew: it fires `after` the tick of this call.
    pub fn start_timer<T: Send + Sync + 'static>(&mut self, owner: Entity, after: Duration) {
        let deadline = self.now.after(after);
        self.defer(move |world| {
            if world.get_entity(owner).is_ok() {
                world.resource_mut::<TimerWheel<T>>().start(owner, deadline.0);
            }
        });
    }

    /// Stops the timer of kind `T` of `owner`. Nothing happens if none is running.
    pub fn cancel_timer<T: Send + Sync + 'static>(&mut self, owner: Entity) {
        self.defer(move |world| {
            world.resource_mut::<TimerWheel<T>>().cancel(owner);
        });
    }

    fn defer(&mut self, command: impl FnOnce(&mut World) + Send + Sync + 'static) {
        let culprit = self.buffer.culprit;
        self.buffer.items.push(Item::Command { culprit, command: Box::new(command) });
    }

    /// Does the work for each of `items`, which are facts or fired timers. A panic costs the call that the item is
    /// about and nothing else: what was written here for it is taken back, the call is ended (500, CANCEL or BYE), and
    /// the panic is counted under the name of the system. What the work changed otherwise stays.
    pub fn for_each_call<'a, T, W>(&mut self, items: impl IntoIterator<Item = &'a T>, mut work: W)
    where
        T: AboutCall + 'a,
        W: FnMut(&mut Self, &'a T),
    {
        for item in items {
            let (written, number) = (self.buffer.items.len(), self.buffer.number);
            self.buffer.culprit = Some(item.entity());
            // After the unwinding only the call's own state is seen, and it is only looked at to end it.
            let done = catch_unwind(AssertUnwindSafe(|| work(self, item)));
            self.buffer.culprit = None;
            if done.is_ok() {
                continue;
            }
            self.buffer.items.truncate(written);
            self.buffer.number = number;
            let system = std::any::type_name::<W>();
            let system = system.strip_suffix("::{{closure}}").unwrap_or(system).to_owned();
            self.buffer.items.push(Item::Fault(Fault { culprit: item.entity(), system }));
        }
    }
}

/// An operation that waits to be carried out.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct WrittenOperation {
    /// Whether it comes before others of the same tick.
    pub priority: OperationPriority,
    /// Its ticket: what it is ordered by among those of the same priority.
    pub ticket: Ticket,
    /// Whether its result is told even if it succeeds.
    pub wants_result: bool,
    /// What to do.
    pub operation: Operation,
}

/// The operations that systems have written and that are not carried out yet.
#[derive(Resource, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationQueue(pub Vec<WrittenOperation>);

enum Item {
    Operation(Box<WrittenOperation>),
    Command { culprit: Option<Entity>, command: Box<dyn FnOnce(&mut World) + Send + Sync> },
    Fault(Fault),
}

/// The buffer of one system.
pub struct WriteBuffer {
    system: u32,
    tick: Now,
    number: u32,
    /// The call that is worked for.
    culprit: Option<Entity>,
    items: Vec<Item>,
}

impl FromWorld for WriteBuffer {
    /// Systems are initialised in the order in which they were added, so this numbers them in that order.
    fn from_world(world: &mut World) -> Self {
        let mut buffers = world.get_resource_or_insert_with(WrittenBuffers::default);
        buffers.systems += 1;
        Self { system: buffers.systems, tick: Now::default(), number: 0, culprit: None, items: Vec::new() }
    }
}

impl SystemBuffer for WriteBuffer {
    fn queue(&mut self, _: &SystemMeta, mut world: DeferredWorld) {
        if !self.items.is_empty() {
            let items = std::mem::take(&mut self.items);
            world.resource_mut::<WrittenBuffers>().written.push((self.system, items));
        }
    }
}

/// What systems have written since the last merge. Empty between ticks.
#[derive(Resource, Default)]
pub struct WrittenBuffers {
    /// How many systems write.
    systems: u32,
    written: Vec<(u32, Vec<Item>)>,
}

impl WrittenBuffers {
    /// Whether nothing waits to be merged.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }
}

impl fmt::Debug for WrittenBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrittenBuffers of {} systems, {} of them not merged", self.systems, self.written.len())
    }
}

/// The most operations that wait to be carried out. More are dropped and counted.
const OPERATIONS_MAX: usize = 1_000_000;

/// Merges what systems have written, in the order of the systems: entities, components and timers at once, operations
/// into the [`OperationQueue`].
pub fn merge_written(world: &mut World) {
    if world.resource::<WrittenBuffers>().is_empty() {
        return;
    }
    let mut written = std::mem::take(&mut world.resource_mut::<WrittenBuffers>().written);
    written.sort_by_key(|(system, _)| *system);
    for item in written.into_iter().flat_map(|(_, items)| items) {
        match item {
            Item::Operation(operation) => {
                let mut queue = world.resource_mut::<OperationQueue>();
                if queue.0.len() < OPERATIONS_MAX {
                    queue.0.push(*operation);
                } else {
                    world.resource_mut::<Counters>().hit_limit("operations");
                }
            }
            Item::Command { culprit: None, command } => command(world),
            Item::Command { culprit, command } => contain(world, "merge_written", culprit, command),
            Item::Fault(fault) => {
                world.resource_mut::<Counters>().panicked(&fault.system);
                world.resource_mut::<Faults>().0.push(fault);
            }
        }
    }
}
