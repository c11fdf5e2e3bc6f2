//! Each fact is seen exactly once by `Phase::Behaviour`, wherever in the tick it arose, across a snapshot and a kill.

mod common;

use common::callee::{answer_to, command, place, sdp};
use common::{Bench, Caller, header, status};
use ringworld::components::edge::{Command, Input};
use ringworld::engine::Extend;
use ringworld::prelude::*;
use ringworld::state::{Keeper, recover};
use std::path::Path;
use std::sync::Arc;

/// What a plugin has seen: the number of each fact, and the fact in words.
#[derive(Resource, Record, Clone, Debug, Default)]
struct Seen(Vec<(u64, String)>);

struct Watcher;

impl Plugin for Watcher {
    fn build(&self, app: &mut App) {
        app.record_resource(Seen::default(), "watcher.seen");
        app.add_systems(Tick, watch.in_set(Phase::Behaviour));
    }
}

fn watch(
    mut offered: MessageReader<CallOffered>,
    mut changes: MessageReader<StateChanged>,
    mut answered: MessageReader<Answered>,
    mut media: MessageReader<MediaEstablished>,
    mut ended: MessageReader<CallEnded>,
    mut seen: ResMut<Seen>,
) {
    let from = seen.0.len();
    let seen = &mut seen.0;
    seen.extend(offered.read().map(|fact| (fact.sequence, format!("{} offered", fact.session))));
    seen.extend(changes.read().map(|fact| (fact.sequence, format!("{} is {}", fact.session, fact.to))));
    seen.extend(answered.read().map(|fact| (fact.sequence, format!("{} answered, {:?}", fact.session, fact.role))));
    seen.extend(media.read().map(|fact| (fact.sequence, format!("{} has {}", fact.session, fact.codec))));
    let in_words =
        |fact: &CallEnded| format!("{} ended: {} {}", fact.session, fact.ending.cause.as_str(), fact.ending.status);
    seen.extend(ended.read().map(|fact| (fact.sequence, in_words(fact))));
    seen[from..].sort();
}

fn config(asks: bool) -> WorldConfig {
    let mut config = WorldConfig::default();
    config.settings.services.ask_handler = asks;
    config
}

fn engine(asks: bool) -> Engine {
    Engine::with_plugins(&config(asks), |plugins| {
        plugins.add(Watcher);
    })
}

fn bench(asks: bool) -> Bench {
    let mut bench = Bench::of(engine(asks), 50);
    bench.tick();
    bench
}

/// What was seen, in the order of the facts. Their numbers are those from 0 on, each once.
fn seen(bench: &Bench) -> Vec<String> {
    let seen = &bench.engine.world().resource::<Seen>().0;
    let numbers: Vec<u64> = seen.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..seen.len() as u64).collect::<Vec<_>>(), "{seen:#?}");
    seen.iter().map(|(_, fact)| fact.clone()).collect()
}

const INCOMING: [&str; 4] = ["#2 offered", "#2 has PCMU", "#2 is Connected", "#2 answered, Incoming"];

fn offer(bench: &mut Bench) -> Caller {
    let mut caller = Caller::new(1, "echo");
    let answer = bench.exchange(&caller.invite()).remove(0);
    caller.learn(&answer);
    if status(&answer) == 200 {
        bench.exchange(&caller.ack());
    }
    caller
}

#[test]
fn an_incoming_call_that_is_answered_and_ended_by_the_peer() {
    let mut bench = bench(false);
    let mut caller = offer(&mut bench);
    assert_eq!(seen(&bench), INCOMING, "the answer of the tick before");
    let bye = caller.bye();
    bench.exchange(&bye);
    assert_eq!(seen(&bench)[4..], ["#2 is Terminated", "#2 ended: peer hung up 0"], "in the same tick");
    bench.run_ms(100);
    assert_eq!(seen(&bench).len(), 6);
}

#[test]
fn an_incoming_call_that_the_api_ends() {
    let mut bench = bench(false);
    offer(&mut bench);
    command(&mut bench, Operation::hang_up);
    let bye = bench.take_sent().pop().expect("a BYE");
    bench.tick();
    assert_eq!(seen(&bench)[4..], ["#2 is Terminating"]);
    bench.exchange(&answer_to(&bye, "200 OK", "", ""));
    assert_eq!(seen(&bench)[5..], ["#2 is Terminated", "#2 ended: hung up 480"]);
}

