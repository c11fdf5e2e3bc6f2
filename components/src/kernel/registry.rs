//! What the world is made of: everything that is recorded, and everything that is declared not to be.

use super::StableId;
use super::migrate::Migration;
use super::plugins::list_hash;
use super::snapshot::Parts;
use crate::record::{DecodeError, Decoder, Encoder, Record, Shape};
use bevy_app::App;
use bevy_ecs::component::ComponentId;
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use std::fmt::Debug;
use xxhash_rust::xxh3::xxh3_64;

/// Which of the two digests a value belongs to.
///
/// Media influence control only through recorded facts, so a recording without payloads still claims the control
/// digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Signalling, sessions, rooms, timers: everything but audio.
    Control,
    /// Jitter buffers, codecs, packet counters.
    Media,
}

pub(super) struct ComponentEntry {
    pub id: ComponentId,
    pub name: &'static str,
    /// How many plugins the list held when this was recorded: its plugin is the last of them.
    pub plugin: usize,
    pub channel: Channel,
    pub shape: u64,
    pub encode: fn(EntityRef, &mut Encoder<'_>) -> bool,
    pub decode: DecodeColumn,
    pub debug: fn(EntityRef) -> Option<String>,
}

/// Decodes one value for each of the entities, and gives it to them. `entity_of` finds entities by stable id.
pub(super) type DecodeColumn =
    fn(&[(Entity, &[u8])], &dyn Fn(u64) -> Option<u64>, &mut World) -> Result<(), DecodeError>;

pub(super) struct ResourceEntry {
    pub id: ComponentId,
    pub name: &'static str,
    /// As in [`ComponentEntry`].
    pub plugin: usize,
    pub channel: Channel,
    pub shape: u64,
    pub encode: fn(&World, &mut Encoder<'_>),
    pub decode: fn(&mut Decoder<'_>, &mut World) -> Result<(), DecodeError>,
}

struct Exempt {
    name: String,
    is_empty: fn(&World) -> bool,
}

/// The list of all recorded components and resources, and of those that are exempt and why.
#[derive(Resource, Default)]
pub struct Registry {
    pub(super) components: Vec<ComponentEntry>,
    pub(super) resources: Vec<ResourceEntry>,
    pub(super) migrations: Vec<Migration>,
    /// Hashes of the lists of plugins whose snapshots are taken.
    pub(super) plugin_migrations: Vec<u64>,
    /// The names of the plugins, in the order in which they were added.
    plugins: Vec<String>,
    known: Vec<ComponentId>,
    exempt: Vec<Exempt>,
}

/// A component or resource that breaks the rule of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unregistered {
    /// It is in the world but neither recorded nor declared scratch or derived.
    Unknown(String),
    /// It was declared scratch but is not empty at the end of a tick.
    NotEmpty(String),
    /// It is recorded, but on an entity without a stable id: no digest and no snapshot holds it.
    Nameless(String),
}

impl Registry {
    /// A hash of all names and shapes and of the ordered list of plugins: two builds with the same one read each
    /// other's snapshots and logs.
    pub fn schema(&self) -> u64 {
        let mut text = Vec::new();
        for (name, shape) in self.names() {
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(&shape.to_le_bytes());
        }
        text.extend_from_slice(&list_hash(&self.plugins).to_le_bytes());
        xxh3_64(&text)
    }

    /// Puts a plugin at the end of the list of plugins. What is recorded from here on is owned by it.
    pub fn begin_plugin(&mut self, name: &str) {
        self.plugins.push(name.to_owned());
    }

    /// The names of the plugins, in the order in which they were added.
    pub fn plugins(&self) -> &[String] {
        &self.plugins
    }

    /// The name that a component or resource is recorded under.
    pub fn name_of(&self, id: ComponentId) -> Option<&'static str> {
        let mut components = self.components.iter().filter(|entry| entry.id == id).map(|entry| entry.name);
        let mut resources = self.resources.iter().filter(|entry| entry.id == id).map(|entry| entry.name);
        components.next().or_else(|| resources.next())
    }

    /// The names of the components and resources that a plugin records, in the order in which it registered them.
    pub fn owned_by(&self, plugin: &str) -> Vec<&'static str> {
        let is_owner =
            |at: usize| at.checked_sub(1).and_then(|at| self.plugins.get(at)).is_some_and(|name| name == plugin);
        let components = self.components.iter().filter(|entry| is_owner(entry.plugin)).map(|entry| entry.name);
        components.chain(self.resources.iter().filter(|entry| is_owner(entry.plugin)).map(|entry| entry.name)).collect()
    }

