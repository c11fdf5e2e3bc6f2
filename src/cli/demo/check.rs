//! The demonstration replays its own recording.

use crate::engine::Summary;
use crate::replay::Player;
use ringworld_components::kernel::TICK;
use std::path::Path;
use std::time::Instant;

/// Whether the replay came to the same digests.
pub(super) enum Checked {
    /// It did, this many times faster than it happened.
    Agreed { ticks: u64, speed: u64 },
    /// It did not, or there is nothing to replay; why.
    Failed(String),
}

impl Checked {
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Agreed { .. } => None,
            Self::Failed(why) => Some(format!("the recording could not be replayed: {why}")),
        }
    }
}

pub(super) fn replay(file: &Path, summary: &Summary) -> Checked {
    let recorded = summary.recordings.first();
    if let Some(why) = recorded.and_then(|recording| recording.failed.clone()) {
        return Checked::Failed(format!("it could not be written: {why}"));
    }
    if let Some(tick) = recorded.and_then(|recording| recording.truncated_at) {
        return Checked::Failed(format!("it reached its size limit at tick {tick}; try fewer seconds"));
    }
    let began = Instant::now();
    match play(file) {
        Ok(ticks) => {
            let lived = TICK.as_millis().saturating_mul(u128::from(ticks));
            let speed = lived / began.elapsed().as_millis().max(1);
            Checked::Agreed { ticks, speed: u64::try_from(speed).unwrap_or(u64::MAX) }
        }
        Err(why) => Checked::Failed(why),
    }
}

/// Plays the recording to its end and returns how many ticks it has. A digest that differs is an error that names its
/// tick.
fn play(file: &Path) -> Result<u64, String> {
    let mut player = Player::open(file).map_err(|error| error.to_string())?;
    let mut last = 0;
    while let Some(tick) = player.step().map_err(|error| error.to_string())? {
        last = tick.tick;
    }
    Ok(last)
}
