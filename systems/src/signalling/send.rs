//! What the files of this folder share: sending, timers, counters.

use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{Counters, Lifetime, Queue, Retransmit, Settings, Transaction};
use ringworld_components::edge::{Flow, Output, Target, Transport};
use ringworld_components::kernel::{Now, Secret, StableId, StableIds, TimerWheel};
use std::net::SocketAddr;
use std::time::Duration;

/// What keys of transactions and dialogs are hashed with.
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

pub(super) fn start_timer<T: Send + Sync + 'static>(world: &mut World, owner: Entity, after_ms: u64) {
    let deadline = world.resource::<Now>().after(Duration::from_millis(after_ms));
    world.resource_mut::<TimerWheel<T>>().start(owner, deadline.0);
}

pub(super) fn cancel_timer<T: Send + Sync + 'static>(world: &mut World, owner: Entity) {
    world.resource_mut::<TimerWheel<T>>().cancel(owner);
}

/// Ends a transaction after `after_ms`, at once if that is 0.
pub(super) fn linger(world: &mut World, transaction: Entity, after_ms: u64) {
    cancel_timer::<Retransmit>(world, transaction);
    if after_ms == 0 {
        world.despawn(transaction);
    } else {
        start_timer::<Lifetime>(world, transaction, after_ms);
    }
}

pub(super) fn count(world: &mut World, change: impl FnOnce(&mut Counters)) {
    change(&mut world.resource_mut::<Counters>());
}

/// Our address as peers are told it.
pub(super) fn public_address(world: &World, flow: &Flow) -> SocketAddr {
    let advertised = world.resource::<Settings>().sip.advertised_address;
    SocketAddr::new(advertised.unwrap_or(flow.local.ip()), flow.local.port())
}

/// A Contact header field's value.
pub(super) fn contact(address: SocketAddr, transport: Transport) -> String {
    match transport {
        Transport::Udp => format!("<sip:{address}>"),
        Transport::Tcp => format!("<sip:{address};transport=tcp>"),
    }
}
