//! Two plugins that know nothing of each other, in one world: both spawn recorded entities, start timers and write operations about
//! the same calls. There is no order among their systems, and none is needed.

use bevy_ecs::schedule::Schedules;
use ringworld::prelude::*;
use ringworld::sim::shuffle_systems;
use ringworld::testkit::Testkit;

/// Limits how long a call lasts. It imports nothing but the prelude, as a crate of its own would.
mod limit {
    use ringworld::prelude::*;

    #[derive(Component, Record, Clone, Debug)]
    pub struct Limit {
        session: StableId,
    }

    pub struct LimitPlugin;

    impl Plugin for LimitPlugin {
        fn build(&self, app: &mut App) {
            app.record::<Limit>("limit.limit").add_timer::<Limit>("limit.timer");
            app.add_systems(Tick, (begin.in_set(Phase::Behaviour), end.in_set(Phase::Behaviour)));
        }
    }

    fn begin(mut answered: MessageReader<Answered>, mut operations: Operations) {
        operations.for_each_call(answered.read(), |operations, call| {
            let limit = operations.spawn(Limit { session: call.session });
            operations.start_timer::<Limit>(limit, Duration::from_secs(3));
        });
    }

    fn end(mut fired: MessageReader<TimerFired<Limit>>, limits: Query<&Limit>, mut operations: Operations) {
        for fired in fired.read() {
            if let Ok(limit) = limits.get(fired.owner) {
                operations.write(Operation::hang_up(limit.session));
            }
            operations.despawn(fired.owner);
        }
    }
}

/// Announces now and then how long a call has lasted. Another crate, by another author.
mod clock {
    use ringworld::prelude::*;

    #[derive(Component, Record, Clone, Debug)]
    pub struct Clock {
        session: StableId,
        pub announced: u32,
    }

    pub struct ClockPlugin;

    impl Plugin for ClockPlugin {
        fn build(&self, app: &mut App) {
            app.record::<Clock>("clock.clock").add_timer::<Clock>("clock.timer");
            app.add_systems(Tick, (start.in_set(Phase::Behaviour), strike.in_set(Phase::Behaviour)));
        }
    }

    fn start(mut answered: MessageReader<Answered>, mut operations: Operations) {
        operations.for_each_call(answered.read(), |operations, call| {
            let clock = operations.spawn(Clock { session: call.session, announced: 0 });
            operations.start_timer::<Clock>(clock, Duration::from_secs(1));
        });
    }

    fn strike(
        mut fired: MessageReader<TimerFired<Clock>>,
        mut refused: MessageReader<OperationDone>,
        mut clocks: Query<(Entity, &mut Clock)>,
        mut operations: Operations,
    ) {
        for fired in fired.read() {
            if let Ok((entity, mut clock)) = clocks.get_mut(fired.owner) {
                operations.write(Operation::announce(clock.session, "another-second"));
                operations.start_timer::<Clock>(entity, Duration::from_secs(1));
                clock.announced += 1;
            }
        }
        for refused in refused.read().filter(|done| done.result.is_err()) {
            for (entity, _) in clocks.iter().filter(|(_, clock)| clock.session == refused.session) {
                operations.despawn(entity);
            }
        }
    }
}

/// What a world of both comes to, and the order of its systems.
fn lived(seed: u64) -> (Vec<String>, Vec<String>) {
    let kit = Testkit::with(move |plugins| {
        plugins.add(limit::LimitPlugin).add(clock::ClockPlugin).adjust(move |app| {
            app.edit_schedule(Tick, |schedule| shuffle_systems(schedule, seed));
        });
    });
    let (alice, bob) = (kit.phone("alice"), kit.phone("bob"));
    alice.calls("echo").await_answer();
    bob.calls("conf-a").await_answer();
    let mut digests = Vec::new();
    for _ in 0..8 {
        kit.runs(Duration::from_millis(500));
        digests.push(format!("{:?} {:?}", kit.digest(), kit.look(|engine| engine.chain())));
    }
    alice.await_end();
    bob.await_end();
    digests.push(format!("{:?}", kit.look(|engine| engine.counters().clone())));
    kit.assert_nothing_left();
    let order = kit.look(|engine| {
        let schedule = engine.world().resource::<Schedules>().get(Tick).expect("the schedule");
        schedule.systems().expect("an initialised schedule").map(|(_, system)| system.name().to_string()).collect()
    });
    (digests, order)
}

#[test]
fn plugins_that_know_nothing_of_each_other_come_to_the_same_world_in_every_order_of_systems() {
    let (first, order) = lived(0);
    let mut orders = vec![order];
    for seed in 1..8 {
        let (digests, order) = lived(seed);
        assert_eq!(digests, first, "in the order of seed {seed}");
        orders.push(order);
    }
    orders.sort_unstable();
    orders.dedup();
    assert!(orders.len() > 4, "the orders were not shuffled");
}
