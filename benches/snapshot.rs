//! What it takes to encode a world of 10,000 calls, and to restore one.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ringworld::bench::quiet::Quiet;
use ringworld::engine::{Engine, WorldConfig};
use std::hint::black_box;

/// Calls in the world: a quarter of them has ports and a stream; see [`Quiet::with_sessions`].
const CALLS: u32 = 10_000;

fn snapshot(criterion: &mut Criterion) {
    let quiet = Quiet::with_sessions(CALLS).expect("a world of quiet calls");
    let bytes = quiet.engine().snapshot();
    println!("a world of {CALLS} calls, {:?}, is {} bytes", quiet.engine().census(), bytes.len());
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(20);
    group.bench_function("encode 10,000 calls", |bencher| bencher.iter(|| black_box(quiet.engine().snapshot())));
    group.bench_function("restore 10,000 calls", |bencher| {
        bencher.iter_batched_ref(
            || Engine::new(&WorldConfig::default()),
            |engine| engine.restore(&bytes, None).expect("a snapshot of this build"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, snapshot);
criterion_main!(benches);