#[test]
fn an_incoming_call_that_the_api_refuses() {
    let mut bench = bench(true);
    offer(&mut bench);
    assert_eq!(seen(&bench), ["#2 offered"]);
    command(&mut bench, |session| Operation::reject(session, 486));
    assert_eq!(seen(&bench), ["#2 offered"], "what arises in Admission is for the next tick");
    bench.tick();
    assert_eq!(seen(&bench)[1..], ["#2 is Terminated", "#2 ended: rejected 486"]);
}

#[test]
fn a_call_of_ours_that_is_answered_and_ended_by_the_api() {
    let mut bench = bench(false);
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
    bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp()));
    let outgoing = ["#1 is Dialing", "#1 is Ringing", "#1 has PCMU", "#1 is Connected", "#1 answered, Outgoing"];
    assert_eq!(seen(&bench), outgoing);
    bench.take_sent();
    command(&mut bench, Operation::hang_up);
    let bye = bench.take_sent().pop().expect("a BYE");
    bench.exchange(&answer_to(&bye, "200 OK", "", ""));
    assert_eq!(seen(&bench)[5..], ["#1 is Terminating", "#1 is Terminated", "#1 ended: hung up 480"]);
}

#[test]
fn a_call_of_ours_that_the_api_cancels_and_the_peer_refuses() {
    let mut bench = bench(false);
    let invite = place(&mut bench);
    bench.exchange(&answer_to(&invite, "180 Ringing", "t1", ""));
    command(&mut bench, Operation::hang_up);
    bench.exchange(&answer_to(&invite, "487 Request Terminated", "t1", ""));
    assert_eq!(seen(&bench)[2..], ["#1 is Terminating", "#1 is Terminated", "#1 ended: hung up 480"]);
    assert!(header(&invite, "CSeq").is_some());
}

/// The world is saved and restored between a fact and its reader.
#[test]
fn a_fact_that_waits_is_in_the_snapshot_and_is_seen_once() {
    let mut bench = bench(false);
    let caller = Caller::new(1, "echo");
    bench.exchange(&caller.invite());
    assert_eq!(seen(&bench), ["#2 offered"], "the answer waits for its reader");
    let snapshot = bench.engine.snapshot();
    let mut heir = engine(false);
    heir.restore(&snapshot, None).expect("a snapshot");
    assert_eq!(heir.digest(), bench.engine.digest());
    for engine in [&mut bench.engine, &mut heir] {
        assert_eq!(engine.next_due().0, engine.now().0 + 1, "facts that wait keep the world awake");
        engine.tick(1, Vec::new());
        engine.tick(1, Vec::new());
    }
    assert_eq!(heir.digest(), bench.engine.digest());
    assert_eq!(seen(&bench), INCOMING);
    bench.engine = heir;
    assert_eq!(seen(&bench), INCOMING);
}

#[test]
fn a_fact_that_waits_survives_a_kill() {
    for is_refused in [false, true] {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("facts-{}-{is_refused}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let extend: Extend = Arc::new(|plugins| {
            plugins.add(Watcher);
        });
        let world = WorldConfig { epoch: 1, ..config(is_refused) };
        let mut engine = Engine::with_plugins(&world, |plugins| extend(plugins));
        let mut keeper = Keeper::start(&folder, &world, &engine, None, extend.clone(), None).expect("a keeper");
        keeper.live(&mut engine, 1, vec![Input::PortOpened(10_000)]).expect("a tick");
        let invite = common::sip_input(&Caller::new(1, "echo").invite(), common::PEER);
        keeper.live(&mut engine, 1, vec![invite]).expect("a tick");
        if is_refused {
            let world = engine.app_mut().world_mut();
            let session = *world.query_filtered::<&StableId, With<Session>>().single(world).expect("a session");
            let operation = Operation::reject(session, 603);
            keeper.live(&mut engine, 1, vec![Input::Command(Command { number: 1, operation })]).expect("a tick");
        }
        // The process is killed: nothing is ended in order.
        drop(keeper);
        let back = recover(&folder, &world, &extend).expect("a folder in order").expect("a world");
        let mut bench = Bench::of(back.engine, 0);
        bench.tick();
        bench.tick();
        let facts: Vec<String> =
            seen(&bench).iter().map(|fact| fact.split_once(' ').expect("words").1.to_owned()).collect();
        match is_refused {
            false => assert_eq!(facts, ["offered", "has PCMU", "is Connected", "answered, Incoming"]),
            true => assert_eq!(facts, ["offered", "is Terminated", "ended: rejected 603"]),
        }
    }
}
