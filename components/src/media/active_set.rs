//! The entities that are visited: all others cost nothing.

use crate::record::{DecodeError, Decoder, Encoder, Record, Shape};
use bevy_ecs::prelude::*;
use std::marker::PhantomData;

/// The entities that must be visited in their phase of every frame: those that have a `T`. All others cost nothing.
///
/// The code that inserts the `T` wakes the entity; the code that finds it done takes both away.
#[derive(Resource, Debug)]
pub struct ActiveSet<T: Send + Sync + 'static> {
    by_phase: [Vec<Entity>; 4],
    kind: PhantomData<fn() -> T>,
}

impl<T: Send + Sync + 'static> Default for ActiveSet<T> {
    fn default() -> Self {
        Self { by_phase: Default::default(), kind: PhantomData }
    }
}

impl<T: Send + Sync + 'static> Record for ActiveSet<T> {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.by_phase.encode(to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { by_phase: Record::decode(from)?, kind: PhantomData })
    }
    fn shape(to: &mut Shape) {
        <[Vec<Entity>; 4]>::shape(to);
    }
}

impl<T: Send + Sync + 'static> ActiveSet<T> {
    /// Visits this entity from now on. Called once for each time that it falls asleep.
    pub fn wake(&mut self, entity: Entity, phase: u8) {
        self.by_phase[usize::from(phase & 3)].push(entity);
    }

    /// Visits all of these from now on, in the order of their ports: the order in which they come must not matter.
    pub fn wake_all(&mut self, woken: &mut Vec<(u16, Entity)>, phase: u8) {
        woken.sort_unstable_by_key(|(port, _)| *port);
        self.by_phase[usize::from(phase & 3)].extend(woken.drain(..).map(|(_, entity)| entity));
    }

    /// Visits those of a phase, and keeps those for which `visit` says so.
    pub fn visit(&mut self, phase: u8, visit: impl FnMut(&Entity) -> bool) {
        self.by_phase[usize::from(phase & 3)].retain(visit);
    }

    /// How many entities are visited.
    pub fn len(&self) -> usize {
        self.by_phase.iter().map(Vec::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
