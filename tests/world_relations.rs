//! Parents and children, sequences and groups, in a world of virtual time.

mod common;

use common::{Bench, Caller, callee, established, status};
use ringworld::components::call::{
    CallErrorCause, ChildEnded, ChildSessions, Dependency, DependencyError, DependencyKind, DependencyState, EndCause,
    EndingRule, Group, GroupChoice, GroupEnded, GroupEntered, GroupError, GroupKind, GroupLeft, Sequence,
    SequenceChanged, SequenceError, SequenceState,
};
use ringworld::components::edge::{Command, Event, Input, Operation, Output};
use ringworld::engine::Sum;
use ringworld::prelude::*;

type Outcome = Result<StableId, CallErrorCause>;

/// Carries out an operation in one tick.
fn operate(bench: &mut Bench, operation: Operation) -> Outcome {
    bench.pending.push(Input::Command(Command { number: 77, operation }));
    let before = bench.outputs.len();
    bench.tick();
    let reply = bench.outputs[before..].iter().find_map(|output| match output {
        Output::Reply(reply) if reply.number == 77 => Some(reply.result.clone()),
        _ => None,
    });
    reply.expect("a reply").map_err(|error| error.cause)
}

/// Sessions of calls that came in and were answered, with their callers.
fn sessions(bench: &mut Bench, count: u32) -> Vec<(StableId, Caller)> {
    (0..count)
        .map(|call| {
            let caller = established(bench, call, "echo");
            (newest(bench), caller)
        })
        .collect()
}

/// The session that has changed last.
fn newest(bench: &Bench) -> StableId {
    let changed = bench.outputs.iter().rev().find_map(|output| match output {
        Output::Event(Event::StateChanged { session, .. }) => Some(*session),
        _ => None,
    });
    changed.expect("a session")
}

fn link(bench: &mut Bench, parent: StableId, child: StableId, kind: DependencyKind) -> Outcome {
    operate(bench, Operation::Link { parent, child, kind })
}

fn get<C: Component + Clone>(bench: &Bench, id: StableId) -> Option<C> {
    let world = bench.engine.world();
    let entity = world.resource::<StableIds>().find(id)?;
    world.get::<C>(entity).cloned()
}

fn children(bench: &Bench, id: StableId) -> usize {
    let world = bench.engine.world();
    let entity = world.resource::<StableIds>().find(id).expect("a session");
    world.get::<ChildSessions>(entity).map_or(0, |children| children.len())
}

/// The endings told of, in order.
fn endings(outputs: &[Output]) -> Vec<(StableId, EndCause)> {
    let ended = |output: &Output| match output {
        Output::Event(Event::Ended { session, cause, .. }) => Some((*session, *cause)),
        _ => None,
    };
    outputs.iter().filter_map(ended).collect()
}

fn add_up(bench: &Bench) {
    for sum in Sum::ALL {
        assert_eq!(sum.check(&bench.engine), None);
    }
}

/// Answers every BYE that waits, and lets all transactions and sessions end.
fn finish(bench: &mut Bench) {
    loop {
        let byes: Vec<String> = bench.take_sent().into_iter().filter(|text| text.starts_with("BYE ")).collect();
        if byes.is_empty() {
            break;
        }
        for bye in byes {
            bench.deliver(&callee::answer_to(&bye, "200 OK", "x", ""));
        }
        bench.tick();
    }
    bench.run_quiet_s(70);
    bench.assert_baseline();
}

