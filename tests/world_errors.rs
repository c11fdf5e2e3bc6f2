//! Errors say all that row A9 of the catalogue asks for, are built in one way, and reach the caller or the trace.

mod common;

use bevy_app::App;
use common::callee::{answer_to, command, place, sdp};
use common::{Bench, Caller, established, status};
use ringworld::components::call::{CallError, CallErrorCause, MediaStanding, SessionState};
use ringworld::components::edge::{Command, Input, Operation, OperationKind, Output, PlaceCall};
use ringworld::components::kernel::{Now, Phase, StableId, Tick, WallTime};
use ringworld::components::wire::sdp::{Codec, Direction};
use ringworld::engine::{Engine, WorldConfig};
use std::cell::RefCell;
use std::io::Write;

/// 21 September 2026, 14:13:20 UTC.
const BEGAN_UNIX_MS: u64 = 1_790_000_000_000;

fn config() -> WorldConfig {
    WorldConfig { began_unix_ms: BEGAN_UNIX_MS, ..WorldConfig::default() }
}

/// Asks the world, and returns its error.
fn refused(bench: &mut Bench, operation: Operation) -> CallError {
    bench.outputs.clear();
    bench.pending.push(Input::Command(Command { number: 77, operation }));
    bench.tick();
    let reply = bench.outputs.iter().find_map(|output| match output {
        Output::Reply(reply) if reply.number == 77 => Some(reply.clone()),
        _ => None,
    });
    reply.expect("a reply").result.expect_err("an error")
}

/// The first session of an incoming call: its transaction's id is the one before.
const SESSION: StableId = StableId(2);

