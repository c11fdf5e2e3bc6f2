//! The behaviour at work, in virtual time: a call comes in, is put on hold, and hears the reminder.

use hold_reminder::{HoldReminder, HoldReminderPlugin};
use ringworld::engine::WorldConfig;
use ringworld::prelude::*;
use ringworld::testkit::{Phone, Testkit};

const PERIOD: Duration = Duration::from_secs(10);

/// A call that is answered, and then held by the switch.
fn held() -> (Testkit, Phone, StableId) {
    // Only reminders are to be counted: pauses are not filled.
    let mut config = WorldConfig::default();
    config.settings.timers.rtp_pause_s = 0;
    let kit = Testkit::configured(config, |plugins| {
        plugins.add(HoldReminderPlugin { period: PERIOD });
    });
    let alice = kit.phone("alice");
    let session = alice.calls("echo").await_answer().session();
    assert_eq!(alice.hears_packets(2 * PERIOD), 0, "a call that is not held is not reminded");
    kit.issue(Operation::Hold { session }).expect("a connected call can be held");
    alice.await_hold();
    (kit, alice, session)
}

fn given(kit: &Testkit, session: StableId) -> Option<u32> {
    kit.get::<HoldReminder>(session).map(|reminder| reminder.given)
}

#[test]
fn a_held_call_is_reminded_until_it_is_taken_back() {
    let (kit, alice, session) = held();
    assert_eq!(given(&kit, session), Some(0));
    assert_eq!(alice.hears_packets(PERIOD - Duration::from_millis(50)), 0, "not before its time");
    assert!(alice.hears_packets(Duration::from_secs(2)) > 10, "the reminder is heard");
    assert_eq!(given(&kit, session), Some(1));
    assert_eq!(alice.hears_packets(Duration::from_secs(7)), 0, "then it is quiet");
    assert!(alice.hears_packets(Duration::from_secs(3)) > 10, "and comes again");
    assert_eq!(given(&kit, session), Some(2));

    kit.issue(Operation::Resume { session }).expect("a held call can be taken back");
    alice.await_resume();
    assert_eq!((kit.state(session), given(&kit, session)), (Some(SessionState::Connected), None));
    assert_eq!(alice.hears_packets(2 * PERIOD), 0, "a call that was taken back is not reminded");
    alice.hangs_up().await_end();
    kit.replays().assert_nothing_left();
}

#[test]
fn a_call_that_ends_on_hold_takes_its_reminder_along() {
    for by_the_switch in [false, true] {
        let (kit, alice, session) = held();
        if by_the_switch {
            kit.issue(Operation::HangUp { session }).expect("it is there");
        } else {
            alice.hangs_up();
        }
        assert_eq!(alice.await_end().hears_packets(2 * PERIOD), 0);
        kit.assert_nothing_left();
    }
}

#[test]
fn the_reminder_is_recorded_and_survives_a_restart_in_the_middle_of_a_hold() {
    let (kit, alice, session) = held();
    kit.runs(PERIOD / 2).restart();
    assert!(alice.hears_packets(PERIOD) > 10);
    assert_eq!(given(&kit, session), Some(1));
    kit.replays();
}