    /// The name of every recorded component and resource with a hash of its shape, by name.
    pub fn names(&self) -> Vec<(&'static str, u64)> {
        let components = self.components.iter().map(|entry| (entry.name, entry.shape));
        let resources = self.resources.iter().map(|entry| (entry.name, entry.shape));
        let mut names: Vec<_> = components.chain(resources).collect();
        names.sort_unstable();
        names
    }

    /// Every component and resource of `world` that is neither recorded nor declared scratch (and empty) or derived,
    /// and every recorded one that nothing finds because its entity has no stable id.
    pub fn unregistered(&self, world: &World) -> Vec<Unregistered> {
        let mut found = Vec::new();
        let stable_id = world.component_id::<StableId>();
        for archetype in world.archetypes().iter().filter(|archetype| !archetype.is_empty()) {
            if stable_id.is_none_or(|id| !archetype.contains(id)) {
                let nameless = self.components.iter().filter(|entry| archetype.contains(entry.id));
                found.extend(nameless.map(|entry| Unregistered::Nameless(entry.name.to_owned())));
            }
            for &id in archetype.components() {
                if !self.known.contains(&id) {
                    let name =
                        world.components().get_name(id).map_or_else(|| format!("{id:?}"), |name| name.to_string());
                    found.push(Unregistered::Unknown(name));
                }
            }
        }
        for exempt in &self.exempt {
            if !(exempt.is_empty)(world) {
                found.push(Unregistered::NotEmpty(exempt.name.clone()));
            }
        }
        if let Some(checks) = world.get_resource::<ScratchChecks>() {
            found.extend(checks.not_empty(world).map(|name| Unregistered::NotEmpty(name.to_owned())));
        }
        found.dedup();
        found
    }

    /// What the entity's recorded components hold, as text, by name.
    pub fn describe(&self, entity: EntityRef) -> Vec<(&'static str, String)> {
        let mut lines: Vec<_> =
            self.components.iter().filter_map(|entry| Some((entry.name, (entry.debug)(entity)?))).collect();
        lines.sort_unstable();
        lines
    }

    pub(super) fn knows(&mut self, id: ComponentId) {
        if !self.known.contains(&id) {
            self.known.push(id);
        }
    }

    fn insist_on_new_name(&self, name: &str) {
        let taken = self.names().iter().any(|(other, _)| *other == name);
        assert!(!taken, "two components or resources are recorded under the name {name:?}");
    }

    /// The parts of a world by entity, for comparison; see [`super::difference`].
    pub(super) fn parts(&self, world: &World) -> Parts {
        Parts::of(self, world)
    }
}