#[test]
fn an_error_names_session_dialog_state_media_tick_and_time_and_what_to_do() {
    let mut bench = Bench::with(config());
    let caller = established(&mut bench, 1, "echo");
    bench.run_ms(1_000);
    let before = bench.engine.digest();
    let mut same = Bench::with(config());
    established(&mut same, 1, "echo");
    same.run_ms(1_000);
    assert_eq!(same.engine.digest(), before);
    let error = refused(&mut bench, Operation::Resume { session: SESSION });
    same.tick();
    assert_eq!(same.engine.digest(), bench.engine.digest(), "nothing was changed");

    assert_eq!(error.cause, CallErrorCause::IllegalOperation(OperationKind::Resume));
    let context = error.context.as_ref();
    assert_eq!((context.session, context.state), (SESSION, Some(SessionState::Connected)));
    assert_eq!(context.call_id.as_deref(), Some(&b"call-1"[..]));
    assert_eq!((context.tick, context.time), (Now(203), WallTime(BEGAN_UNIX_MS + 203 * 5)));
    let remote = format!("10.0.0.2:{}", caller.rtp_port).parse().expect("an address");
    let agreed = MediaStanding::Agreed { port: 10_000, remote, codec: Codec::Pcmu, direction: Direction::SendRecv };
    assert_eq!(context.media, agreed);
    let dialog = context.dialog.expect("a dialog");
    let text = error.to_string();
    for part in [
        "session #2 (Connected",
        &format!("dialog {} Confirmed", dialog.id),
        "PCMU sendrecv between port 10000 and 10.0.0.2:30002",
        "Call-ID \"call-1\"",
        "at 2026-09-21T14:13:21.015Z, tick 203",
        "its state does not allow to resume; wait for the state change that allows it",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

fn place_to(to: &str, service: &str) -> Operation {
    Operation::Place(PlaceCall {
        from: "sip:switch@10.0.0.1".into(),
        to: to.into(),
        remote: common::PEER.parse().expect("an address"),
        over_tcp: false,
        local: common::SWITCH.parse().expect("an address"),
        service: service.into(),
        sdp: None,
    })
}

#[test]
fn whatever_is_refused_is_refused_in_the_same_way() {
    let mut settings = config();
    settings.settings.limits.sessions = 2;
    let mut bench = Bench::of(Engine::new(&settings), 1);
    let callee = "sip:callee@10.0.0.2:5070";
    let digits = |digits: &str| Operation::SendDtmf { session: SESSION, digits: digits.into() };
    let mut errors = vec![
        (refused(&mut bench, place_to("callee", "echo")), "is not a SIP URI"),
        (refused(&mut bench, place_to(callee, "ecko")), "there is no service \"ecko\"; name one"),
        (refused(&mut bench, Operation::HangUp { session: StableId(99) }), "session #63 at"),
    ];
    established(&mut bench, 1, "tone");
    errors.extend([
        (refused(&mut bench, place_to(callee, "echo")), "no RTP port pair is free; widen network.rtp_ports"),
        (refused(&mut bench, digits("1x")), "'x' is no digit"),
        (refused(&mut bench, digits(&"1".repeat(65))), "the limit of digits to send is reached"),
        (refused(&mut bench, Operation::Ring { session: SESSION }), "its state does not allow to ring"),
    ]);
    assert_eq!(bench.engine.census().sessions, 1, "nothing is left of a call that could not be placed");
    bench.run_ms(500);
    assert!(bench.rtp.iter().all(|packet| packet.bytes()[1] & 0x7f == 0), "no digit of a refused number is sent");
    bench.exchange(&Caller::new(2, "ring-60").invite());
    errors.push((
        refused(&mut bench, place_to(callee, "echo")),
        "the limit of sessions is reached; end calls or raise it",
    ));
    for (error, part) in errors {
        let text = error.to_string();
        assert!(text.contains(part), "{part}: {text}");
        let tick = error.context.tick.0;
        assert_eq!(error.context.time, WallTime(BEGAN_UNIX_MS + tick * 5));
        assert!(text.contains("at 2026-09-21T14:13:2") && text.contains(&format!(", tick {tick}: ")), "{text}");
    }
}

#[test]
fn digits_for_a_peer_that_takes_none_are_refused() {
    let mut bench = Bench::with(config());
    let invite = place(&mut bench);
    let body = sdp().replace(" 101\r\na=rtpmap:101 telephone-event/8000", "");
    bench.exchange(&answer_to(&invite, "200 OK", "t1", &body));
    let error = refused(&mut bench, Operation::SendDtmf { session: StableId(1), digits: "1".into() });
    assert_eq!(error.cause, CallErrorCause::NoDigits);
}

#[test]
fn the_time_of_day_follows_the_ticks_until_the_world_is_told_another() {
    let mut bench = Bench::with(config());
    bench.run_ms(1_000);
    assert_eq!(bench.engine.time(), WallTime(BEGAN_UNIX_MS + 1_000));
    let slept = WallTime(BEGAN_UNIX_MS + 3_600_000);
    bench.pending.push(Input::Command(Command { number: 0, operation: Operation::Reanchor { time: slept } }));
    bench.tick();
    assert_eq!(bench.engine.time(), slept);
    bench.run_ms(50);
    assert_eq!(bench.engine.time(), WallTime(slept.0 + 50));
    // It is part of the world: a restored one tells the same time.
    let mut restored = Engine::new(&WorldConfig::default());
    restored.restore(&bench.engine.snapshot(), None).expect("a snapshot of the same build");
    assert_eq!(restored.time(), bench.engine.time());
}

thread_local! {
    /// What this thread, and so this test, has traced.
    static TRACED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Trace;

impl Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        TRACED.with_borrow_mut(|traced| traced.extend_from_slice(bytes));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What `run` traces. The subscriber is that of the process: with one of this thread alone, a test in another thread
/// that reaches a callsite first would have it cached as disabled.
fn traced(run: impl FnOnce()) -> String {
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).with_writer(|| Trace).finish();
    // Set already, from the second time on.
    let _ = tracing::subscriber::set_global_default(subscriber);
    TRACED.take();
    run();
    String::from_utf8(TRACED.take()).expect("text")
}

#[test]
fn an_error_that_has_no_caller_is_in_the_trace() {
    // A behaviour that asks for something illegal and reads no result.
    fn meddle(
        mut offered: bevy_ecs::prelude::MessageReader<ringworld::components::call::CallOffered>,
        mut operations: ringworld::components::call::Operations,
    ) {
        for call in offered.read() {
            operations.write(Operation::resume(call.session));
        }
    }
    let text = traced(|| {
        use bevy_ecs::prelude::IntoScheduleConfigs;
        let engine = Engine::with_plugins(&config(), |plugins| {
            plugins.add(|app: &mut App| {
                app.add_systems(Tick, meddle.in_set(Phase::Behaviour));
            });
        });
        let mut bench = Bench::of(engine, 4);
        assert_eq!(status(&bench.exchange(&Caller::new(1, "ring-9").invite())[0]), 180);
        assert_eq!(bench.engine.counters().refused_operations, 1);
    });
    assert!(text.contains("session #2 (") && text.contains("tick 1: its state does not allow to resume"), "{text}");

    // An answer of the peer that can't be used.
    let text = traced(|| {
        let mut bench = Bench::with(config());
        let invite = place(&mut bench);
        bench.exchange(&answer_to(&invite, "200 OK", "t1", &sdp().replace("RTP/AVP 0 8 101", "RTP/AVP 18")));
    });
    assert!(text.contains("no session description was agreed") && text.contains("session #1 ("), "{text}");

    // A command whose sender wants no reply.
    let text = traced(|| {
        let mut bench = Bench::with(config());
        bench.pending.push(Input::Command(Command { number: 0, operation: Operation::Hold { session: StableId(5) } }));
        bench.tick();
        command(&mut bench, |_| Operation::HangUp { session: StableId(6) });
    });
    assert!(text.contains("session #5 at 2026-09-21T") && text.contains("session #6 at"), "{text}");
}
