//! Prints a world: a tree of its entities by owner, and every component of an entity in full.

mod line;
mod resources;
mod time;
mod tree;
mod value;

pub use resources::ResourceReport;
pub use time::{duration, seconds, utc};

#[cfg(feature = "cli")]
pub(crate) use line::direction;

use bevy_ecs::prelude::*;
use ringworld_components::kernel::{Now, Registry, StableId, StableIds, TimerCounts};
use ringworld_components::sip::Registrations;
use std::fmt::Write;
use tree::Tree;
use value::{Names, readable};

/// Everything in a world: sessions with their usages, dialogs, streams, transactions and timers, then rooms, entities
/// that belong to no other, and the registered bindings. `now` is the time to which waits and ages are counted: that
/// of the world, or a later one up to which nothing happened.
pub fn overview(world: &World, now: Now) -> String {
    let tree = Tree::of(world, now);
    let mut under: Vec<(&str, String, usize)> =
        ["sessions", "rooms"].map(|heading| (heading, String::new(), 0)).to_vec();
    for root in tree.roots() {
        let heading = tree.heading(root);
        let at = under.iter().position(|(other, ..)| *other == heading).unwrap_or_else(|| {
            under.push((heading, String::new(), 0));
            under.len() - 1
        });
        if let Some((_, text, count)) = under.get_mut(at) {
            tree.draw(root, text);
            *count += 1;
        }
    }
    let mut text = String::new();
    for (heading, body, count) in &under {
        let _ = writeln!(text, "{heading}: {count}\n{body}");
    }
    let used = ResourceReport::of(world);
    if used != ResourceReport::default() {
        let _ = writeln!(text, "resources: {used}\n");
    }
    registrations(world, now, &mut text);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The registered users and their bindings. Bindings are no entities: a REGISTER removes those that have expired.
fn registrations(world: &World, now: Now, text: &mut String) {
    let Some(known) = world.get_resource::<Registrations>().filter(|known| known.bindings() > 0) else { return };
    let _ = writeln!(text, "registrations: {}", known.bindings());
    for (address, binding) in known.0.iter().flat_map(|(address, all)| all.iter().map(move |one| (address, one))) {
        let left = binding.expires.since(now);
        let left = if binding.expires > now { format!("for {}", duration(left)) } else { "expired".to_owned() };
        let (contact, peer, transport) = (&binding.contact, binding.target.remote, binding.target.transport);
        let _ = writeln!(text, "{address} at {contact}, by {peer} over {transport}, {left}");
    }
}

/// The tree that an entity belongs to, and then every component of all in it. `None` if there is no such entity.
pub fn whole(world: &World, id: StableId, now: Now) -> Option<String> {
    let entity = world.resource::<StableIds>().find(id)?;
    let (tree, names) = (Tree::of(world, now), Names::of(world));
    let root = tree.root_of(entity);
    let mut text = String::new();
    tree.draw(root, &mut text);
    // Of a session all that belongs to it, of anything else itself.
    let members = if root == entity { tree.members(root) } else { vec![entity] };
    for member in members {
        text.push('\n');
        components(world, member, now, &names, &mut text);
    }
    Some(text)
}

/// Every component of one entity. `None` if there is no such entity.
pub fn entity(world: &World, id: StableId) -> Option<String> {
    let entity = world.resource::<StableIds>().find(id)?;
    let mut text = String::new();
    components(world, entity, *world.resource::<Now>(), &Names::of(world), &mut text);
    Some(text)
}

// Writing to a string can't fail.
fn components(world: &World, entity: Entity, now: Now, names: &Names, text: &mut String) {
    let Ok(entity) = world.get_entity(entity) else { return };
    let id = entity.get::<StableId>().map(StableId::to_string).unwrap_or_default();
    let _ = writeln!(text, "{id} {}", line::about(world, entity, now));
    for (name, value) in world.resource::<Registry>().describe(entity) {
        let _ = writeln!(text, "  {name}");
        text.push_str(&readable(&value, names, 4));
    }
    for (name, at) in TimerCounts::of(world, entity.id()) {
        let _ = writeln!(text, "  timer {name}\n    fires at {}", seconds(at));
    }
}
