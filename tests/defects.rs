//! A defect in a running switch is reported when the switch stops: in its summary or, in a debug build, as a panic.

use ringworld::components::kernel::StableIds;
use ringworld::components::media::{Room, RoomState};
use ringworld::config::Config;
use ringworld::engine::{Extend, Switch};
use ringworld::prelude::*;
use std::sync::Arc;
use std::time::Instant;

/// How long an alarm is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The alarms of such a switch, once one of them has these words in it, and what the stop of the switch reports: in its
/// summary or, in a debug build, as a panic.
fn said(first_rtp_port: u16, (words, patience): (&str, Duration), extend: Extend) -> (String, String) {
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse().expect("an address")];
    config.network.rtp_ports = format!("{first_rtp_port}-{}", first_rtp_port + 39).parse().expect("a range");
    config.record.flight_seconds = 0;
    let switch = Switch::start_with(&config, extend).expect("the switch starts");
    let deadline = Instant::now() + patience;
    let alarms = || switch.status().remove(0).alarms.join("; ");
    while !alarms().contains(words) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let alarms = alarms();
    let at_the_end = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| switch.stop())) {
        Ok(summary) => summary.defects.join("; "),
        Err(panic) => panic.downcast_ref::<String>().expect("a message").clone(),
    };
    (alarms, at_the_end)
}

#[test]
fn what_a_plugin_did_not_register_is_named() {
    #[derive(Resource, Default)]
    struct Stowaway;
    let (_, at_the_end) = said(
        23_700,
        // The alarm for this comes late.
        ("Stowaway", Duration::from_millis(300)),
        Arc::new(|plugins| {
            plugins.adjust(|app| {
                app.init_resource::<Stowaway>();
            });
        }),
    );
    assert!(at_the_end.contains("Stowaway"), "{at_the_end}");
}

#[test]
fn a_world_that_panicked_is_told_of() {
    fn break_down() {
        panic!("a behaviour of a test breaks down, as it should");
    }
    let (_, at_the_end) = said(
        23_740,
        ("panic", PATIENCE),
        Arc::new(|plugins| {
            plugins.add(|app: &mut App| {
                app.add_systems(Tick, break_down.in_set(Phase::Behaviour));
            });
        }),
    );
    assert!(at_the_end.contains("a world panicked: a behaviour of a test breaks down"), "{at_the_end}");
}

#[test]
fn a_leaked_entity_raises_an_alarm_that_names_it() {
    fn leave_a_room_behind(now: Res<Now>, mut ids: ResMut<StableIds>, mut commands: Commands) {
        if now.0 == 1 {
            let room = Room { name: "lost".into(), state: RoomState::Active, created: *now, phase: 0 };
            commands.spawn((ids.mint(), room));
        }
    }
    let (alarms, at_the_end) = said(
        23_780,
        ("leaked", PATIENCE),
        Arc::new(|plugins| {
            plugins.add(|app: &mut App| {
                app.allow_ambiguous_resource::<StableIds>();
                app.add_systems(Tick, leave_a_room_behind.in_set(Phase::Behaviour));
            });
        }),
    );
    let named = "a room without participants";
    assert!(alarms.contains(&format!("leaked: #1: {named}")), "{alarms}");
    assert!(at_the_end.contains(named), "{at_the_end}");
}
