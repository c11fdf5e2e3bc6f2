//! Callers and agents in virtual time.

use call_queue::{CallQueue, CallQueuePlugin};
use ringworld::prelude::*;
use ringworld::testkit::{OnCall, Phone, Testkit};

/// A world with two agents, and two callers.
fn queue() -> (Testkit, [Phone; 2], [Phone; 2]) {
    let agent = |number: u8| PlaceCall {
        from: "sip:queue@10.0.0.1".to_owned(),
        to: format!("sip:agent@10.0.1.{number}:5060"),
        remote: ([10, 0, 1, number], 5060).into(),
        over_tcp: false,
        local: ([10, 0, 0, 1], 5060).into(),
        service: String::new(),
        sdp: None,
    };
    let kit = Testkit::with(move |plugins| {
        plugins.add(CallQueuePlugin(vec![agent(1), agent(2)]));
    });
    let agents = ["gina", "hans"].map(|name| kit.phone(name));
    let callers = ["alice", "bob"].map(|name| kit.phone(name));
    (kit, agents, callers)
}

fn waiting(kit: &Testkit) -> usize {
    kit.look(|engine| engine.world().resource::<CallQueue>().waiting.len())
}

#[test]
fn a_caller_waits_until_an_agent_is_free() {
    let (kit, [gina, hans], [alice, bob]) = queue();
    alice.calls("queue").await_answer().plays_tone(500);
    gina.await_call().answers().await_answer().await_tone(500);
    hans.on_call(OnCall::Refuses(486));
    bob.calls("queue").await_answer().plays_tone(700);
    hans.await_request("ACK");
    assert_eq!(waiting(&kit), 1, "the agent that refused gets no more calls");
    kit.restart();
    gina.hangs_up();
    alice.await_end();
    gina.await_call().answers().await_answer().await_tone(700);
    bob.hangs_up();
    gina.await_end();
    assert_eq!(waiting(&kit), 0);
    kit.replays().assert_nothing_left();
}

#[test]
fn a_caller_that_leaves_is_not_served() {
    let (kit, [gina, hans], [alice, bob]) = queue();
    let carol = kit.phone("carol");
    alice.calls("queue").await_answer();
    bob.calls("queue").await_answer();
    carol.calls("queue").await_answer();
    gina.await_call();
    hans.await_call().answers().await_answer();
    carol.hangs_up().await_end();
    alice.hangs_up();
    gina.await_end();
    bob.hangs_up();
    hans.await_end();
    kit.assert_nothing_left();
}
