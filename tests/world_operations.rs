//! Operations of plugins and of the API: their order, which excludes which, what claims do, and where results go.

mod common;

use common::callee::{call_to_peer, command};
use common::{Bench, Caller, status};
use ringworld::components::call::CallErrorCause;
use ringworld::components::edge::Output;
use ringworld::components::kernel::Step;
use ringworld::prelude::*;

/// What the plugins of a test were told of their operations.
#[derive(Resource, Record, Clone, Debug, Default)]
struct Told(Vec<String>);

fn listen(mut done: MessageReader<OperationDone>, mut told: ResMut<Told>) {
    told.0.extend(done.read().map(|fact| match &fact.result {
        Ok(session) => format!("{} of {session}: done", fact.kind),
        Err(error) => format!("{} of {}: {}", fact.kind, fact.session, error.cause),
    }));
}

fn listening(app: &mut App) {
    app.record_resource(Told::default(), "test.told");
    app.add_systems(Tick, listen.in_set(Phase::Behaviour));
}

/// A bench with this plugin.
fn bench(asks: bool, plugin: impl Fn(&mut App) + Send + Sync + 'static) -> Bench {
    let mut config = WorldConfig::default();
    config.settings.services.ask_handler = asks;
    config.settings.timers.deferral_s = 3;
    let engine = Engine::with_plugins(&config, |plugins| {
        plugins.add(listening).add(plugin);
    });
    let mut bench = Bench::of(engine, 50);
    bench.tick();
    bench
}

fn told(bench: &Bench) -> Vec<String> {
    bench.engine.world().resource::<Told>().0.clone()
}

/// The final statuses that the caller got for its INVITE.
fn call(bench: &mut Bench, user: &str) -> Vec<u16> {
    let sent = bench.exchange(&Caller::new(1, user).invite());
    sent.iter().map(|text| status(text)).collect()
}

fn answer(mut offered: MessageReader<CallOffered>, mut operations: Operations) {
    operations.for_each_call(offered.read(), |operations, call| {
        operations.write(Operation::answer(call.session, "tone"));
    });
}

fn reject(mut offered: MessageReader<CallOffered>, mut operations: Operations) {
    operations.for_each_call(offered.read(), |operations, call| {
        operations.write(Operation::reject(call.session, 603));
    });
}

fn reject_first(mut offered: MessageReader<CallOffered>, mut operations: Operations) {
    operations.for_each_call(offered.read(), |operations, call| {
        operations.write_with(OperationPriority::High, Operation::reject(call.session, 486));
    });
}

#[test]
fn of_two_plugins_that_decide_about_a_call_the_first_one_wins_and_the_other_is_told() {
    let mut bench_a = bench(true, |app| {
        app.add_systems(Tick, answer.in_set(Phase::Behaviour)).add_systems(Tick, reject.in_set(Phase::Behaviour));
    });
    assert_eq!(call(&mut bench_a, "echo"), [200]);
    bench_a.tick();
    assert_eq!(told(&bench_a), ["reject of #2: the operation to answer came first in the same tick"]);
    let mut bench_b = bench(true, |app| {
        app.add_systems(Tick, reject.in_set(Phase::Behaviour)).add_systems(Tick, answer.in_set(Phase::Behaviour));
    });
    assert_eq!(call(&mut bench_b, "echo"), [603]);
    bench_b.tick();
    assert_eq!(told(&bench_b), ["answer of #2: the operation to reject came first in the same tick"]);
    assert_eq!(bench_b.engine.counters().refused_operations, 0, "nothing illegal was asked for");
}

#[test]
fn an_operation_of_higher_priority_comes_first_whatever_the_order_of_the_plugins() {
    let mut bench = bench(true, |app| {
        app.add_systems(Tick, answer.in_set(Phase::Behaviour)).add_systems(Tick, reject_first.in_set(Phase::Behaviour));
    });
    assert_eq!(call(&mut bench, "echo"), [486]);
}

#[test]
fn a_plugin_wins_against_default_routing() {
    let mut bench = bench(false, |app| {
        app.add_systems(Tick, reject.in_set(Phase::Behaviour));
    });
    assert_eq!(call(&mut bench, "echo"), [603]);
}

#[test]
fn a_command_of_the_api_wins_against_a_plugin_in_the_same_tick() {
    fn hold(mut answered: MessageReader<Answered>, mut operations: Operations) {
        for call in answered.read() {
            operations.write(Operation::hold(call.session));
        }
    }
    let mut bench = bench(false, |app| {
        app.add_systems(Tick, hold.in_set(Phase::Behaviour));
    });
    assert_eq!(call(&mut bench, "echo"), [200]);
    command(&mut bench, Operation::hang_up);
    bench.tick();
    assert_eq!(told(&bench), ["hold of #2: the operation to hang up came first in the same tick"]);
    assert!(!bench.sent.iter().any(|(_, text)| text.starts_with("INVITE ")));
}

