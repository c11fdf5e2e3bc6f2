//! The testkit, verb by verb.

use ringworld::components::edge::{Event, Operation};
use ringworld::prelude::*;
use ringworld::testkit::{OnCall, Phone, Testkit};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn kit() -> (Testkit, Phone) {
    let kit = Testkit::default();
    let alice = kit.phone("alice");
    (kit, alice)
}

/// The message of a panic.
fn panic_of<T>(act: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(act()))).expect_err("it panics");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_phone_calls_hears_itself_and_hangs_up() {
    let (kit, alice) = kit();
    alice.calls("echo").await_answer();
    assert!(alice.is_in_call());
    assert_eq!(kit.state(alice.session()), Some(SessionState::Connected));
    alice.plays_tone(620).await_tone(620);
    alice.falls_silent().await_silence();
    alice.presses("1#D").await_digits("1#D");
    // The last digit comes back while it is still being pressed.
    kit.runs(Duration::from_millis(300));
    let digits = kit.events().iter().filter(|event| matches!(event, Event::Digit { .. })).count();
    assert_eq!(digits, 3);
    alice.hangs_up().await_end();
    kit.assert_nothing_left();
}

#[test]
fn a_conference_is_heard_by_its_members() {
    let kit = Testkit::default();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| kit.phone(name));
    for phone in [&alice, &bob, &carol] {
        phone.calls("conf-a").await_answer();
    }
    alice.plays_tone(500);
    bob.await_tone(500);
    carol.await_tone(500);
    assert!(panic_of(|| alice.await_tone(500).name()).contains("alice awaited a tone of 500 Hz"));
}

#[test]
fn each_side_holds_and_takes_back() {
    let (kit, alice) = kit();
    let session = alice.calls("tone-440").await_answer().session();
    alice.await_tone(440);
    alice.holds().await_calm().await_silence();
    assert_eq!(kit.state(session), Some(SessionState::OnHold));
    alice.resumes().await_calm().await_tone(440);

    assert_eq!(kit.issue(Operation::Hold { session }), Ok(session));
    alice.await_hold();
    assert!(alice.is_held());
    kit.issue(Operation::Resume { session }).expect("it is on hold");
    alice.await_resume();
    let error = kit.issue(Operation::Resume { session }).expect_err("it is not on hold");
    assert!(error.to_string().contains("resume"), "{error}");
    kit.issue(Operation::HangUp { session }).expect("it is there");
    alice.await_end();
    kit.assert_nothing_left();
}

#[test]
fn a_refusal_and_a_call_that_is_given_up() {
    let (kit, alice) = kit();
    alice.calls("reject-486").await_status(486);
    alice.await_end();
    alice.calls("ring-30").await_ringing().hangs_up();
    alice.await_status(487);
    alice.await_end();
    kit.assert_nothing_left();
}

#[test]
fn the_switch_calls_a_phone_that_rings_answers_refuses_or_says_nothing() {
    let kit = Testkit::default();
    let bob = kit.phone_over_tcp("bob");
    let session = kit.calls(&bob, "tone-500");
    bob.await_call();
    kit.runs(Duration::from_millis(10));
    assert_eq!(kit.state(session), Some(SessionState::Ringing));
    bob.answers().await_answer().await_tone(500);
    assert_eq!((bob.session(), kit.state(session)), (session, Some(SessionState::Connected)));
    bob.hangs_up().await_end();

    kit.calls(&bob, "echo");
    bob.await_call().rejects(603).await_end();
    bob.on_call(OnCall::Refuses(486));
    let refused = kit.calls(&bob, "echo");
    bob.await_request("ACK");
    assert!(kit.events().contains(&Event::Ended { session: refused, cause: EndCause::Rejected, status: 486 }));

    bob.on_call(OnCall::Ignores);
    let ignored = kit.calls(&bob, "echo");
    assert_eq!(bob.await_call().session(), ignored);
    bob.rings();
    kit.runs(Duration::from_millis(10));
    assert_eq!(kit.state(ignored), Some(SessionState::Ringing));
    bob.on_call(OnCall::Answers);
    kit.issue(Operation::HangUp { session: ignored }).expect("it is there");
    bob.await_end();
    kit.calls(&bob, "echo");
    bob.await_answer().hangs_up().await_end();
    kit.assert_nothing_left();
}

