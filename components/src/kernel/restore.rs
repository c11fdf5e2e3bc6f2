//! A world out of bytes.

use super::encode::MAGIC;
use super::migrate::{Fate, fate};
use super::plugins::list_hash;
use super::registry::DecodeColumn;
use super::{PluginDifference, Registry, StableId, StableIds, Table};
use crate::record::{DecodeError, Decoder, Record};
use bevy_ecs::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

const STABLE_IDS: &str = "kernel.stable_ids";

/// Why a snapshot can't be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreError {
    /// It is not a snapshot of this format.
    Format,
    /// A component or resource has another shape in this build, or is unknown to it, or missing from the snapshot, and
    /// no migration is declared.
    Schema {
        /// Its name.
        name: String,
        /// The hash of its shape in the snapshot; `None` if it is not in there.
        theirs: Option<u64>,
        /// The hash of its shape in this build; `None` if it is not known here.
        ours: Option<u64>,
    },
    /// It was made with another list of plugins, and no migration is declared for that list.
    Plugins {
        /// The first difference.
        difference: PluginDifference,
        /// The hash of the list in the snapshot.
        theirs: u64,
    },
    /// A value is damaged.
    Value {
        /// The component's or resource's name.
        name: String,
        /// What is wrong.
        error: DecodeError,
    },
    /// The snapshot itself is damaged.
    Damaged(DecodeError),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("this is not a Ringworld snapshot, or one of another format version"),
            Self::Schema { name, theirs, ours } => {
                match (theirs, ours) {
                    (Some(theirs), Some(ours)) => {
                        write!(f, "{name:?} has another shape in this build ({ours:016x}) than in it ({theirs:016x})")?;
                    }
                    (Some(theirs), None) => write!(f, "this build does not know {name:?} (shape {theirs:016x})")?,
                    (None, _) => write!(f, "it lacks {name:?}, which this build records")?,
                }
                f.write_str(", and no migration is declared: the snapshot is refused")
            }
            Self::Plugins { difference, theirs } => write!(
                f,
                "{difference}, and no migration is declared for its list of plugins ({theirs:016x}): the snapshot is refused"
            ),
            Self::Value { name, error } => write!(f, "{name:?} can't be restored: {error}"),
            Self::Damaged(error) => write!(f, "the snapshot is damaged: {error}"),
        }
    }
}

impl std::error::Error for RestoreError {}

impl From<DecodeError> for RestoreError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error)
    }
}

/// Restores a snapshot into a world that was built with the same plugins and holds no recorded entity yet.
///
/// `order` permutes the order in which entities are spawned (given their count, it returns the sequence of positions);
/// tests use it to show that nothing depends on it.
///
/// # Errors
/// The snapshot is none, is damaged, or is of another schema. The world is then of no use.
pub fn restore_world(
    world: &mut World,
    snapshot: &[u8],
    order: Option<&dyn Fn(usize) -> Vec<usize>>,
) -> Result<(), RestoreError> {
    let body = snapshot.strip_prefix(MAGIC).ok_or(RestoreError::Format)?;
    let mut from = Decoder::new(body);
    let _schema = u64::decode(&mut from)?;
    compare_plugins(world, &Vec::decode(&mut from)?)?;
    let plan = Plan::of(world, Vec::decode(&mut from)?)?;
    let resources = resources(&mut from)?;
    // The index that the hooks fill must be in place before the first entity is spawned.
    for (name, bytes) in resources.iter().filter(|(name, _)| name == STABLE_IDS) {
        let ids = plan.value(name, bytes).and_then(|bytes| {
            let bytes = bytes.unwrap_or_default();
            StableIds::decode(&mut Decoder::new(&bytes)).map_err(|error| damaged(name, error))
        });
        world.insert_resource(ids?);
    }
    let entities = spawn(world, &mut from, order)?;
    let mut bits = Table::<u64, u64>::default();
    for (id, entity) in &entities {
        bits.insert(id.0, entity.to_bits());
    }
    let entity_of = |id: u64| bits.get(&id).copied();
    for _ in 0..from.length()? {
        restore_column(world, &plan, &mut from, &entities, &entity_of)?;
    }
    if from.remaining() > 0 {
        return Err(DecodeError::Trailing { bytes: from.remaining() }.into());
    }
    for (name, bytes) in resources.iter().filter(|(name, _)| name != STABLE_IDS) {
        let (Some(decode), Some(bytes)) = (plan.resources.get(name.as_str()), plan.value(name, bytes)?) else {
            continue;
        };
        decode(&mut Decoder::with_entities(&bytes, &entity_of), world).map_err(|error| damaged(name, error))?;
    }
    super::timers::count_again(world);
    Ok(())
}

fn compare_plugins(world: &World, theirs: &[String]) -> Result<(), RestoreError> {
    let registry = world.get_resource::<Registry>().ok_or(RestoreError::Format)?;
    let hash = list_hash(theirs);
    match PluginDifference::between(theirs, registry.plugins()) {
        Some(difference) if !registry.plugin_migrations.contains(&hash) => {
            Err(RestoreError::Plugins { difference, theirs: hash })
        }
        _ => Ok(()),
    }
}

