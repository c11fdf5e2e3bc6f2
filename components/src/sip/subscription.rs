//! Subscriptions (RFC 6665): a usage of a dialog of its own.

use crate::record::Record;
use bevy_ecs::prelude::*;
use bytes::Bytes;

/// A subscription, made by SUBSCRIBE or by REFER (RFC 3515): an entity that points to its dialog by
/// [`UsageOf`](super::UsageOf). It ends with [`SubscriptionExpiry`] and belongs to no session, so it outlives a BYE.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The event package and its parameters other than `id` (RFC 6665 section 8.2.1).
    pub event: Bytes,
    /// The `id` parameter of Event, which tells the subscriptions of one dialog apart (section 4.5.2).
    pub id: Option<Bytes>,
    /// Which side we are.
    pub role: SubscriptionRole,
    /// Its state.
    pub state: SubscriptionState,
}

/// The side of a subscription.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubscriptionRole {
    /// It sends SUBSCRIBE or REFER and takes NOTIFY.
    Subscriber,
    /// It sends NOTIFY.
    Notifier,
}

/// The states of RFC 6665 section 4.1.3. There is no "terminated": such a subscription is despawned.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubscriptionState {
    /// Asked for, and no NOTIFY seen or sent (timer N, section 4.1.2.4).
    NotifyWait,
    /// Not authorised yet.
    Pending,
    /// In force.
    Active,
}

/// Timer of a [`Subscription`]: its duration is over.
pub struct SubscriptionExpiry;
