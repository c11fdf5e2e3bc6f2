//! The time of day of a running world: right from the start, corrected when the clocks differ, and recorded.

use ringworld::components::edge::{Operation, Refusal};
use ringworld::components::kernel::{StableId, WallTime};
use ringworld::config::Config;
use ringworld::engine::Switch;
use ringworld::replay::Player;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The difference between the time in the world's errors and that of the machine.
fn off_ms(switch: &Switch) -> u64 {
    let unknown = StableId(0xffff);
    let Err(Refusal::World(error)) = switch.command_session(unknown, Operation::HangUp { session: unknown }) else {
        panic!("there is such a session");
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    error.context.time.0.abs_diff(u64::try_from(now.as_millis()).expect("a time in our era"))
}

#[test]
fn a_world_whose_time_of_day_is_wrong_is_told_the_right_one_and_the_recording_knows() {
    let file = std::env::temp_dir().join(format!("ringworld-anchor-{}.rwlog", std::process::id()));
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse().expect("an address")];
    config.network.rtp_ports = "23780-23819".parse().expect("a range");
    config.record.file.clone_from(&file);
    let switch = Switch::start(&config).expect("the switch starts");
    assert!(off_ms(&switch) < 2_000);
    // As if the machine had slept since 1970.
    switch.command(0, Operation::Reanchor { time: WallTime(0) }).expect("a command that is always taken");
    let deadline = Instant::now() + Duration::from_secs(10);
    while off_ms(&switch) > 2_000 {
        assert!(Instant::now() < deadline, "{} ms off", off_ms(&switch));
        std::thread::sleep(Duration::from_millis(20));
    }
    switch.stop();
    let mut player = Player::open(&file).expect("a recording");
    let began = player.header().began_unix_ms;
    let mut times = Vec::new();
    while player.step().expect("the replay agrees").is_some() {
        times.push(player.engine().time().0);
    }
    std::fs::remove_file(file).expect("the recording");
    assert!(times.iter().any(|time| *time < 60_000), "it was in 1970 for a while");
    assert!(times.last().is_some_and(|last| last.abs_diff(began) < 60_000), "{times:?} after {began}");
}
