//! The world alone, in virtual time: `cargo bench --bench world`.
//!
//! What a tick costs by the number of quiet sessions, what a call costs from its INVITE to its BYE, what it costs to
//! read an INVITE, and the timer wheel while a million timers run. `ringworld bench` measures the same with sockets.

use bevy_ecs::prelude::*;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringworld::bench::quiet::{Quiet, description, request_text};
use ringworld::components::kernel::TimerWheel;
use ringworld::components::wire::sip::{Limits, parse_datagram};
use std::hint::black_box;

const TIMERS: u32 = 1_000_000;
/// No benchmark lasts so long that these become due.
const FAR_TICKS: u64 = 4_000_000_000;

fn quiet_ticks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("quiet tick");
    for sessions in [0, 1_000, 100_000] {
        let mut world = Quiet::with_sessions(sessions).expect("the world takes them all");
        group.bench_function(BenchmarkId::from_parameter(sessions), |bencher| bencher.iter(|| world.tick()));
    }
    group.finish();
}

/// As many calls as 64*T1 hold at a high rate leave their transactions behind; then these are let go, untimed.
fn calls(criterion: &mut Criterion) {
    const CALLS: u32 = 20_000;
    let mut world = Quiet::default();
    let mut made = 0;
    criterion.bench_function("call from INVITE to BYE", |bencher| {
        bencher.iter_custom(|calls| {
            let mut spent = std::time::Duration::ZERO;
            for _ in 0..calls {
                let began = std::time::Instant::now();
                world.call();
                spent += began.elapsed();
                made += 1;
                if made % CALLS == 0 {
                    world.settle();
                }
            }
            spent
        });
    });
}

fn parsing(criterion: &mut Criterion) {
    let text = request_text("INVITE", 7, "echo", "", 1, &description(7));
    let (bytes, limits) = (Bytes::from(text), Limits::default());
    criterion.bench_function("parse an INVITE", |bencher| {
        bencher.iter(|| parse_datagram(black_box(bytes.clone()), &limits));
    });
}

struct Alarm;

fn timers(criterion: &mut Criterion) {
    let mut world = World::new();
    let owners: Vec<Entity> = (0..=TIMERS).map(|_| world.spawn_empty().id()).collect();
    let mut wheel = TimerWheel::<Alarm>::default();
    let (running, rest) = owners.split_at(TIMERS as usize);
    for (n, owner) in running.iter().enumerate() {
        wheel.start(*owner, FAR_TICKS + n as u64 * 7 % 500_000);
    }
    let owner = rest[0];
    criterion.bench_function("start and cancel a timer beside 1M", |bencher| {
        bencher.iter(|| {
            wheel.start(black_box(owner), 6_400);
            wheel.cancel(black_box(owner))
        });
    });
    let (mut now, mut due) = (0, Vec::new());
    criterion.bench_function("a tick of the wheel with 1M, none due", |bencher| {
        bencher.iter(|| {
            now += 1;
            wheel.advance(now, &mut due);
        });
    });
}

criterion_group!(benches, quiet_ticks, calls, parsing, timers);
criterion_main!(benches);
