//! A recording that an earlier build made is in the repository. It must replay to the same digests, or, where what the
//! world records has changed since, be refused by the name of what changed. A third outcome is a fault: a change of
//! behaviour that was not intended. Where it was intended, make the recording anew:
//!
//! ```text
//! RINGWORLD_RERECORD=1 cargo test --test replay_committed
//! ```

mod common;
mod town;

use ringworld::config::RecordMedia;
use ringworld::replay::{Player, ReplayError};
use std::path::Path;
use town::Town;

const AGAIN: &str = "if the change is meant, run RINGWORLD_RERECORD=1 cargo test --test replay_committed";

#[test]
fn the_committed_recording_replays_or_is_refused_by_name() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/day_in_town.rwlog");
    if std::env::var_os("RINGWORLD_RERECORD").is_some() {
        let (_, summary) = Town::record_day(&path, RecordMedia::Full);
        assert!(summary.bytes < 200 << 10, "{} bytes are too many for the repository", summary.bytes);
    }
    let mut player = match Player::open(&path) {
        Ok(player) => player,
        Err(refused @ ReplayError::Unlike { .. }) => {
            println!("{refused}; {AGAIN}");
            return;
        }
        Err(error) => panic!("{error}; {AGAIN}"),
    };
    loop {
        match player.step() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => panic!("{error}; {AGAIN}"),
        }
    }
    assert_eq!(player.ticks(), 1_200);
    assert_eq!((player.engine().counters().calls_in, player.engine().counters().calls_out), (15, 1));
}