#[test]
fn dependent_children_end_with_their_parent_in_one_tick_and_in_the_order_of_their_ids() {
    let mut bench = Bench::new();
    let calls = sessions(&mut bench, 5);
    let [parent, first, second, grandchild, free] = [0, 1, 2, 3, 4].map(|at: usize| calls[at].0);
    // Linked in another order than that of their ids.
    link(&mut bench, parent, free, DependencyKind::Independent).unwrap();
    link(&mut bench, parent, second, DependencyKind::Dependent).unwrap();
    link(&mut bench, parent, first, DependencyKind::Dependent).unwrap();
    link(&mut bench, first, grandchild, DependencyKind::Dependent).unwrap();
    add_up(&bench);
    bench.take_sent();

    let bye = calls[0].1.clone().bye();
    let sent = bench.exchange(&bye);
    let byes: Vec<&str> = sent.iter().filter(|text| text.starts_with("BYE ")).map(|text| call_of(text)).collect();
    assert_eq!(byes, ["call-1", "call-2", "call-3"], "the BYEs leave in the tick of the parent's end");
    assert_eq!(status(&sent[0]), 200, "{}", sent[0]);
    let dependency: Dependency = get(&bench, free).unwrap();
    assert_eq!((dependency.state, dependency.parent), (DependencyState::Released, parent));
    add_up(&bench);

    for text in sent.iter().filter(|text| text.starts_with("BYE ")) {
        bench.deliver(&callee::answer_to(text, "200 OK", "x", ""));
    }
    bench.outputs.clear();
    bench.tick();
    let cause = EndCause::ParentEnded;
    assert_eq!(endings(&bench.outputs), [(first, cause), (second, cause), (grandchild, cause)]);
    bench.tick();
    bench.tick();
    assert_eq!(bench.engine.census().sessions, 1, "the independent child goes on");
    let bye = calls[4].1.clone().bye();
    bench.exchange(&bye);
    finish(&mut bench);
}

/// The Call-ID of a message.
fn call_of(text: &str) -> &str {
    common::header(text, "Call-ID").unwrap_or_default()
}

#[test]
fn a_dependent_call_that_rings_is_refused_when_its_parent_is_ended_by_us() {
    let mut bench = Bench::new();
    let calls = sessions(&mut bench, 1);
    let parent = calls[0].0;
    let caller = Caller::new(7, "ring-30");
    bench.exchange(&caller.invite());
    let child = newest(&bench);
    link(&mut bench, parent, child, DependencyKind::Dependent).unwrap();
    bench.take_sent();
    operate(&mut bench, Operation::HangUp { session: parent }).unwrap();
    let sent = bench.take_sent();
    assert_eq!(sent.iter().filter(|text| text.starts_with("BYE ")).count(), 1, "{sent:?}");
    assert!(sent.iter().any(|text| status(text) == 480), "{sent:?}");
    bench.deliver(&caller.ack_of_refusal());
    let bye = sent.iter().find(|text| text.starts_with("BYE ")).unwrap();
    bench.deliver(&callee::answer_to(bye, "200 OK", "x", ""));
    bench.tick();
    finish(&mut bench);
}

#[test]
fn a_cycle_is_refused_and_printed_and_changes_nothing() {
    let mut bench = Bench::new();
    let calls = sessions(&mut bench, 3);
    let [a, b, c] = [0, 1, 2].map(|at: usize| calls[at].0);
    link(&mut bench, a, b, DependencyKind::Dependent).unwrap();
    link(&mut bench, b, c, DependencyKind::Independent).unwrap();
    let refused = link(&mut bench, c, a, DependencyKind::Dependent);
    let expected = DependencyError::Cycle(vec![a, b, c, a]);
    assert_eq!(expected.to_string(), format!("the dependency would be a cycle: {a} -> {b} -> {c} -> {a}"));
    assert_eq!(refused, Err(CallErrorCause::Dependency(expected)));
    let own = link(&mut bench, a, a, DependencyKind::Dependent);
    assert_eq!(own, Err(CallErrorCause::Dependency(DependencyError::SelfParent(a))));
    let absent = StableId(0xdead);
    let unknown = Err(CallErrorCause::Dependency(DependencyError::UnknownSession(absent)));
    assert_eq!(link(&mut bench, absent, a, DependencyKind::Dependent), unknown);
    assert_eq!(link(&mut bench, a, absent, DependencyKind::Dependent), unknown);
    let other = Err(CallErrorCause::Dependency(DependencyError::HasParent { child: c, parent: b }));
    assert_eq!(link(&mut bench, a, c, DependencyKind::Dependent), other);
    assert_eq!(get::<Dependency>(&bench, a), None);
    assert_eq!((children(&bench, a), children(&bench, b), children(&bench, c)), (1, 1, 0));

    operate(&mut bench, Operation::Unlink { child: b }).unwrap();
    link(&mut bench, c, a, DependencyKind::Dependent).unwrap();
    add_up(&bench);
    operate(&mut bench, Operation::Drain).unwrap();
    finish(&mut bench);
}

