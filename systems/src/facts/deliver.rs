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
    let announces = announces(world.resource::<Settings>());
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
pub(super) fn publish_events(
    mut facts: ResMut<FactQueue>,
    mut events: ResMut<Queue<Event>>,
    mut outputs: ResMut<Queue<Output>>,
    settings: Res<Settings>,
) {
    if !facts.is_empty() {
        events.0.extend(facts.publish_waiting(announces(&settings)));
    }
    if !events.is_empty() {
        outputs.0.extend(events.take().into_iter().map(Output::Event));
    }
}

/// An offered call is announced only where something outside decides about calls.
fn announces(settings: &Settings) -> bool {
    settings.services.ask_handler
}