fn claim(mut offered: MessageReader<CallOffered>, mut operations: Operations) {
    operations.for_each_call(offered.read(), |operations, call| {
        operations.write(Operation::claim(call.session, "queue", Duration::from_secs(5)));
    });
}

#[test]
fn a_claimed_call_is_left_to_its_plugin_until_the_claim_ends_and_then_routed() {
    let mut bench = bench(false, |app| {
        app.add_systems(Tick, claim.in_set(Phase::Behaviour));
    });
    assert_eq!(call(&mut bench, "echo"), [100]);
    bench.tick();
    assert_eq!(told(&bench), ["answer of #2: the call is claimed by queue"], "default routing is told, too");
    bench.run_ms(4_900);
    assert!(bench.sent.iter().all(|(_, text)| status(text) < 200), "the time for a decision is that of the claim");
    bench.run_ms(200);
    let (at, answer) = bench.sent.iter().find(|(_, text)| status(text) == 200).expect("an answer");
    assert!((1_002..1_004).contains(at), "{at}: {answer}");
}

#[test]
fn a_claim_that_ends_where_nothing_routes_calls_leads_to_480() {
    let mut bench = bench(true, |app| {
        app.add_systems(Tick, claim.in_set(Phase::Behaviour));
    });
    assert_eq!(call(&mut bench, "echo"), [100]);
    bench.run_quiet_s(9);
    let refusals: Vec<(u64, u16)> =
        bench.sent.iter().map(|(at, text)| (*at, status(text))).filter(|it| it.1 >= 200).collect();
    // Five seconds of the claim, and three for a decision.
    assert!(matches!(refusals.first(), Some((1_602..1_604, 480))), "{refusals:?}");
}

#[test]
fn a_claim_is_given_back_taken_once_and_ends_with_the_answer() {
    fn release(mut digits: MessageReader<StateChanged>, mut operations: Operations) {
        for change in digits.read().filter(|change| change.to == SessionState::Ringing) {
            operations.request(Operation::claim(change.session, "another", Duration::from_secs(1)));
            operations.request(Operation::release(change.session, "another"));
            operations.request(Operation::release(change.session, "queue"));
        }
    }
    let mut bench = bench(false, |app| {
        app.add_systems(Tick, claim.in_set(Phase::Behaviour)).add_systems(Tick, release.in_set(Phase::Behaviour));
    });
    assert_eq!(call(&mut bench, "echo"), [100]);
    command(&mut bench, Operation::ring);
    bench.tick();
    bench.tick();
    let claimed = "the call is claimed by queue";
    let expected = [
        format!("answer of #2: {claimed}"),
        format!("claim of #2: {claimed}"),
        format!("release of #2: {claimed}"),
        "release of #2: done".to_owned(),
    ];
    assert_eq!(told(&bench), expected);
    bench.tick();
    assert_eq!(bench.sent.last().map(|(_, text)| status(text)), Some(200), "default routing has it again");
    command(&mut bench, Operation::hang_up);
    bench.run_quiet_s(100);
    bench.assert_baseline();
}

#[test]
fn the_api_may_end_a_claimed_call() {
    let mut bench = bench(false, |app| {
        app.add_systems(Tick, claim.in_set(Phase::Behaviour));
    });
    call(&mut bench, "echo");
    bench.take_sent();
    command(&mut bench, Operation::hang_up);
    assert_eq!(status(&bench.take_sent()[0]), 480);
    bench.run_quiet_s(100);
    bench.assert_baseline();
}

/// Places a call when one comes in, and remembers the ticket.
#[derive(Resource, Record, Clone, Debug, Default)]
struct Placed {
    ticket: Option<Ticket>,
    session: Option<StableId>,
}

fn place(
    mut offered: MessageReader<CallOffered>,
    mut done: MessageReader<OperationDone>,
    mut placed: ResMut<Placed>,
    mut operations: Operations,
) {
    for call in offered.read() {
        let call = PlaceCall { to: String::from_utf8_lossy(&call.from).into_owned(), ..call_to_peer("tone", false) };
        placed.ticket = Some(operations.request(Operation::Place(call)));
    }
    let ticket = placed.ticket;
    for fact in done.read().filter(|fact| Some(fact.ticket) == ticket) {
        placed.session = fact.result.clone().ok();
    }
}

