//! Two worlds behind one address.

use super::bench::{Bench, config};
use super::peer::{LOOPBACK, Scenario, is_here};

fn two_worlds() -> Bench {
    let mut config = config(LOOPBACK);
    config.network.worlds = 2;
    Bench::with(&config)
}

#[test]
fn calls_spread_over_the_worlds_and_stay_in_theirs() {
    if !is_here() {
        return;
    }
    let bench = two_worlds();
    let scenario = Scenario::file("uac_in_dialog").with("@PAUSE_MS@", "50");
    for transport in ["u1", "t1"] {
        bench.run(&scenario, "echo", &["-m", "50", "-r", "100", "-t", transport]);
        bench.run(
            &Scenario::file("uac_cancel").with("@PAUSE_MS@", "20"),
            "ring-30",
            &["-m", "20", "-r", "100", "-t", transport],
        );
    }
    let calls: Vec<u64> = bench.switch.status().iter().map(|world| world.signalling.calls_in).collect();
    assert!(calls.iter().all(|&calls| calls > 30), "{calls:?} of 140");
    let summary = bench.finish_with(&[("peer hung up", 100), ("cancelled", 40)]);
    assert_eq!(summary.signalling.calls_in, 140);
    assert_eq!(summary.signalling.responses_sent.get(&481), Some(&200), "what came after the BYE alone");
}

#[test]
fn a_room_meets_in_one_world() {
    if !is_here() {
        return;
    }
    let bench = two_worlds();
    for room in ["conf-a", "conf-b", "conf-c", "conf-d"] {
        bench.run(&Scenario::stock("uac"), room, &["-m", "20", "-r", "100", "-d", "1000"]);
        let rooms: u64 = bench.switch.status().iter().map(|world| world.peak.rooms).sum();
        assert!(rooms <= 2, "one room at a time: {rooms}");
    }
    let answered: Vec<u64> = bench.switch.status().iter().map(|world| world.signalling.calls_answered).collect();
    assert!(answered.iter().all(|calls| calls % 20 == 0), "a room's calls are all in one world: {answered:?}");
    bench.finish_with(&[("peer hung up", 80)]);
}
