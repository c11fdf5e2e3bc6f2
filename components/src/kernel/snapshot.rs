//! The whole world as two digests, and compared with another.

use super::registry::ScratchChecks;
use super::{Channel, Registry, StableId};
use crate::record::{Encoder, Record};
use bevy_ecs::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The digests of a world: independent of the order in which entities were spawned or are stored.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest {
    /// Of everything but audio.
    pub control: u64,
    /// Of jitter buffers, codecs and packet counters.
    pub media: u64,
}

/// Where two worlds differ first, in the order of stable ids; resources come before entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The entity, or `None` for a resource.
    pub entity: Option<StableId>,
    /// The name of the component or resource.
    pub name: String,
    /// Whether only one of the two worlds has it.
    pub only_in_one: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.only_in_one { "is only in one of the worlds" } else { "differs" };
        match self.entity {
            Some(id) => write!(f, "{} of entity {id} {how}", self.name),
            None => write!(f, "resource {} {how}", self.name),
        }
    }
}

/// Digests the whole world. Costs about as much as encoding it.
pub fn digest(world: &World) -> Digest {
    let mut digest = Digest::default();
    let Some(registry) = world.get_resource::<Registry>() else { return digest };
    let name_of = |bits| stable_id_bits(world, bits);
    let mut bytes = Vec::new();
    let mut add = |channel: Channel, hash: u64| match channel {
        Channel::Control => digest.control = digest.control.wrapping_add(hash),
        Channel::Media => digest.media = digest.media.wrapping_add(hash),
    };
    for entry in &registry.resources {
        bytes.clear();
        (entry.encode)(world, &mut Encoder::of_digest(&mut bytes, &name_of));
        add(entry.channel, xxh3_64_with_seed(&bytes, xxh3_64(entry.name.as_bytes())));
    }
    let tags: Vec<u64> = registry.components.iter().map(|entry| xxh3_64(entry.name.as_bytes())).collect();
    for entity in world.iter_entities() {
        let Some(id) = entity.get::<StableId>() else { continue };
        for (entry, tag) in registry.components.iter().zip(&tags) {
            bytes.clear();
            bytes.extend_from_slice(&id.0.to_le_bytes());
            if (entry.encode)(entity, &mut Encoder::of_digest(&mut bytes, &name_of)) {
                add(entry.channel, xxh3_64_with_seed(&bytes, *tag));
            }
        }
    }
    digest
}

/// Where two worlds of the same build differ first; `None` if they hold the same.
pub fn difference(a: &World, b: &World) -> Option<Difference> {
    differences(a, b).into_iter().next()
}

/// Everything in which two worlds of the same build differ, in the order of stable ids; resources come first.
pub fn differences(a: &World, b: &World) -> Vec<Difference> {
    let (Some(of_a), Some(of_b)) = (a.get_resource::<Registry>(), b.get_resource::<Registry>()) else {
        return Vec::new();
    };
    let (a, b) = (of_a.parts(a), of_b.parts(b));
    let keys: BTreeSet<&Key> = a.0.keys().chain(b.0.keys()).collect();
    keys.into_iter()
        .filter(|key| a.0.get(*key) != b.0.get(*key))
        .map(|key| Difference {
            entity: (key.0 != 0).then_some(StableId(key.0)),
            name: key.1.to_owned(),
            only_in_one: !(a.0.contains_key(key) && b.0.contains_key(key)),
        })
        .collect()
}

/// Whether every scratch resource is empty.
pub(super) fn scratch_is_empty(world: &World) -> bool {
    world.get_resource::<ScratchChecks>().is_none_or(|checks| checks.not_empty(world).next().is_none())
}

