//! `ringworld inspect`: what was in the world at a tick of a recording.

use super::output::print;
use super::{FAILED, fail, open};
use crate::inspect;
use crate::replay::{Player, ReplayOptions};
use ringworld_components::kernel::{Now, StableId, TICK};
use std::path::PathBuf;
use std::process::ExitCode;

/// The arguments of `ringworld inspect`.
#[derive(clap::Args, Debug)]
pub struct InspectArgs {
    /// The recording.
    file: PathBuf,
    /// The tick to look at (200 a second); without it the end of the recording.
    #[arg(long, value_name = "TICK")]
    tick: Option<u64>,
    /// Show this session with every component of all that belongs to it, or any other entity: a name like #1f.
    #[arg(long, visible_alias = "entity", value_name = "ID")]
    session: Option<StableId>,
}

/// Plays the recording up to the tick and prints. The exit code is 1 if the tick or the entity does not exist, or if
/// the replay differs on the way there; then the world is shown as it was before that.
pub fn run(args: InspectArgs) -> ExitCode {
    let mut player = match open(&args.file, ReplayOptions::default()) {
        Ok(player) => player,
        Err(code) => return code,
    };
    let began = player.tick();
    if let Some(tick) = args.tick.filter(|&tick| tick < began) {
        return fail(FAILED, format_args!("the recording begins at tick {began}, after tick {tick}"));
    }
    let played = player.run_up_to(args.tick.unwrap_or(u64::MAX));
    // The recording does not hold ticks in which nothing happened: the last one before them is shown.
    let asked = args.tick.filter(|_| matches!(played, Ok(true)));
    let now = Now(asked.unwrap_or(player.tick()));
    let shown = match args.session {
        None => Some(inspect::overview(player.engine().world(), now)),
        Some(id) => inspect::whole(player.engine().world(), id, now),
    };
    if let Some(text) = &shown {
        print(&format!("{}\n{text}", heading(&player, now)));
    }
    match (played, args.session, args.tick) {
        (Err(error), ..) => fail(FAILED, error),
        (_, Some(id), _) if shown.is_none() => {
            fail(FAILED, format_args!("there is no entity {id} at tick {}", args.tick.unwrap_or(player.tick())))
        }
        (Ok(false), _, Some(tick)) if player.tick() < tick => {
            fail(FAILED, format_args!("the recording ends at tick {}, before tick {tick}", player.tick()))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// When this is and what there is.
fn heading(player: &Player, Now(tick): Now) -> String {
    let census = player.engine().census();
    let unix_ms = player.header().began_unix_ms.saturating_add(tick.saturating_mul(TICK.as_millis() as u64));
    format!(
        "tick {tick}, {}, {} UTC: {} sessions, {} dialogs, {} transactions, {} streams, {} rooms, {} timers\n",
        inspect::seconds(Now(tick)),
        inspect::utc(unix_ms).trim_end_matches('Z').replace('T', " "),
        census.sessions,
        census.dialogs,
        census.transactions,
        census.streams,
        census.rooms,
        census.timers,
    )
}
