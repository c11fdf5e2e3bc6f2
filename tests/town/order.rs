//! Plays recordings with the systems of a tick in another legal order.

use ringworld::replay::ReplayOptions;
use ringworld::sim::shuffle_systems;
use std::sync::Arc;

/// Plays with the systems in the order that the seed decides.
pub fn shuffled(seed: u64) -> ReplayOptions {
    ReplayOptions { edit_schedule: Arc::new(move |schedule| shuffle_systems(schedule, seed)), ..Default::default() }
}
