//! Assembles subscriptions.

use super::expiry;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::kernel::{Phase, RecordApp, Step, Tick, TimerApp};
use ringworld_components::sip::{Subscription, SubscriptionExpiry};

/// Subscriptions as usages of dialogs, and their end. What makes them and what they tell belongs to event packages.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubscriptionsPlugin;

impl Plugin for SubscriptionsPlugin {
    fn build(&self, app: &mut App) {
        app.record::<Subscription>("sip.subscription");
        app.add_timer::<SubscriptionExpiry>("sip.subscription_expiry");
        app.add_systems(Tick, expiry::end_expired.in_set(Phase::Cleanup).after(Step::Relate).before(Step::Reap));
    }
}
