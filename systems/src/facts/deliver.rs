//! From the queue of facts to messages and events.

use bevy_ecs::prelude::*;
use ringworld_components::call::{Fact, FactQueue, Queue, Settings};
use ringworld_components::edge::{Event, Output};

/// Whether the messages of facts may hold something.
#[derive(Resource, Default, Debug)]
pub(super) struct Delivered(pub bool);

/// Makes messages of all facts that wait, once, before `Phase::Behaviour`.
pub(super) fn deliver_facts(world: &mut World) {
    if world.resource::<FactQueue>().is_empty() {
        return;
    }
    let announces = announces(world);
    let mut queue = world.resource_mut::<FactQueue>();
    let facts = queue.take();
    let events = queue.publish(&facts, announces);
    world.resource_mut::<Queue<Event>>().0.extend(events);
    world.resource_mut::<Delivered>().0 = true;
    for fact in facts {
        fact.deliver(world);
    }
}

/// Removes the messages again after `Phase::Behaviour`: what is raised from then on waits for the next tick.
pub(super) fn clear_facts(world: &mut World) {
    if std::mem::take(&mut world.resource_mut::<Delivered>().0) {
        Fact::clear_delivered(world);
    }
}

/// The events of all facts of this tick leave behind the messages that were sent in it.
pub(super) fn publish_events(world: &mut World) {
    if !world.resource::<FactQueue>().is_empty() {
        let announces = announces(world);
        let events = world.resource_mut::<FactQueue>().publish_waiting(announces);
        world.resource_mut::<Queue<Event>>().0.extend(events);
    }
    if world.resource::<Queue<Event>>().is_empty() {
        return;
    }
    let events = world.resource_mut::<Queue<Event>>().take().into_iter();
    world.resource_mut::<Queue<Output>>().0.extend(events.map(Output::Event));
}

/// An offered call is announced only where something outside decides about calls.
fn announces(world: &World) -> bool {
    world.resource::<Settings>().services.ask_handler
}
