//! The two plugins at work, in virtual time.

use ringworld::prelude::*;
use ringworld::testkit::Testkit;
use sip_methods::{Echoes, MessageEchoPlugin, NotePackagePlugin, PACKAGE};

/// Registers MESSAGE and never answers one.
struct Silent;

impl Plugin for Silent {
    fn build(&self, app: &mut App) {
        app.add_sip_method(SipMethod::new(Method::Message, MethodScope::Dialog).raised());
    }
}

fn kit() -> Testkit {
    Testkit::with(|plugins| {
        plugins.add(NotePackagePlugin).add(MessageEchoPlugin);
    })
}

fn echoes(kit: &Testkit) -> Echoes {
    kit.look(|engine| *engine.world().resource::<Echoes>())
}

const TEXT: &str = "text/plain";

#[test]
fn an_info_package_is_announced_taken_and_sent_back() {
    let kit = kit();
    let alice = kit.phone("alice");
    alice.replies_to("INFO", 200);
    let answer = alice.calls("echo").await_status(200);
    assert_eq!(answer.header("Recv-Info").as_deref(), Some(PACKAGE));
    alice.await_answer();
    alice.sends("INFO", &[("Info-Package", PACKAGE)], Some((TEXT, "milk, eggs")));
    alice.await_status(200);
    let note = alice.await_request("INFO");
    assert_eq!((note.header("Info-Package").as_deref(), note.body().as_str()), (Some(PACKAGE), "milk, eggs"));
    let refused = alice.sends("INFO", &[("Info-Package", "dtmf")], None).await_status(469);
    assert_eq!(refused.header("Recv-Info").as_deref(), Some(PACKAGE));
    alice.sends("INFO", &[], None).await_status(200);
    alice.hangs_up().await_end();
    kit.assert_nothing_left();
    kit.replays();
}

#[test]
fn a_message_outside_any_dialog_is_sent_back_to_its_sender() {
    let kit = kit();
    let alice = kit.phone("alice");
    alice.replies_to("MESSAGE", 200);
    alice.asks("MESSAGE", "echo", &[], Some((TEXT, "hello"))).await_status(200);
    assert_eq!(alice.await_request("MESSAGE").body(), "hello");
    kit.runs(Duration::from_secs(1));
    assert_eq!(echoes(&kit), Echoes { delivered: 1, lost: 0 });
    kit.assert_nothing_left();
}

#[test]
fn a_message_in_a_call_is_sent_back_in_its_dialog() {
    let kit = kit();
    let alice = kit.phone("alice");
    alice.replies_to("MESSAGE", 486);
    alice.calls("echo").await_answer();
    alice.sends("MESSAGE", &[], Some((TEXT, "hello"))).await_status(200);
    assert_eq!(alice.await_request("MESSAGE").body(), "hello");
    kit.runs(Duration::from_secs(1));
    assert_eq!(echoes(&kit), Echoes { delivered: 0, lost: 1 });
    assert!(alice.is_in_call(), "a refused MESSAGE ends nothing (RFC 5057 section 5.1)");
    alice.hangs_up().await_end();
    kit.assert_nothing_left();
}

#[test]
fn allow_and_accept_follow_what_is_registered() {
    let (stock, kit) = (Testkit::default(), kit());
    let [bob, alice] = [stock.phone("bob"), kit.phone("alice")];
    let refused = bob.asks("MESSAGE", "echo", &[], Some((TEXT, "hello"))).await_status(405);
    assert!(!refused.header("Allow").unwrap_or_default().contains("MESSAGE"));
    let options = alice.asks("OPTIONS", "echo", &[], None).await_status(200);
    assert!(options.header("Allow").is_some_and(|allow| allow.ends_with("MESSAGE")), "{:?}", options.header("Allow"));
    let accept = options.header("Accept").unwrap_or_default();
    assert!(accept.starts_with("application/sdp") && accept.ends_with(TEXT), "{accept}");
    let refused = alice.asks("MESSAGE", "echo", &[], Some(("text/html", "<p>"))).await_status(415);
    assert_eq!(refused.header("Accept").as_deref(), Some(TEXT));
}

#[test]
fn a_request_that_no_plugin_answers_gets_500_also_after_a_restart() {
    let kit = Testkit::with(|plugins| {
        plugins.add(Silent);
    });
    let alice = kit.phone("alice");
    alice.asks("MESSAGE", "echo", &[], Some((TEXT, "hello")));
    kit.runs(Duration::from_secs(10));
    kit.restart();
    kit.runs(Duration::from_secs(5));
    assert!(alice.messages().iter().all(|message| message.status() != Some(500)), "it may still be answered");
    kit.runs(Duration::from_secs(2));
    assert!(alice.messages().iter().any(|message| message.status() == Some(500)));
    kit.assert_nothing_left();
}
