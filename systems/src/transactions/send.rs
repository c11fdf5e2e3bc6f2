//! What the files of this folder share: sending, lingering, counters.

use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{Counters, Queue};
use ringworld_components::edge::{Output, Target};
use ringworld_components::kernel::{Secret, StableId, StableIds, cancel_timer, start_timer};
use ringworld_components::sip::{Lifetime, Retransmit, Transaction};
use std::time::Duration;

/// What keys of transactions are hashed with.
pub(super) fn seed(world: &World) -> u64 {
    world.resource::<Secret>().table_seed()
}

pub(super) fn mint(world: &mut World) -> StableId {
    world.resource_mut::<StableIds>().mint()
}

/// Hands a message to the network.
pub(super) fn send(world: &mut World, target: Target, bytes: Bytes, transaction: StableId) {
    world.resource_mut::<Queue<Output>>().push(Output::Sip { target, bytes, transaction });
}

/// Sends a transaction's last message again.
pub(super) fn send_again(world: &mut World, transaction: Entity) {
    let Ok(entity) = world.get_entity(transaction) else { return };
    let (Some(state), Some(id)) = (entity.get::<Transaction>(), entity.get::<StableId>()) else { return };
    if !state.last.is_empty() {
        let (target, bytes, id) = (state.target, state.last.clone(), *id);
        send(world, target, bytes, id);
    }
}

/// Starts a timer of a transaction.
pub(super) fn start<T: Send + Sync + 'static>(world: &mut World, transaction: Entity, after_ms: u64) {
    start_timer::<T>(world, transaction, Duration::from_millis(after_ms));
}

/// Ends a transaction after `after_ms`, at once if that is 0.
pub(super) fn linger(world: &mut World, transaction: Entity, after_ms: u64) {
    cancel_timer::<Retransmit>(world, transaction);
    if after_ms == 0 {
        world.despawn(transaction);
    } else {
        start::<Lifetime>(world, transaction, after_ms);
    }
}

pub(super) fn count(world: &mut World, change: impl FnOnce(&mut Counters)) {
    change(&mut world.resource_mut::<Counters>());
}