/// Registers what a plugin adds to the world.
///
/// These are programming-time declarations: a name given twice is a panic at start-up.
pub trait RecordApp {
    /// Records the component `C` under `name`, in the control digest.
    fn record<C: Component + Record + Debug>(&mut self, name: &'static str) -> &mut Self;
    /// Records the component `C` under `name`, in the media digest.
    fn record_media<C: Component + Record + Debug>(&mut self, name: &'static str) -> &mut Self;
    /// Inserts the resource and records it under `name`, in the control digest.
    fn record_resource<R: Resource + Record>(&mut self, value: R, name: &'static str) -> &mut Self;
    /// Inserts the resource and records it under `name`, in the media digest.
    fn record_media_resource<R: Resource + Record>(&mut self, value: R, name: &'static str) -> &mut Self;
    /// Adds a message that is written and read within a tick. None is left at the end of a tick.
    fn record_message<M: Message>(&mut self) -> &mut Self;
    /// Adds a message that its writer removes again in the tick in which it was written.
    fn cleared_message<M: Message>(&mut self) -> &mut Self;
    /// Declares a resource that holds nothing between ticks, and inserts it.
    fn scratch<R: Resource + Default>(&mut self, is_empty: fn(&R) -> bool) -> &mut Self;
    /// Declares a component that follows from recorded ones by a hook, such as the target of a relationship.
    fn derived<C: Component>(&mut self) -> &mut Self;
    /// Declares and inserts a resource that is the same in every run of the same build and configuration, or that
    /// nothing recorded depends on.
    fn unrecorded_resource<R: Resource>(&mut self, value: R) -> &mut Self;
}

impl RecordApp for App {
    fn record<C: Component + Record + Debug>(&mut self, name: &'static str) -> &mut Self {
        record_component::<C>(self, name, Channel::Control)
    }

    fn record_media<C: Component + Record + Debug>(&mut self, name: &'static str) -> &mut Self {
        record_component::<C>(self, name, Channel::Media)
    }

    fn record_resource<R: Resource + Record>(&mut self, value: R, name: &'static str) -> &mut Self {
        record_resource(self, value, name, Channel::Control)
    }

    fn record_media_resource<R: Resource + Record>(&mut self, value: R, name: &'static str) -> &mut Self {
        record_resource(self, value, name, Channel::Media)
    }

    fn record_message<M: Message>(&mut self) -> &mut Self {
        self.add_message::<M>();
        self.cleared_message::<M>()
    }

    fn cleared_message<M: Message>(&mut self) -> &mut Self {
        self.init_resource::<Messages<M>>();
        exempt::<Messages<M>>(self, |world| world.get_resource::<Messages<M>>().is_none_or(Messages::is_empty))
    }

    fn scratch<R: Resource + Default>(&mut self, is_empty: fn(&R) -> bool) -> &mut Self {
        self.init_resource::<R>();
        self.world_mut()
            .resource_mut::<ScratchChecks>()
            .0
            .push((std::any::type_name::<R>(), Box::new(move |world| world.get_resource::<R>().is_none_or(is_empty))));
        exempt::<R>(self, |_| true)
    }

    fn derived<C: Component>(&mut self) -> &mut Self {
        let id = self.world_mut().register_component::<C>();
        self.world_mut().resource_mut::<Registry>().knows(id);
        self
    }

    fn unrecorded_resource<R: Resource>(&mut self, value: R) -> &mut Self {
        self.insert_resource(value);
        exempt::<R>(self, |_| true)
    }
}

/// The emptiness checks of scratch resources; closures, so they can't stand in [`Exempt`].
#[derive(Resource, Default)]
pub(super) struct ScratchChecks(Vec<(&'static str, Check)>);

type Check = Box<dyn Fn(&World) -> bool + Send + Sync>;

impl ScratchChecks {
    /// The scratch resources that hold something.
    pub(super) fn not_empty(&self, world: &World) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter(|(_, is_empty)| !is_empty(world)).map(|(name, _)| *name)
    }
}

fn exempt<R: Resource>(app: &mut App, is_empty: fn(&World) -> bool) -> &mut App {
    let id = app.world_mut().register_component::<R>();
    let name = std::any::type_name::<R>().to_owned();
    let mut registry = app.world_mut().resource_mut::<Registry>();
    registry.knows(id);
    registry.exempt.push(Exempt { name, is_empty });
    app
}

fn record_component<'a, C: Component + Record + Debug>(
    app: &'a mut App,
    name: &'static str,
    channel: Channel,
) -> &'a mut App {
    let id = app.world_mut().register_component::<C>();
    let mut registry = app.world_mut().resource_mut::<Registry>();
    registry.insist_on_new_name(name);
    registry.knows(id);
    let plugin = registry.plugins.len();
    registry.components.push(ComponentEntry {
        id,
        name,
        plugin,
        channel,
        shape: xxh3_64(Shape::of::<C>().as_bytes()),
        encode: |entity, to| entity.get::<C>().map(|component| component.encode(to)).is_some(),
        decode: |values, entity_of, world| {
            let decode = |&(entity, bytes): &(Entity, &[u8])| {
                Ok((entity, C::decode(&mut Decoder::with_entities(bytes, entity_of))?))
            };
            let column = values.iter().map(decode).collect::<Result<Vec<_>, DecodeError>>()?;
            world.insert_batch(column);
            Ok(())
        },
        debug: |entity| entity.get::<C>().map(|component| format!("{component:?}")),
    });
    app
}

fn record_resource<'a, R: Resource + Record>(
    app: &'a mut App,
    value: R,
    name: &'static str,
    channel: Channel,
) -> &'a mut App {
    app.insert_resource(value);
    let id = app.world_mut().register_component::<R>();
    let mut registry = app.world_mut().resource_mut::<Registry>();
    registry.insist_on_new_name(name);
    registry.knows(id);
    let plugin = registry.plugins.len();
    registry.resources.push(ResourceEntry {
        id,
        name,
        plugin,
        channel,
        shape: xxh3_64(Shape::of::<R>().as_bytes()),
        encode: |world, to| {
            if let Some(resource) = world.get_resource::<R>() {
                resource.encode(to);
            }
        },
        decode: |from, world| {
            let value = R::decode(from)?;
            world.insert_resource(value);
            Ok(())
        },
    });
    app
}
