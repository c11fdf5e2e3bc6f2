//! The whole world as bytes.
//!
//! A snapshot is a format version, the hash of the schema, the list of plugins, the names and shapes of everything
//! recorded, the resources, the stable ids of all entities, and then one column for each component: which entities have
//! it, how long each value is, and the values. Each name is written once, and a value can be handed to a migration
//! without being understood.

use super::snapshot::stable_id_bits;
use super::{Registry, StableId};
use crate::record::{Encoder, Record};
use bevy_ecs::prelude::*;

/// The first bytes of a snapshot; the last one is the version of the format.
pub(super) const MAGIC: &[u8; 4] = b"RWS\x03";

/// One component of all entities that have it.
#[derive(Default)]
struct Column {
    count: u64,
    /// The distance of each entity from the one before, in the list of stable ids.
    steps: Vec<u8>,
    lengths: Vec<u8>,
    values: Vec<u8>,
    next: u64,
}

impl Column {
    fn clear(&mut self) {
        [&mut self.steps, &mut self.lengths, &mut self.values].into_iter().for_each(Vec::clear);
        (self.count, self.next) = (0, 0);
    }

    fn bytes(&self) -> usize {
        self.steps.len() + self.lengths.len() + self.values.len()
    }
}

/// Memory that one snapshot leaves for the next: to take it anew each time costs more than to encode into it.
#[derive(Default)]
pub struct EncodeBuffers {
    entities: Vec<(StableId, Entity)>,
    columns: Vec<Column>,
    out: Vec<u8>,
}

impl EncodeBuffers {
    /// Takes a snapshot that is of no more use.
    pub fn take_back(&mut self, snapshot: Vec<u8>) {
        self.out = snapshot;
    }
}

/// Encodes the whole world, between two ticks. Two worlds that hold the same give the same bytes.
pub fn encode_world(world: &World) -> Vec<u8> {
    encode_world_with(world, &mut EncodeBuffers::default())
}

/// As [`encode_world`], into memory that is there already.
pub fn encode_world_with(world: &World, buffers: &mut EncodeBuffers) -> Vec<u8> {
    let mut out = std::mem::take(&mut buffers.out);
    out.clear();
    out.extend_from_slice(MAGIC);
    let Some(registry) = world.get_resource::<Registry>() else { return out };
    let EncodeBuffers { entities, columns, .. } = buffers;
    entities.clear();
    entities.extend(world.iter_entities().filter_map(|entity| Some((*entity.get::<StableId>()?, entity.id()))));
    entities.sort_unstable_by_key(|(id, _)| *id);
    fill(columns, world, registry, entities);
    // Grown step by step, it would be copied again and again, each time into memory that is not there yet.
    out.reserve(columns.iter().map(Column::bytes).sum::<usize>() + entities.len() * 2);

    let mut to = Encoder::new(&mut out);
    registry.schema().encode(&mut to);
    registry.plugins().to_vec().encode(&mut to);
    let names: Vec<(String, u64)> =
        registry.names().into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect();
    names.encode(&mut to);
    encode_resources(world, registry, &mut to);
    to.number(entities.len() as u64);
    let mut before = 0;
    for (id, _) in entities.iter() {
        to.number(id.0 - before);
        before = id.0;
    }
    to.number(columns.len() as u64);
    for (entry, column) in registry.components.iter().zip(columns.iter()) {
        entry.name.to_owned().encode(&mut to);
        to.number(column.count);
        to.raw(&column.steps);
        to.raw(&column.lengths);
        to.bytes(&column.values);
    }
    out
}

fn encode_resources(world: &World, registry: &Registry, to: &mut Encoder<'_>) {
    let name_of = |bits| stable_id_bits(world, bits);
    let mut bytes = Vec::new();
    to.number(registry.resources.len() as u64);
    for entry in &registry.resources {
        bytes.clear();
        (entry.encode)(world, &mut Encoder::with_names(&mut bytes, &name_of));
        entry.name.to_owned().encode(to);
        to.bytes(&bytes);
    }
}

/// Fills the columns in one pass over the entities: what an entity has is looked up once for each archetype.
fn fill(columns: &mut Vec<Column>, world: &World, registry: &Registry, entities: &[(StableId, Entity)]) {
    let name_of = |bits| stable_id_bits(world, bits);
    columns.iter_mut().for_each(Column::clear);
    columns.resize_with(registry.components.len(), Column::default);
    let mut had: Vec<Option<Vec<usize>>> = world.archetypes().iter().map(|_| None).collect();
    for (position, &(_, entity)) in entities.iter().enumerate() {
        let Ok(entity) = world.get_entity(entity) else { continue };
        let archetype = entity.archetype();
        let Some(had) = had.get_mut(archetype.id().index()) else { continue };
        let of_archetype = had.get_or_insert_with(|| {
            let entries = registry.components.iter().enumerate();
            entries.filter(|(_, entry)| archetype.contains(entry.id)).map(|(at, _)| at).collect()
        });
        for &at in of_archetype.iter() {
            let (Some(entry), Some(column)) = (registry.components.get(at), columns.get_mut(at)) else { continue };
            let start = column.values.len();
            (entry.encode)(entity, &mut Encoder::with_names(&mut column.values, &name_of));
            let length = (column.values.len() - start) as u64;
            Encoder::new(&mut column.lengths).number(length);
            Encoder::new(&mut column.steps).number(position as u64 - column.next);
            column.next = position as u64 + 1;
            column.count += 1;
        }
    }
}