#[test]
fn children_and_depth_have_limits_that_are_counted() {
    let mut config = WorldConfig::default();
    (config.settings.limits.children, config.settings.limits.dependency_depth) = (2, 2);
    let mut bench = Bench::with(config);
    let ids: Vec<StableId> = sessions(&mut bench, 5).into_iter().map(|(id, _)| id).collect();
    let kind = DependencyKind::Dependent;
    link(&mut bench, ids[0], ids[1], kind).unwrap();
    link(&mut bench, ids[0], ids[2], kind).unwrap();
    let full = Err(CallErrorCause::Dependency(DependencyError::Children(2)));
    assert_eq!(link(&mut bench, ids[0], ids[3], kind), full);
    link(&mut bench, ids[3], ids[4], kind).unwrap();
    let deep = Err(CallErrorCause::Dependency(DependencyError::Depth(2)));
    assert_eq!(link(&mut bench, ids[1], ids[3], kind), deep, "with a child of its own it would be the third level");
    let hit = &bench.engine.counters().limits_hit;
    assert_eq!((hit.get("children"), hit.get("dependency depth")), (Some(&1), Some(&1)));
    operate(&mut bench, Operation::Drain).unwrap();
    finish(&mut bench);
}

#[test]
fn a_sequence_follows_its_legs_and_its_rule_ends_the_other_one() {
    let mut bench = Bench::new();
    let a = sessions(&mut bench, 1)[0].0;
    let invite = callee::place(&mut bench);
    let b = newest(&bench);
    let rule = EndingRule::Together;
    let sequence = operate(&mut bench, Operation::Sequence { a, b, rule }).unwrap();
    let state = |bench: &Bench| get::<Sequence>(bench, sequence).map(|it| it.state());
    assert_eq!(state(&bench), Some(SequenceState::Trying));
    bench.exchange(&callee::answer_to(&invite, "180 Ringing", "b", ""));
    assert_eq!(state(&bench), Some(SequenceState::Alerting));
    bench.exchange(&callee::answer_to(&invite, "200 OK", "b", &callee::sdp()));
    assert_eq!(state(&bench), Some(SequenceState::Connected));
    add_up(&bench);
    bench.take_sent();
    operate(&mut bench, Operation::HangUp { session: a }).unwrap();
    assert_eq!(state(&bench), None, "both legs are ending");
    let byes = bench.take_sent();
    assert_eq!(byes.len(), 2, "the BYE of the B-leg leaves in the same tick: {byes:?}");
    for bye in byes {
        bench.deliver(&callee::answer_to(&bye, "200 OK", "b", ""));
    }
    bench.outputs.clear();
    bench.tick();
    assert_eq!(endings(&bench.outputs), [(a, EndCause::HungUp), (b, EndCause::OtherLegEnded)]);
    finish(&mut bench);
}

#[test]
fn an_a_leg_that_outlives_its_b_leg_gets_another_one() {
    let mut bench = Bench::new();
    let a = sessions(&mut bench, 1)[0].0;
    let invite = callee::place(&mut bench);
    let (b, rule) = (newest(&bench), EndingRule::BWithA);
    let sequence = operate(&mut bench, Operation::Sequence { a, b, rule }).unwrap();
    bench.exchange(&callee::answer_to(&invite, "486 Busy Here", "b", ""));
    let state = |bench: &Bench| get::<Sequence>(bench, sequence).map(|it| it.state());
    assert_eq!(state(&bench), Some(SequenceState::Waiting));
    callee::place(&mut bench);
    let second = newest(&bench);
    assert_eq!(operate(&mut bench, Operation::Sequence { a, b: second, rule }), Ok(sequence));
    assert_eq!(state(&bench), Some(SequenceState::Trying));
    let third = operate(&mut bench, Operation::Sequence { a, b: a, rule });
    assert_eq!(third, Err(CallErrorCause::Sequence(SequenceError::SameSession(a))));
    operate(&mut bench, Operation::HangUp { session: a }).unwrap();
    assert_eq!(state(&bench), None);
    bench.run_quiet_s(40);
    finish(&mut bench);
}