type Key = (u64, &'static str);

/// Every recorded value by stable id (0 for resources) and name.
pub(super) struct Parts(BTreeMap<Key, Vec<u8>>);

impl Parts {
    pub(super) fn of(registry: &Registry, world: &World) -> Self {
        let name_of = |bits| stable_id_bits(world, bits);
        let mut parts = BTreeMap::new();
        for entry in &registry.resources {
            let mut bytes = Vec::new();
            (entry.encode)(world, &mut Encoder::of_digest(&mut bytes, &name_of));
            parts.insert((0, entry.name), bytes);
        }
        for entity in world.iter_entities() {
            let Some(id) = entity.get::<StableId>() else { continue };
            for entry in &registry.components {
                let mut bytes = Vec::new();
                if (entry.encode)(entity, &mut Encoder::of_digest(&mut bytes, &name_of)) {
                    parts.insert((id.0, entry.name), bytes);
                }
            }
        }
        Self(parts)
    }
}

pub(super) fn stable_id_bits(world: &World, bits: u64) -> u64 {
    let entity = Entity::try_from_bits(bits).and_then(|entity| world.get_entity(entity).ok());
    entity.and_then(|entity| entity.get::<StableId>()).map_or(0, |id| id.0)
}

#[cfg(test)]
mod tests {
    use super::super::encode::MAGIC;
    use super::super::{EncodeBuffers, KernelPlugin, RecordApp, RestoreError, StableIds};
    use super::super::{encode_world, encode_world_with, restore_world};
    use super::*;
    use bevy_app::App;

    #[derive(Component, Record, Debug)]
    struct Wheels(u32);

    #[derive(Component, Record, Debug)]
    struct Trailer(Entity);

    #[derive(Component, Record, Debug)]
    struct Horn(u8);

    #[derive(Resource, Record, Default)]
    struct Mileage(u64);

    fn yard() -> App {
        let mut app = App::empty();
        app.add_plugins(KernelPlugin::default());
        app.record::<Wheels>("yard.wheels").record::<Trailer>("yard.trailer").record_media::<Horn>("yard.horn");
        app.record_resource(Mileage::default(), "yard.mileage");
        app
    }

    /// Two carts, the first of which pulls the second.
    fn with_carts() -> App {
        let mut app = yard();
        let world = app.world_mut();
        let [first, second] = [(); 2].map(|()| world.resource_mut::<StableIds>().mint());
        let pulled = world.spawn((second, Wheels(2), Horn(9))).id();
        world.spawn((first, Wheels(4), Trailer(pulled)));
        world.resource_mut::<Mileage>().0 = 77;
        app
    }

    fn entity(app: &App, id: u64) -> Entity {
        app.world().resource::<StableIds>().find(StableId(id)).expect("a cart")
    }

    #[test]
    fn a_restored_world_is_the_same_in_whatever_order_it_is_spawned() {
        let (was, snapshot) = (with_carts(), encode_world(with_carts().world()));
        let backwards = |count: usize| (0..count).rev().collect();
        for order in [None, Some(&backwards as &dyn Fn(usize) -> Vec<usize>)] {
            let mut app = yard();
            restore_world(app.world_mut(), &snapshot, order).expect("a snapshot of the same build");
            assert_eq!(digest(app.world()), digest(was.world()));
            assert_eq!(difference(app.world(), was.world()), None);
            assert_eq!(encode_world(app.world()), snapshot);
            let pulled = app.world().get::<Trailer>(entity(&app, 1)).expect("a trailer").0;
            assert_eq!(pulled, entity(&app, 2), "references are found again");
        }
    }

    #[test]
    fn what_an_encoding_left_behind_does_not_show_in_the_next() {
        let (carts, empty) = (with_carts(), yard());
        let mut buffers = EncodeBuffers::default();
        for app in [&carts, &empty, &carts] {
            let snapshot = encode_world_with(app.world(), &mut buffers);
            assert_eq!(snapshot, encode_world(app.world()));
            buffers.take_back(snapshot);
        }
    }

    #[test]
    fn each_value_is_in_the_digest_of_its_channel_and_a_difference_is_named() {
        let before = digest(with_carts().world());
        let changed = |change: fn(&mut App)| {
            let mut app = with_carts();
            change(&mut app);
            let now = digest(app.world());
            let found = difference(app.world(), with_carts().world()).expect("a difference");
            (now.control != before.control, now.media != before.media, found.to_string())
        };
        let wheels = changed(|app| {
            let cart = entity(app, 1);
            app.world_mut().get_mut::<Wheels>(cart).expect("wheels").0 = 5;
        });
        assert_eq!(wheels, (true, false, "yard.wheels of entity #1 differs".into()));
        let horn = changed(|app| {
            let cart = entity(app, 2);
            app.world_mut().entity_mut(cart).remove::<Horn>();
        });
        assert_eq!(horn, (false, true, "yard.horn of entity #2 is only in one of the worlds".into()));
        let mileage = changed(|app| app.world_mut().resource_mut::<Mileage>().0 += 1);
        assert_eq!(mileage, (true, false, "resource yard.mileage differs".into()));
    }

    #[test]
    fn a_snapshot_of_another_build_or_a_damaged_one_is_refused() {
        let snapshot = encode_world(with_carts().world());
        let mut other = App::empty();
        other.add_plugins(KernelPlugin::default());
        let refused = restore_world(other.world_mut(), &snapshot, None);
        assert!(matches!(&refused, Err(RestoreError::Schema { name, .. }) if name.starts_with("yard.")), "{refused:?}");
        assert_eq!(restore_world(yard().world_mut(), b"RWS0", None), Err(RestoreError::Format));
        for length in MAGIC.len()..snapshot.len() {
            let cut = restore_world(yard().world_mut(), &snapshot[..length], None);
            assert!(matches!(cut, Err(RestoreError::Damaged(_))), "{length}: {cut:?}");
        }
    }
}
