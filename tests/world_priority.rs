//! Priorities of sessions: set by rules, header fields and operations, and the marks that the network is told.

mod common;

use common::{Bench, Caller, callee, status};
use ringworld::components::call::{Priority, PriorityLevel, PrioritySource, QosClass, Session};
use ringworld::components::edge::{Command, Input, Operation, Output};
use ringworld::components::kernel::StableId;
use ringworld::engine::{Engine, WorldConfig};

fn ruled() -> WorldConfig {
    let mut config = WorldConfig::default();
    let rules = ["to tone* high video", "from caller9 low"].map(|rule| rule.parse().expect("a rule"));
    config.settings.priority.rules = rules.into();
    config
}

/// A call to the echo with these header fields; the priority of its session.
fn call(bench: &mut Bench, call: u32, user: &str, headers: &str) -> (Caller, Priority) {
    let mut caller = Caller::new(call, user);
    let invite = caller.invite().replacen("Max-Forwards", &format!("{headers}Max-Forwards"), 1);
    let answer = bench.exchange(&invite).remove(0);
    assert_eq!(status(&answer), 200, "{answer}");
    caller.learn(&answer);
    bench.exchange(&caller.ack());
    let (_, priority) = newest(bench);
    (caller, priority)
}

/// The newest session and its priority.
fn newest(bench: &mut Bench) -> (StableId, Priority) {
    let world = bench.engine.app_mut().world_mut();
    let mut sessions = world.query::<(&StableId, &Session, Option<&Priority>)>();
    let found = sessions.iter(world).map(|(id, _, priority)| (*id, priority.copied().unwrap_or_default()));
    found.max_by_key(|(id, _)| *id).expect("a session")
}

/// The marks told of since the last look.
fn marks(bench: &mut Bench) -> Vec<(u16, QosClass)> {
    let mark = |output| if let Output::PortMarked(port, class) = output { Some((port, class)) } else { None };
    bench.outputs.drain(..).filter_map(mark).collect()
}

#[test]
fn header_fields_of_the_invite_set_the_level() {
    let mut bench = Bench::new();
    let cases = [
        ("", PriorityLevel::Normal, PrioritySource::Default),
        ("Priority: emergency\r\n", PriorityLevel::Emergency, PrioritySource::Header),
        ("Resource-Priority: wps.1, dsn.routine\r\n", PriorityLevel::Critical, PrioritySource::Header),
        ("Priority: non-urgent\r\n", PriorityLevel::Low, PrioritySource::Header),
    ];
    for (number, (headers, level, source)) in cases.into_iter().enumerate() {
        let (mut caller, priority) = call(&mut bench, number as u32, "echo", headers);
        assert_eq!((priority.level, priority.source), (level, source), "{headers}");
        bench.exchange(&caller.bye());
    }
    assert!(marks(&mut bench).is_empty(), "a level marks nothing");
    bench.run_quiet_s(70);
    bench.assert_baseline();
}

#[test]
fn rules_set_level_and_class_of_calls_in_both_directions_and_the_port_is_marked() {
    let mut bench = Bench::with(ruled());
    let (mut caller, priority) = call(&mut bench, 1, "tone", "Priority: emergency\r\n");
    let high = Priority { level: PriorityLevel::High, class: QosClass::Video, source: PrioritySource::Rule };
    assert_eq!(priority, high, "a rule wins over a header field");
    assert_eq!(marks(&mut bench), [(10_000, QosClass::Video)]);
    bench.exchange(&caller.bye());
    let (mut low, priority) = call(&mut bench, 9, "echo", "");
    assert_eq!((priority.level, priority.class), (PriorityLevel::Low, QosClass::Voice));
    bench.exchange(&low.bye());
    bench.run_quiet_s(70);

    let invite = callee::place(&mut bench);
    assert_eq!(newest(&mut bench).1, Priority::default(), "no rule is for it");
    bench.exchange(&callee::answer_to(&invite, "486 Busy Here", "x", ""));
    assert!(marks(&mut bench).is_empty());
    bench.run_quiet_s(70);
    bench.assert_baseline();
}

#[test]
fn an_operation_sets_both_and_a_port_in_use_is_marked_anew_also_in_another_life() {
    let mut bench = Bench::new();
    let (caller, _) = call(&mut bench, 1, "echo", "");
    let (session, _) = newest(&mut bench);
    let set = |bench: &mut Bench, level, class| {
        let operation = Operation::SetPriority { session, level, class };
        bench.pending.push(Input::Command(Command { number: 1, operation }));
        bench.tick();
    };
    set(&mut bench, PriorityLevel::Critical, QosClass::Voice);
    assert!(marks(&mut bench).is_empty(), "it was voice before");
    set(&mut bench, PriorityLevel::Background, QosClass::ExpeditedForwarding);
    assert_eq!(marks(&mut bench), [(10_000, QosClass::ExpeditedForwarding)]);
    let expected = Priority {
        level: PriorityLevel::Background,
        class: QosClass::ExpeditedForwarding,
        source: PrioritySource::Operation,
    };
    assert_eq!(newest(&mut bench).1, expected);

    let config = WorldConfig::default();
    let mut restored = Engine::new(&config);
    restored.restore(&bench.engine.snapshot(), None).expect("it restores");
    restored.begin_epoch(1, config.settings);
    let mut other = Bench::of(restored, 0);
    other.tick();
    assert_eq!(marks(&mut other), [(10_000, QosClass::ExpeditedForwarding)], "the sockets of another life are new");
    set(&mut other, PriorityLevel::Normal, QosClass::Voice);
    assert_eq!(marks(&mut other), [(10_000, QosClass::Voice)]);
    for mut bench in [bench, other] {
        bench.exchange(&caller.clone().bye());
        bench.run_quiet_s(70);
        bench.assert_baseline();
    }
}
