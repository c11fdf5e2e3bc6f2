//! The end of a subscription's duration (RFC 6665 section 4.1.2.2).

use bevy_ecs::prelude::*;
use ringworld_components::kernel::{TimerWheel, take_fired};
use ringworld_components::sip::{Subscription, SubscriptionExpiry};

/// Despawns subscriptions whose duration is over and was not extended in this very tick. With its last usage the dialog
/// goes.
pub(super) fn end_expired(world: &mut World) {
    for subscription in take_fired::<SubscriptionExpiry>(world) {
        let is_extended = world.resource::<TimerWheel<SubscriptionExpiry>>().deadline(subscription).is_some();
        if !is_extended && world.get::<Subscription>(subscription).is_some() {
            world.despawn(subscription);
        }
    }
}
