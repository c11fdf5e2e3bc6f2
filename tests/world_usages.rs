//! Usages of dialogs in virtual time (RFC 5057): which usage outlives which, and what a failed request ends.

mod common;

use bevy_ecs::prelude::*;
use common::callee::{answer_to, command};
use common::{Bench, Caller, established, status};
use ringworld::components::call::Parties;
use ringworld::components::edge::Operation;
use ringworld::components::kernel::{StableIds, start_timer};
use ringworld::components::sip::{
    Dialog, FailureScope, InviteUsage, SipApp, Subscription, SubscriptionExpiry, SubscriptionRole, SubscriptionState,
    UsageOf,
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

/// Tables 1 and 2 of RFC 5057 section 5.1, with the notes below them.
#[test]
fn the_table_of_failed_requests_is_that_of_rfc_5057() {
    use FailureScope::{Dialog, Transaction, Usage};
    let methods = [Method::Invite, Method::Subscribe, Method::Info, Method::Cancel];
    let of = |status| methods.clone().map(|method| FailureScope::of(status, &method));
    for status in [404, 410, 416, 482, 483, 484, 485, 502, 604] {
        assert_eq!(of(status), [Dialog, Dialog, Dialog, Transaction], "{status}");
    }
    for status in [408, 480, 481] {
        assert_eq!(of(status), [Usage, Usage, Usage, Transaction], "{status}");
    }
    for status in [405, 501] {
        assert_eq!(of(status), [Usage, Usage, Transaction, Transaction], "{status}");
    }
    assert_eq!(of(489), [Transaction, Usage, Transaction, Transaction]);
    let of_the_transaction_alone = [
        300, 302, 400, 401, 402, 403, 406, 407, 412, 413, 414, 415, 417, 420, 421, 422, 423, 428, 429, 436, 437, 438,
        486, 487, 488, 491, 493, 494, 499, 500, 503, 504, 505, 513, 580, 599, 600, 603, 606, 699,
    ];
    for status in of_the_transaction_alone {
        assert_eq!(of(status), [Transaction; 4], "{status}");
    }
}

/// Has an INFO sent in the only call.
fn send_info(bench: &mut Bench) -> String {
    command(bench, |session| Operation::send_in_session(session, Method::Info, Vec::new()));
    bench.take_sent().into_iter().find(|text| text.starts_with("INFO ")).expect("an INFO")
}

#[test]
fn a_request_that_fails_while_a_bye_is_open_is_not_taken_for_the_end_of_the_bye() {
    let mut bench = Bench::new();
    established(&mut bench, 1, "echo");
    send_info(&mut bench);
    bench.run_ms(31_000);
    command(&mut bench, |session| Operation::HangUp { session });
    let bye = bench.take_sent().into_iter().find(|text| text.starts_with("BYE ")).expect("a BYE");
    // The INFO times out now.
    bench.run_ms(2_000);
    assert_eq!(bench.engine.census().sessions, 1, "the BYE has no response yet");
    bench.exchange(&answer_to(&bye, "200 OK", "x", ""));
    bench.run_ms(40_000);
    bench.assert_baseline();
    assert_eq!(bench.engine.counters().outcomes.get("hung up"), Some(&1));
}

#[test]
fn a_request_in_a_usage_ends_what_the_table_says() {
    for (phrase, ends_call, ends_subscription) in [
        (Some("200 OK"), false, false),
        (Some("405 Method Not Allowed"), false, false),
        (Some("480 Temporarily Unavailable"), true, false),
        (Some("481 Call/Transaction Does Not Exist"), true, false),
        (Some("604 Does Not Exist Anywhere"), true, true),
        (None, true, false),
    ] {
        let mut bench = Bench::new();
        established(&mut bench, 1, "echo");
        subscribe(&mut bench, 600);
        let info = send_info(&mut bench);
        match phrase {
            Some(phrase) => drop(bench.exchange(&answer_to(&info, phrase, "x", ""))),
            None => bench.run_ms(33_000),
        }
        bench.tick();
        let bye = bench.take_sent().into_iter().find(|text| text.starts_with("BYE "));
        assert_eq!(bye.is_some(), ends_call, "{phrase:?}");
        assert_eq!(usages(&mut bench), (1, usize::from(!ends_subscription)), "{phrase:?}");
        if ends_call {
            bench.exchange(&answer_to(&bye.expect("a BYE"), "200 OK", "x", ""));
            bench.tick();
            assert_eq!(bench.engine.counters().outcomes.get("peer lost the dialog"), Some(&1), "{phrase:?}");
        }
    }
}

#[test]
fn what_is_not_for_a_plugin_to_send_is_refused() {
    let mut bench = Bench::new();
    established(&mut bench, 1, "echo");
    let header = |name: &str| vec![(name.to_owned(), "1".to_owned())];
    for (method, headers) in [
        (Method::Invite, Vec::new()),
        (Method::Bye, Vec::new()),
        (Method::Info, header("Via")),
        (Method::Info, header("a b")),
    ] {
        bench.take_sent();
        command(&mut bench, |session| Operation::send_in_session(session, method.clone(), headers.clone()));
        assert_eq!(bench.take_sent(), Vec::<String>::new(), "{method}");
    }
}

/// Keeps a header field.
struct KeepsIdentity;

impl ringworld::prelude::Plugin for KeepsIdentity {
    fn build(&self, app: &mut ringworld::prelude::App) {
        app.keep_header("P-Asserted-Identity");
    }
}

#[test]
fn a_header_field_that_a_plugin_asked_for_is_kept_with_the_session() {
    let engine = ringworld::engine::Engine::with_plugins(&Default::default(), |plugins| {
        plugins.add(KeepsIdentity);
    });
    let mut bench = Bench::of(engine, 50);
    let identity = "Contact: <sip:a@10.0.0.2>\r\nP-Asserted-Identity: <tel:+49301234>\r\n";
    let invite = Caller::new(1, "echo").invite();
    let (start, rest) = invite.split_once("Contact: ").expect("a Contact");
    let rest = rest.split_once("\r\n").expect("its end").1;
    bench.exchange(&format!("{start}{identity}{rest}"));
    let world = bench.engine.app_mut().world_mut();
    let parties = world.query::<&Parties>().single(world).expect("a session");
    assert_eq!(parties.header("p-asserted-identity").map(|value| value.as_ref()), Some(&b"<tel:+49301234>"[..]));
    assert_eq!(parties.headers.len(), 1);
}