type DecodeResource = fn(&mut Decoder<'_>, &mut World) -> Result<(), DecodeError>;

/// What becomes of everything in a snapshot.
struct Plan {
    fates: BTreeMap<String, Fate>,
    columns: BTreeMap<&'static str, DecodeColumn>,
    resources: BTreeMap<&'static str, DecodeResource>,
}

impl Plan {
    fn of(world: &World, theirs: Vec<(String, u64)>) -> Result<Self, RestoreError> {
        let registry = world.get_resource::<Registry>().ok_or(RestoreError::Format)?;
        let theirs: BTreeMap<String, u64> = theirs.into_iter().collect();
        let ours: BTreeMap<String, u64> =
            registry.names().into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect();
        let mut fates = BTreeMap::new();
        for name in ours.keys().chain(theirs.keys()) {
            let (theirs, ours) = (theirs.get(name).copied(), ours.get(name).copied());
            let fate = fate(registry, name, theirs, ours);
            fates.insert(name.clone(), fate.ok_or_else(|| RestoreError::Schema { name: name.clone(), theirs, ours })?);
        }
        let columns = registry.components.iter().map(|entry| (entry.name, entry.decode)).collect();
        let resources = registry.resources.iter().map(|entry| (entry.name, entry.decode)).collect();
        Ok(Self { fates, columns, resources })
    }

    /// The value in today's shape; `None` if it is to be left out.
    fn value<'a>(&self, name: &str, bytes: &'a [u8]) -> Result<Option<Cow<'a, [u8]>>, RestoreError> {
        match self.fates.get(name) {
            Some(Fate::Keep) => Ok(Some(Cow::Borrowed(bytes))),
            Some(Fate::Convert(convert)) => {
                convert(bytes).map(|bytes| Some(Cow::Owned(bytes))).map_err(|error| damaged(name, error))
            }
            Some(Fate::Drop) | None => Ok(None),
        }
    }
}

fn damaged(name: &str, error: DecodeError) -> RestoreError {
    RestoreError::Value { name: name.to_owned(), error }
}

fn resources<'a>(from: &mut Decoder<'a>) -> Result<Vec<(String, &'a [u8])>, RestoreError> {
    let count = from.length()?;
    (0..count).map(|_| Ok((String::decode(from)?, from.bytes()?))).collect()
}

/// Spawns all entities, and returns them in the order of their stable ids.
fn spawn(
    world: &mut World,
    from: &mut Decoder<'_>,
    order: Option<&dyn Fn(usize) -> Vec<usize>>,
) -> Result<Vec<(StableId, Entity)>, RestoreError> {
    let count = from.length()?;
    let (mut ids, mut last) = (Vec::with_capacity(count), 0u64);
    for _ in 0..count {
        let step = from.number()?;
        if step == 0 {
            return Err(DecodeError::Invalid("a stable id stands twice, or is 0").into());
        }
        last = last.checked_add(step).ok_or(DecodeError::Range)?;
        ids.push(StableId(last));
    }
    let sequence: Vec<usize> = order.map_or_else(|| (0..ids.len()).collect(), |order| order(ids.len()));
    let batch: Vec<StableId> = sequence.iter().filter_map(|&at| ids.get(at)).copied().collect();
    let spawned: Vec<Entity> = world.spawn_batch(batch.clone()).collect();
    let mut entities: Vec<(StableId, Entity)> = batch.into_iter().zip(spawned).collect();
    entities.sort_unstable_by_key(|(id, _)| *id);
    Ok(entities)
}

fn restore_column(
    world: &mut World,
    plan: &Plan,
    from: &mut Decoder<'_>,
    entities: &[(StableId, Entity)],
    entity_of: &dyn Fn(u64) -> Option<u64>,
) -> Result<(), RestoreError> {
    let name = String::decode(from)?;
    let count = from.length()?;
    let (mut at, mut owners) = (0usize, Vec::with_capacity(count));
    for _ in 0..count {
        at = usize::decode(from)?.checked_add(at).ok_or(DecodeError::Range)?;
        owners.push(entities.get(at).map(|(_, entity)| *entity).ok_or(DecodeError::Range)?);
        at += 1;
    }
    let lengths = (0..count).map(|_| usize::decode(from)).collect::<Result<Vec<_>, _>>()?;
    let mut values = Decoder::new(from.bytes()?);
    let mut column = Vec::with_capacity(count);
    for (owner, length) in owners.into_iter().zip(lengths) {
        if let Some(value) = plan.value(&name, values.raw(length)?)? {
            column.push((owner, value));
        }
    }
    let Some(decode) = plan.columns.get(name.as_str()).filter(|_| !column.is_empty()) else { return Ok(()) };
    let column: Vec<(Entity, &[u8])> = column.iter().map(|(owner, value)| (*owner, &value[..])).collect();
    decode(&column, entity_of, world).map_err(|error| damaged(&name, error))
}