fn enter(bench: &mut Bench, session: StableId, group: GroupChoice) -> Outcome {
    operate(bench, Operation::EnterGroup { session, group })
}

#[test]
fn a_session_is_in_several_groups_and_a_group_goes_with_its_last_member() {
    let mut bench = Bench::new();
    let calls = sessions(&mut bench, 2);
    let [a, b] = [0, 1].map(|at: usize| calls[at].0);
    let bridge = enter(&mut bench, a, GroupChoice::New(GroupKind::Bridge)).unwrap();
    let named = enter(&mut bench, a, GroupChoice::New(GroupKind::Custom("team".into()))).unwrap();
    assert_eq!(enter(&mut bench, b, GroupChoice::Existing(named)), Ok(named));
    let again = Err(CallErrorCause::Group(GroupError::IsMember));
    assert_eq!(enter(&mut bench, b, GroupChoice::Existing(named)), again);
    let name = Err(CallErrorCause::Group(GroupError::Name));
    assert_eq!(enter(&mut bench, b, GroupChoice::New(GroupKind::Custom(String::new()))), name);
    add_up(&bench);
    operate(&mut bench, Operation::LeaveGroup { session: a, group: bridge }).unwrap();
    assert_eq!(get::<Group>(&bench, bridge), None);
    let gone = Err(CallErrorCause::Group(GroupError::UnknownGroup(bridge)));
    assert_eq!(enter(&mut bench, b, GroupChoice::Existing(bridge)), gone);
    let bye = calls[0].1.clone().bye();
    bench.exchange(&bye);
    bench.tick();
    bench.tick();
    assert_eq!(get::<Group>(&bench, named).map(|group| group.kind), Some(GroupKind::Custom("team".into())));
    add_up(&bench);
    operate(&mut bench, Operation::EndGroup { group: named }).unwrap();
    assert_eq!(get::<Group>(&bench, named), None);
    let bye = calls[1].1.clone().bye();
    bench.exchange(&bye);
    finish(&mut bench);
}

#[test]
fn groups_have_limits_that_are_counted() {
    let mut config = WorldConfig::default();
    let limits = &mut config.settings.limits;
    (limits.groups, limits.group_members, limits.groups_per_session) = (2, 1, 1);
    let mut bench = Bench::with(config);
    let ids: Vec<StableId> = sessions(&mut bench, 3).into_iter().map(|(id, _)| id).collect();
    let fresh = || GroupChoice::New(GroupKind::Conference);
    let first = enter(&mut bench, ids[0], fresh()).unwrap();
    assert_eq!(enter(&mut bench, ids[0], fresh()), Err(CallErrorCause::Group(GroupError::Memberships(1))));
    enter(&mut bench, ids[1], fresh()).unwrap();
    assert_eq!(enter(&mut bench, ids[2], fresh()), Err(CallErrorCause::Group(GroupError::Groups(2))));
    let full = Err(CallErrorCause::Group(GroupError::Members(1)));
    assert_eq!(enter(&mut bench, ids[2], GroupChoice::Existing(first)), full);
    let hit = &bench.engine.counters().limits_hit;
    let counted = ["groups", "group members", "groups of a session"].map(|name| hit.get(name).copied());
    assert_eq!(counted, [Some(1); 3]);
    operate(&mut bench, Operation::Drain).unwrap();
    finish(&mut bench);
}

