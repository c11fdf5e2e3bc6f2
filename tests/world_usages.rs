//! Usages of dialogs in virtual time (RFC 5057): what outlives what, and what a failed request ends.

mod common;

use bevy_ecs::prelude::*;
use common::callee::{answer_to, command};
use common::{Bench, established, status};
use ringworld::components::edge::Operation;
use ringworld::components::kernel::{StableIds, start_timer};
use ringworld::components::sip::{
    Dialog, FailureScope, InviteUsage, Subscription, SubscriptionExpiry, SubscriptionRole, SubscriptionState, UsageOf,
};
use ringworld::components::wire::sip::Method;
use std::time::Duration;

/// Adds a subscription to the only dialog, as an event package would.
fn subscribe(bench: &mut Bench, seconds: u64) -> Entity {
    let world = bench.engine.app_mut().world_mut();
    let dialog = world.query_filtered::<Entity, With<Dialog>>().single(world).expect("a dialog");
    let id = world.resource_mut::<StableIds>().mint();
    let subscription = Subscription {
        event: "refer".into(),
        id: None,
        role: SubscriptionRole::Notifier,
        state: SubscriptionState::Active,
    };
    let subscription = world.spawn((id, subscription, UsageOf(dialog))).id();
    start_timer::<SubscriptionExpiry>(world, subscription, Duration::from_secs(seconds));
    subscription
}

fn usages(bench: &mut Bench) -> (usize, usize) {
    let world = bench.engine.app_mut().world_mut();
    let invites = world.query::<&InviteUsage>().iter(world).count();
    (invites, world.query::<&Subscription>().iter(world).count())
}

#[test]
fn a_subscription_outlives_a_bye_and_takes_its_dialog_with_it_when_it_expires() {
    let mut bench = Bench::new();
    let mut caller = established(&mut bench, 1, "echo");
    subscribe(&mut bench, 60);
    bench.exchange(&caller.bye());
    bench.run_ms(40_000);
    assert_eq!((bench.engine.census().sessions, bench.engine.census().dialogs), (0, 1));
    assert_eq!(usages(&mut bench), (0, 1));
    assert_eq!(bench.engine.leaks(), [], "a dialog of a subscription alone is lawful");
    assert!(ringworld::engine::Sum::ALL.iter().all(|sum| sum.check(&bench.engine).is_none()));
    // What belongs to the INVITE usage is refused; what belongs to the dialog is answered.
    for (method, expected) in [("INFO", 481), ("BYE", 481), ("INVITE", 481), ("OPTIONS", 200)] {
        caller.next();
        assert_eq!(status(&bench.exchange(&caller.request(method, ""))[0]), expected, "{method}");
    }
    bench.run_ms(60_000);
    bench.assert_baseline();
}

#[test]
fn a_subscription_that_ends_first_leaves_the_call_alone() {
    let mut bench = Bench::new();
    let mut caller = established(&mut bench, 1, "echo");
    subscribe(&mut bench, 2);
    bench.run_ms(3_000);
    assert_eq!((bench.engine.census().sessions, bench.engine.census().dialogs), (1, 1));
    assert_eq!(usages(&mut bench), (1, 0));
    assert_eq!(status(&bench.exchange(&caller.bye())[0]), 200);
    bench.run_ms(40_000);
    bench.assert_baseline();
}

#[test]
fn a_dialog_of_a_subscription_survives_a_snapshot() {
    let mut bench = Bench::new();
    let mut caller = established(&mut bench, 1, "echo");
    subscribe(&mut bench, 60);
    bench.exchange(&caller.bye());
    bench.run_ms(1_000);
    let snapshot = bench.engine.snapshot();
    let mut restored = ringworld::engine::Engine::new(&ringworld::engine::WorldConfig::default());
    restored.restore(&snapshot, None).expect("it is of this build");
    assert_eq!((restored.digest(), restored.census()), (bench.engine.digest(), bench.engine.census()));
    let mut restored = Bench::of(restored, 0);
    restored.run_ms(70_000);
    restored.assert_baseline();
}

#[test]
fn a_refused_re_invite_ends_what_the_table_says() {
    for (phrase, ends_call, ends_subscription) in [
        ("488 Not Acceptable Here", false, false),
        ("503 Service Unavailable", false, false),
        ("408 Request Timeout", true, false),
        ("481 Call/Transaction Does Not Exist", true, false),
        ("404 Not Found", true, true),
    ] {
        let mut bench = Bench::new();
        established(&mut bench, 1, "echo");
        subscribe(&mut bench, 600);
        bench.take_sent();
        command(&mut bench, |session| Operation::Hold { session });
        let reinvite = bench.take_sent().pop().expect("a re-INVITE");
        bench.exchange(&answer_to(&reinvite, phrase, "x", ""));
        bench.tick();
        let bye = bench.take_sent().into_iter().find(|text| text.starts_with("BYE "));
        assert_eq!(bye.is_some(), ends_call, "{phrase}");
        assert_eq!(usages(&mut bench), (1, usize::from(!ends_subscription)), "{phrase}");
    }
}

#[test]
fn the_table_of_failed_requests_is_that_of_the_rfcs() {
    use FailureScope::{Dialog, Transaction, Usage};
    let of = |status| [Method::Invite, Method::Subscribe, Method::Info].map(|method| FailureScope::of(status, &method));
    for status in [404, 410, 416, 482, 483, 484, 485, 502, 604] {
        assert_eq!(of(status), [Dialog; 3], "{status}");
    }
    for status in [408, 481] {
        assert_eq!(of(status), [Usage; 3], "{status}");
    }
    for status in [405, 480, 501] {
        assert_eq!(of(status), [Usage, Usage, Transaction], "{status}");
    }
    assert_eq!(of(489), [Transaction, Usage, Transaction]);
    for status in [300, 400, 401, 403, 407, 415, 420, 486, 487, 488, 491, 500, 503, 600, 603, 606] {
        assert_eq!(of(status), [Transaction; 3], "{status}");
    }
}
