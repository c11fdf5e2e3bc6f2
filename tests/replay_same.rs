//! A recording, replayed, leads to the same world: at every tick, on any executor, in any legal order of systems, and
//! across an encode, drop and restore at any tick.

mod common;
mod town;

use ringworld::config::RecordMedia;
use ringworld::engine::{ChainDigest, Engine};
use ringworld::replay::{Claims, Ending, Executor, Player, Recorder, ReplayOptions};
use town::{Plan, Town, config, scratch};

fn digests(player: &mut Player) -> Vec<(u64, ChainDigest)> {
    let mut digests = Vec::new();
    while let Some(report) = player.step().expect("the replay agrees") {
        digests.push((report.tick, player.engine().chain()));
    }
    digests
}

#[test]
fn a_day_in_town_is_worth_replaying() {
    let path = scratch("worth");
    let (town, summary) = Town::record_day(&path, RecordMedia::Full);
    let counters = town.engine.counters();
    assert_eq!((counters.calls_in, counters.calls_out), (15, 1), "{counters:?}");
    for outcome in ["peer hung up", "cancelled", "rejected with 486", "rejected with 603", "no RTP for too long"] {
        assert!(counters.outcomes.contains_key(outcome), "{outcome}: {counters:?}");
    }
    let media = town.engine.media_counters();
    assert!(media.digits_in >= 2 && media.frames_mixed > 100 && media.packets_out > 1_000, "{media:?}");
    assert!(counters.limits_hit.is_empty() && counters.refused_operations == 0, "{counters:?}");
    assert_eq!((summary.ticks, summary.truncated_at, summary.failed), (1_200, None, None));
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn a_replay_comes_to_the_same_digests_at_every_tick() {
    let path = scratch("same");
    let (town, _) = Town::record_day(&path, RecordMedia::Full);
    let mut player = Player::open(&path).expect("a recording");
    assert_eq!(player.claims(), Claims::ControlAndMedia);
    assert_eq!(digests(&mut player), town.digests);
    assert_eq!(player.engine().digest(), town.digest());
    assert_eq!(player.engine().census(), town.engine.census());
    let footer = player.footer().expect("a footer");
    assert_eq!((footer.ending, footer.ticks, footer.digest), (Ending::Finished, 1_200, Some(town.digest())));
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn threads_and_the_order_of_systems_do_not_matter() {
    let path = scratch("orders");
    let (town, _) = Town::record_day(&path, RecordMedia::Full);
    let executor = Executor::MultiThreaded;
    let mut player = Player::open_with(&path, ReplayOptions { executor, ..Default::default() }).expect("a recording");
    assert_eq!(digests(&mut player), town.digests, "on several threads");
    for seed in 0..32 {
        let mut player = Player::open_with(&path, town::order::shuffled(seed)).expect("a recording");
        assert_eq!(digests(&mut player), town.digests, "order {seed}");
        assert_eq!(player.engine().digest(), town.digest(), "order {seed}");
    }
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn the_world_can_be_dropped_and_restored_at_every_tick_of_a_call() {
    let path = scratch("every-tick");
    let plan = Plan::new("conf-x").lasting(3, 80).talking().pressing('5', 40).holding(55, 65);
    let mut town = Town::new(Engine::new(&config()), vec![plan]);
    town.record(&path, &config(), RecordMedia::Full);
    town.live(100);
    town.stop_recording();
    for restart_at in 0..100 {
        let mut player = Player::open(&path).expect("a recording");
        player.run_to(restart_at).expect("the replay agrees");
        let before = player.engine().digest();
        player.restart(Some(restart_at)).expect("a snapshot of this build");
        assert_eq!(player.engine().digest(), before, "restored at tick {restart_at}");
        while player.step().expect("the replay agrees").is_some() {}
        assert_eq!(player.engine().digest(), town.digest(), "restored at tick {restart_at}");
    }
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn a_busy_world_survives_many_restores_in_shuffled_spawn_order() {
    let path = scratch("restores");
    let (town, _) = Town::record_day(&path, RecordMedia::Full);
    let mut player = Player::open(&path).expect("a recording");
    let mut restarts = 0;
    while let Some(report) = player.step().expect("the replay agrees") {
        if report.tick % 7 == 0 {
            player.restart(Some(report.tick)).expect("a snapshot of this build");
            restarts += 1;
        }
    }
    assert!(restarts > 100);
    assert_eq!(player.engine().digest(), town.digest());
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn codecs_that_are_made_anew_after_a_restore_raise_no_alarm() {
    let path = scratch("transcoded");
    let mut town = Town::new(Engine::new(&config()), town::transcoders());
    town.record(&path, &config(), RecordMedia::Full);
    town.live(400);
    town.stop_recording();
    assert!(town.engine.media_counters().frames_mixed > 200, "{:?}", town.engine.media_counters());
    let mut player = Player::open(&path).expect("a recording");
    assert_eq!(digests(&mut player), town.digests);
    for restart_at in (20..400).step_by(9) {
        let mut player = Player::open(&path).expect("a recording");
        player.run_to(restart_at).expect("the replay agrees");
        player.restart(Some(restart_at)).expect("a snapshot of this build");
        while player.step().expect("the replay agrees").is_some() {}
        assert_eq!(player.engine().digest(), town.digest(), "restored at tick {restart_at}");
    }
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn without_payloads_the_facts_drive_control() {
    let control = |digests: Vec<(u64, ChainDigest)>| -> Vec<_> {
        digests.into_iter().map(|(tick, chain)| (tick, chain.control)).collect()
    };
    let full = scratch("full");
    let (_, with_payloads) = Town::record_day(&full, RecordMedia::Full);
    std::fs::remove_file(full).expect("the recording");
    for media in [RecordMedia::Headers, RecordMedia::Off] {
        let path = scratch("facts");
        let (town, summary) = Town::record_day(&path, media);
        assert!(summary.bytes < with_payloads.bytes, "{media:?}: {} bytes", summary.bytes);
        let mut player = Player::open(&path).expect("a recording");
        assert_eq!(player.claims(), Claims::Control);
        assert_eq!(control(digests(&mut player)), control(town.digests.clone()), "{media:?}");
        assert_eq!(player.engine().digest().control, town.digest().control, "{media:?}");
        assert!(town.engine.counters().outcomes.contains_key("no RTP for too long"), "a fact had to end a call");
        assert_eq!(player.engine().counters(), town.engine.counters());
        std::fs::remove_file(path).expect("the recording");
    }
}

#[test]
fn a_recording_can_begin_in_the_middle() {
    let path = scratch("middle");
    let mut town = Town::new(Engine::new(&config()), town::everyday_life());
    town.live(150);
    town.digests.clear();
    town.record(&path, &config(), RecordMedia::Full);
    town.live(500);
    town.stop_recording();
    let mut player = Player::open(&path).expect("a recording");
    assert_eq!(player.header().start.as_ref().map(|start| start.tick), Some(player.tick()));
    assert_eq!(digests(&mut player), town.digests);
    assert_eq!(player.engine().digest(), town.digest());
    std::fs::remove_file(path).expect("the recording");
}

#[test]
fn an_idle_world_costs_next_to_nothing() {
    let path = scratch("idle");
    let mut recorder = Recorder::create(&path, &config(), &town::settings(RecordMedia::Full)).expect("a recorder");
    let mut engine = Engine::new(&config());
    for _ in 0..20_000 {
        recorder.inputs(1, &[]);
        engine.tick(1, Vec::new());
        recorder.end_of_tick(&engine);
    }
    let summary = recorder.finish(&engine);
    let header = 6_000;
    assert!(summary.bytes < header + 1_000, "{} bytes for 100 s of nothing", summary.bytes);
    let mut player = Player::open(&path).expect("a recording");
    while player.step().expect("the replay agrees").is_some() {}
    assert_eq!((player.tick(), player.ticks()), (20_000, 20_000));
    std::fs::remove_file(path).expect("the recording");
}
