//! Identity that survives record, replay and snapshot.

use super::Table;
use crate::record::{DecodeError, Decoder, Encoder, Record, Shape};
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;
use std::fmt;

/// The name of an entity outside the world and in every hash, log and message; an [`Entity`] never leaves the process.
///
/// From the top: 8 bits of the world's index, 12 bits of boot epoch, 44 bits counted up.
#[derive(Component, Record, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[component(immutable, on_add = index, on_remove = forget)]
pub struct StableId(pub u64);

impl StableId {
    /// The index of the world that minted it.
    pub fn world(self) -> u8 {
        (self.0 >> 56) as u8
    }
}

impl fmt::Debug for StableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:x}", self.0)
    }
}

impl std::str::FromStr for StableId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text.strip_prefix('#').unwrap_or(text), 16).map(StableId)
    }
}

/// Mints stable ids, in order, and finds the entity behind one.
#[derive(Resource, Default, Debug)]
pub struct StableIds {
    base: u64,
    minted: u64,
    entities: Table<u64, Entity>,
}

impl StableIds {
    /// Ids of the world with the index `world` in the boot epoch `epoch`.
    pub fn new(world: u8, epoch: u16) -> Self {
        let base = (u64::from(world) << 56) | (u64::from(epoch & 0xfff) << 44);
        Self { base, minted: 0, entities: Table::default() }
    }

    /// The next id.
    pub fn mint(&mut self) -> StableId {
        self.minted += 1;
        StableId(self.base | (self.minted & ((1 << 44) - 1)))
    }

    /// From now on ids are those of another boot epoch. The count goes on.
    pub fn begin_epoch(&mut self, epoch: u16) {
        self.base = Self::new(self.world(), epoch).base;
    }

    /// The boot epoch in which the world mints.
    pub fn epoch(&self) -> u16 {
        (self.base >> 44) as u16 & 0xfff
    }

    /// The id that was minted last.
    pub fn newest(&self) -> StableId {
        StableId(self.base | (self.minted & ((1 << 44) - 1)))
    }

    /// The living entities whose ids were minted after `id`, the newest first.
    pub fn since(&self, id: StableId) -> Vec<Entity> {
        (id.0 + 1..=self.newest().0).rev().filter_map(|id| self.find(StableId(id))).collect()
    }

    /// The index of the world that mints here.
    pub fn world(&self) -> u8 {
        StableId(self.base).world()
    }

    /// The living entity with this id.
    pub fn find(&self, id: StableId) -> Option<Entity> {
        self.entities.get(&id.0).copied()
    }

    /// How many living entities have an id.
    pub fn living(&self) -> usize {
        self.entities.len()
    }
}

// The table is rebuilt by the hooks when entities are restored; only the counter is state.
impl Record for StableIds {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.base.encode(to);
        self.minted.encode(to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { base: u64::decode(from)?, minted: u64::decode(from)?, entities: Table::default() })
    }
    fn shape(to: &mut Shape) {
        to.open("StableIds");
        u64::shape(to);
        u64::shape(to);
        to.close();
    }
}

fn index(mut world: DeferredWorld, context: HookContext) {
    if let Some(id) = world.get::<StableId>(context.entity).copied() {
        world.resource_mut::<StableIds>().entities.insert(id.0, context.entity);
    }
}

fn forget(mut world: DeferredWorld, context: HookContext) {
    if let Some(id) = world.get::<StableId>(context.entity).copied() {
        world.resource_mut::<StableIds>().entities.remove(&id.0);
    }
    super::timers::cancel_all(&mut world, context.entity);
}

/// An entity is encoded as its stable id and found again by it. One that is gone is encoded as 0, and decoded as the
/// placeholder, which is never found either.
impl Record for Entity {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.entity(self.to_bits());
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match from.entity()? {
            Some(bits) => Entity::try_from_bits(bits).ok_or(DecodeError::Range),
            None => Ok(Entity::PLACEHOLDER),
        }
    }
    fn shape(to: &mut Shape) {
        to.leaf("entity");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_minted_in_order_and_differ_between_worlds_and_lives() {
        let mut ids = StableIds::new(3, 7);
        let (first, second) = (ids.mint(), ids.mint());
        assert!(first < second);
        assert_eq!((first.world(), ids.world()), (3, 3));
        for other in [StableIds::new(3, 8).mint(), StableIds::new(4, 7).mint(), StableIds::new(0, 0).mint()] {
            assert_ne!(other, first);
        }
        assert_eq!(first.to_string().parse(), Ok(first));
    }

    #[test]
    fn an_id_finds_its_entity_as_long_as_that_lives() {
        let mut world = World::new();
        world.insert_resource(StableIds::new(0, 0));
        let id = world.resource_mut::<StableIds>().mint();
        let entity = world.spawn(id).id();
        assert_eq!(world.resource::<StableIds>().find(id), Some(entity));
        world.despawn(entity);
        assert_eq!((world.resource::<StableIds>().find(id), world.resource::<StableIds>().living()), (None, 0));
    }
}