#[test]
fn requests_of_any_kind_are_sent_and_answered() {
    let (kit, alice) = kit();
    let answer = alice.asks("OPTIONS", "callee", &[("Accept", "application/sdp")], None).await_status(200);
    assert!(answer.header("Allow").is_some_and(|methods| methods.contains("INVITE")), "{answer}");
    alice.calls_without_offer("echo");
    let answer = alice.await_status(200);
    assert!(answer.body().contains("m=audio"), "{answer}");
    alice.await_answer();
    alice.sends("INFO", &[], Some(("application/x-tone", "ping"))).await_status(200);
    alice.replies_to("BYE", 405);
    let session = alice.session();
    kit.issue(Operation::HangUp { session }).expect("it is there");
    let bye = alice.await_request("BYE");
    assert_eq!(bye.method().as_deref(), Some("BYE"));
    assert!(alice.is_in_call(), "405 is an answer, and no end for the phone");
    assert_eq!(alice.messages().len(), 0);
    kit.assert_nothing_left();
}

#[test]
fn a_phone_with_two_calls_is_told_which_one_is_meant() {
    let (_kit, alice) = kit();
    alice.calls("tone-440").await_answer();
    alice.calls("tone-800").await_answer().await_tone(800);
    alice.line(0).await_tone(440).hangs_up().await_end();
    assert!(alice.is_in_call() && !alice.line(0).is_in_call());
    assert!(alice.hears_packets(Duration::from_secs(1)) >= 49);
    assert_ne!(alice.name(), alice.uri());
}

#[test]
fn a_world_is_restarted_in_the_middle_of_a_call_and_played_again() {
    let (kit, alice) = kit();
    alice.calls("ring-2").await_ringing();
    let before = kit.digest();
    kit.restart();
    assert_eq!(kit.digest(), before);
    alice.await_answer().plays_tone(700).await_tone(700);
    kit.restart();
    alice.hangs_up().await_end();
    kit.replays();
    kit.assert_nothing_left();
    kit.replays();
}

/// A plugin with hidden state: its count is in no snapshot.
struct Forgetful;

#[derive(Resource, Default)]
struct Count(u32);

impl Plugin for Forgetful {
    fn build(&self, app: &mut App) {
        app.init_resource::<Count>();
        app.add_systems(Tick, (|mut count: ResMut<Count>| count.0 += 1).in_set(Phase::Behaviour));
    }
}

fn forgetful(app: &mut App) {
    app.add_plugins(Forgetful);
}

#[test]
fn what_is_not_registered_is_found() {
    let told = panic_of(|| Testkit::with(|plugins| _ = plugins.add(forgetful)).assert_nothing_left());
    assert!(told.contains("not registered") && told.contains("Count"), "{told}");
}

#[test]
fn a_failure_says_what_was_awaited_and_what_came() {
    let (kit, alice) = kit();
    alice.calls("reject-404");
    let told = panic_of(|| alice.await_answer().name());
    for part in
        ["alice awaited an answer for 60s", "call 0 of alice: Ended, 404", "alice -> switch  INVITE sip:reject-404"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(kit.ladder().contains("alice <- switch  SIP/2.0 404"));
    assert!(panic_of(|| kit.phone("bob").hangs_up().name()).contains("bob has no such call"));
    assert!(panic_of(|| kit.phone("bob").session().0).contains("no session"));
    alice.calls("echo").await_answer();
    assert!(panic_of(|| kit.assert_nothing_left()).contains("something is left"));
    assert!(kit.census().sessions == 1 && kit.now() > Duration::from_secs(60));
}