#[test]
fn relations_survive_a_snapshot_and_do_the_same_after_it() {
    let mut bench = Bench::new();
    let calls = sessions(&mut bench, 4);
    let ids: Vec<StableId> = calls.iter().map(|(id, _)| *id).collect();
    link(&mut bench, ids[0], ids[2], DependencyKind::Dependent).unwrap();
    link(&mut bench, ids[0], ids[1], DependencyKind::Dependent).unwrap();
    operate(&mut bench, Operation::Sequence { a: ids[0], b: ids[3], rule: EndingRule::Together }).unwrap();
    enter(&mut bench, ids[3], GroupChoice::New(GroupKind::Consultation)).unwrap();

    let mut restored = Engine::new(&WorldConfig::default());
    let reversed = |count: usize| (0..count).rev().collect();
    restored.restore(&bench.engine.snapshot(), Some(&reversed)).expect("it restores");
    let mut other = Bench::of(restored, 0);
    assert_eq!(other.engine.digest(), bench.engine.digest());
    let bye = calls[0].1.clone().bye();
    let (here, there) = (bench.exchange(&bye), other.exchange(&bye));
    assert_eq!(here, there);
    assert_eq!(here.iter().filter(|text| text.starts_with("BYE ")).count(), 3);
    assert_eq!(other.engine.digest(), bench.engine.digest());
    for mut bench in [bench, other] {
        add_up(&bench);
        bench.run_quiet_s(70);
        finish(&mut bench);
    }
}

/// The facts that a plugin has seen, in the order of their numbers.
#[derive(Resource, Record, Clone, Debug, Default)]
struct Seen(Vec<(u64, String)>);

struct Watcher;

impl Plugin for Watcher {
    fn build(&self, app: &mut App) {
        app.record_resource(Seen::default(), "test.seen");
        app.add_systems(Tick, watch.in_set(Phase::Behaviour));
    }
}

fn watch(
    mut children: MessageReader<ChildEnded>,
    mut sequences: MessageReader<SequenceChanged>,
    mut entered: MessageReader<GroupEntered>,
    mut left: MessageReader<GroupLeft>,
    mut ended: MessageReader<GroupEnded>,
    mut seen: ResMut<Seen>,
) {
    seen.0.extend(children.read().map(|it| (it.sequence, format!("{} lost its child {}", it.session, it.child))));
    seen.0.extend(sequences.read().map(|it| (it.sequence, format!("{} from {} to {}", it.id, it.from, it.to))));
    seen.0.extend(entered.read().map(|it| (it.sequence, format!("{} entered {}", it.session, it.group))));
    seen.0.extend(left.read().map(|it| (it.sequence, format!("{} left {}", it.session, it.group))));
    seen.0.extend(ended.read().map(|it| (it.sequence, format!("{} ended", it.group))));
    seen.0.sort();
}

#[test]
fn a_plugin_sees_each_fact_about_relations_once() {
    let engine = Engine::with_plugins(&WorldConfig::default(), |plugins| {
        plugins.add(Watcher);
    });
    let mut bench = Bench::of(engine, 50);
    let calls = sessions(&mut bench, 3);
    let [a, b, c] = [0, 1, 2].map(|at: usize| calls[at].0);
    link(&mut bench, a, c, DependencyKind::Dependent).unwrap();
    let sequence = operate(&mut bench, Operation::Sequence { a, b, rule: EndingRule::Apart }).unwrap();
    let group = enter(&mut bench, b, GroupChoice::New(GroupKind::Transfer)).unwrap();
    let byes = [1, 2].map(|at: usize| calls[at].1.clone().bye());
    bench.exchange(&byes[0]);
    bench.exchange(&byes[1]);
    bench.run_ms(50);
    let seen: Vec<String> = bench.engine.world().resource::<Seen>().0.iter().map(|(_, what)| what.clone()).collect();
    let expected = [
        format!("{b} entered {group}"),
        format!("{sequence} from Connected to Waiting"),
        format!("{a} lost its child {c}"),
        format!("{b} left {group}"),
        format!("{group} ended"),
    ];
    let (mut seen, mut expected) = (seen, expected.to_vec());
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    let bye = calls[0].1.clone().bye();
    bench.exchange(&bye);
    finish(&mut bench);
}
