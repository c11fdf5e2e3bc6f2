//! The tests of replay_same.rs find two common mistakes, which are planted here.

mod common;
mod town;

use bevy_app::App;
use bevy_ecs::prelude::*;
use ringworld::components::call::{CallOffered, Session};
use ringworld::components::kernel::{Phase, RecordApp, StableId, Tick};
use ringworld::components::record::Record;
use ringworld::config::RecordMedia;
use ringworld::engine::{Engine, Plugins};
use ringworld::replay::{Divergence, Player, ReplayError, ReplayOptions};
use std::path::Path;
use std::sync::Arc;
use town::{Town, config, order, scratch};

/// The system that handled a call last.
#[derive(Component, Record, Debug)]
struct Clerk {
    name: String,
}

/// Two systems insert the same component by command: the schedule sees no conflict, and the later one wins.
fn race(plugins: &mut Plugins) {
    plugins.add(build_race);
}

fn build_race(app: &mut App) {
    fn first(mut offered: MessageReader<CallOffered>, mut commands: Commands) {
        for call in offered.read() {
            commands.entity(call.entity).insert(Clerk { name: "first".into() });
        }
    }
    fn second(mut offered: MessageReader<CallOffered>, mut commands: Commands) {
        for call in offered.read() {
            commands.entity(call.entity).insert(Clerk { name: "second".into() });
        }
    }
    app.record::<Clerk>("race.clerk");
    app.add_systems(Tick, (first.in_set(Phase::Behaviour), second.in_set(Phase::Behaviour)));
}

/// A sum that depends on the order of its terms.
#[derive(Resource, Record, Default)]
struct RollCall {
    sum: u64,
}

/// Adds up the ids of the sessions in the order in which they are stored.
fn leak(plugins: &mut Plugins) {
    plugins.add(build_leak);
}

fn build_leak(app: &mut App) {
    fn call(sessions: Query<&StableId, With<Session>>, mut roll: ResMut<RollCall>) {
        for id in &sessions {
            roll.sum = roll.sum.wrapping_mul(31).wrapping_add(id.0);
        }
    }
    app.record_resource(RollCall::default(), "leak.roll_call");
    app.add_systems(Tick, call.in_set(Phase::Behaviour));
}

fn record(path: &Path, extend: fn(&mut Plugins)) {
    let mut town = Town::new(Engine::with_plugins(&config(), extend), town::everyday_life());
    town.record(path, &config(), RecordMedia::Full);
    town.live(300);
    town.stop_recording();
}

fn options(extend: fn(&mut Plugins), seed: Option<u64>) -> ReplayOptions {
    let options = seed.map(order::shuffled).unwrap_or_default();
    ReplayOptions { extend: Arc::new(extend), ..options }
}

/// Replays with a restart every so many ticks, and says what differed.
fn replay(path: &Path, options: ReplayOptions, restart_every: Option<u64>) -> Result<(), Divergence> {
    let mut player = Player::open_with(path, options).expect("a recording");
    loop {
        match player.step() {
            Ok(Some(report)) => {
                if restart_every.is_some_and(|every| report.tick % every == 0) {
                    player.restart(Some(report.tick)).expect("a snapshot of this build");
                }
            }
            Ok(None) => return Ok(()),
            Err(ReplayError::Differs(divergence)) => return Err(divergence),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_race_of_commands_is_found_by_shuffled_orders() {
    let path = scratch("race");
    record(&path, race);
    assert_eq!(replay(&path, options(race, None), None), Ok(()), "the same order gives the same world");
    let found = (0..32).filter(|&seed| replay(&path, options(race, Some(seed)), None).is_err()).count();
    assert!(found >= 8, "found in {found} of 32 orders");
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn a_leak_of_query_order_is_found_by_a_restore_in_shuffled_spawn_order() {
    let path = scratch("leak");
    record(&path, leak);
    assert_eq!(replay(&path, options(leak, None), None), Ok(()), "the same storage gives the same order");
    let found = replay(&path, options(leak, None), Some(50));
    assert!(matches!(found, Err(Divergence::World { is_control: true, .. })), "{found:?}");
    std::fs::remove_file(path).expect("the recording");
}
