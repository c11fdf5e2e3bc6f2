//! What a flight recorder holds after a run, and whether it replays.

use super::server::count;
use super::{BenchError, Bound, Figures};
use crate::replay::Player;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Ticks in a second.
const RATE: f64 = 200.0;

/// Where recordings go; removed when dropped.
pub(super) struct Folder {
    pub path: PathBuf,
}

impl Folder {
    pub fn beside_this_program() -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(BenchError::while_doing("finding this program"))?;
        let beside = program.parent().unwrap_or_else(|| Path::new("."));
        Ok(Self { path: beside.join(format!("ringworld-bench-flight-{}", std::process::id())) })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing may have been written.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Adds what a recorder had at the end of a run by its switch's summary, and replays what it has written.
pub(super) fn add(
    figures: &mut Figures,
    name: &str,
    summary: &Value,
    written: Option<&Result<PathBuf, String>>,
) -> Result<(), BenchError> {
    let of = |what: &str| count(summary, &format!("/flight/{what}"));
    figures.tell(&format!("flight recorder, {name}: memory of ring and snapshots"), of("bytes") / 1e6, "MB");
    figures.tell(&format!("flight recorder, {name}: its beginning moved on"), of("moved"), "times");
    figures.aim(&format!("flight recorder, {name}: lost what it had"), of("lost"), "times", Bound::AtMost(0.0));
    let path = match written {
        Some(Ok(path)) => path,
        Some(Err(why)) => {
            figures.must(&format!("flight recorder, {name}: recordings written"), 0.0, "", Bound::AtLeast(1.0));
            figures.note(why.clone());
            return Ok(());
        }
        None => return Ok(()),
    };
    let (began, mut player) = (Instant::now(), Player::open(path).map_err(BenchError::new)?);
    let first = player.tick();
    // A difference is an error, and ends the benchmark.
    while player.step().map_err(BenchError::new)?.is_some() {}
    let ticks = player.tick() - first;
    figures.must(&format!("flight recorder, {name}: recordings that replay"), 1.0, "", Bound::AtLeast(1.0));
    figures.tell(&format!("flight recorder, {name}: it reaches back"), ticks as f64 / RATE, "s");
    figures.tell(&format!("flight recorder, {name}: replayed in"), began.elapsed().as_secs_f64(), "s");
    Ok(())
}
