//! Subscriptions (RFC 6665).

mod expiry;
mod plugin;

pub use plugin::SubscriptionsPlugin;