#[test]
fn a_plugin_places_a_call_and_gets_its_session() {
    let mut bench = bench(true, |app| {
        app.record_resource(Placed::default(), "test.placed");
        app.add_systems(Tick, place.in_set(Phase::Behaviour));
    });
    let sent = bench.exchange(&Caller::new(1, "echo").invite());
    assert!(sent.iter().any(|text| text.starts_with("INVITE sip:caller1@10.0.0.2:5070 ")), "{sent:#?}");
    bench.tick();
    let session = bench.engine.world().resource::<Placed>().session.expect("a session");
    let entity = bench.engine.world().resource::<StableIds>().find(session).expect("an entity");
    let placed = bench.engine.world().get::<Session>(entity).expect("a session");
    assert_eq!((placed.role, placed.state()), (Role::Outgoing, SessionState::Dialing));
}

#[test]
fn what_is_written_after_admission_is_carried_out_in_the_next_tick_even_across_a_snapshot() {
    fn late(sessions: Query<(&StableId, &Session)>, mut operations: Operations) {
        for (id, _) in sessions.iter().filter(|(_, session)| session.state() == SessionState::Connected) {
            operations.write(Operation::hang_up(*id));
        }
    }
    let in_cleanup: fn(&mut App) = |app| _ = app.add_systems(Tick, late.in_set(Phase::Cleanup).after(Step::Close));
    let in_observe: fn(&mut App) = |app| _ = app.add_systems(Tick, late.in_set(Phase::Observe));
    for extend in [in_cleanup, in_observe] {
        let mut bench = bench(false, extend);
        assert_eq!(call(&mut bench, "echo"), [200]);
        let snapshot = bench.engine.snapshot();
        let mut config = WorldConfig::default();
        config.settings.timers.deferral_s = 3;
        bench.engine = Engine::with_plugins(&config, |plugins| {
            plugins.add(listening).add(extend);
        });
        bench.engine.restore(&snapshot, None).expect("a snapshot");
        bench.take_sent();
        let caller = Caller::new(1, "echo");
        bench.tick();
        bench.exchange(&caller.ack());
        let states: Vec<SessionState> = {
            let world = bench.engine.app_mut().world_mut();
            world.query::<&Session>().iter(world).map(Session::state).collect()
        };
        assert_eq!(states, [SessionState::Terminating]);
    }
}

/// A note about a call, in an entity of its own.
#[derive(Component, Record, Clone, Debug)]
struct Note(u32);

struct NoteTimer;

#[test]
fn a_panic_in_the_work_for_one_call_costs_that_call_and_takes_back_what_was_written_for_it() {
    fn explode(mut offered: MessageReader<CallOffered>, mut operations: Operations) {
        operations.for_each_call(offered.read(), |operations, call| {
            let note = operations.spawn(Note(7));
            operations.start_timer::<NoteTimer>(note, Duration::from_secs(1));
            operations.write(Operation::answer(call.session, "tone"));
            assert!(!call.to.starts_with(b"sip:bomb@"), "this call explodes");
        });
    }
    let mut bench = bench(true, |app| {
        app.record::<Note>("test.note").add_timer::<NoteTimer>("test.note_timer");
        app.add_systems(Tick, explode.in_set(Phase::Behaviour));
    });
    bench.deliver(&Caller::new(1, "echo").invite());
    bench.deliver(&Caller::new(2, "bomb").invite());
    bench.deliver(&Caller::new(3, "echo").invite());
    bench.tick();
    bench.tick();
    let of = |call: u32| {
        let sent = bench.sent.iter().filter(move |(_, text)| text.contains(&format!("Call-ID: call-{call}\r\n")));
        sent.map(|(_, text)| status(text)).collect::<Vec<u16>>()
    };
    assert_eq!((of(1), of(2), of(3)), (vec![200], vec![100, 500], vec![200]));
    let world = bench.engine.app_mut().world_mut();
    assert_eq!(world.query::<&Note>().iter(world).count(), 2, "the note of the call that exploded was taken back");
    let panics = &bench.engine.counters().panics;
    assert!(
        panics.keys().all(|system| system.ends_with("::explode")) && panics.values().sum::<u64>() == 1,
        "{panics:?}"
    );
    let world = bench.engine.app_mut().world_mut();
    let notes: Vec<Entity> = world.query_filtered::<Entity, With<Note>>().iter(world).collect();
    for note in notes {
        world.despawn(note);
    }
    assert!(!bench.outputs.iter().any(|output| matches!(output, Output::Reply(_))));
}

#[test]
fn an_error_names_the_winner() {
    let cause = CallErrorCause::Superseded(OperationKind::HangUp);
    assert_eq!(cause.to_string(), "the operation to hang up came first in the same tick");
}
