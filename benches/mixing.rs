//! Mixing alone: what a participant costs per frame of 20 ms, from the bytes that it sends to the bytes that it is
//! sent.
//!
//! `cargo bench --bench mixing`. Beside criterion's own report, the best run of each room is printed as nanoseconds a
//! participant. The goal is 120 in PCMU for rooms of 10, 100, 1,000 and 10,000. `naive` sums all the others anew for
//! every listener.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringworld_components::audio::mix::{EMPTY, Speaker, mix_room};
use ringworld_components::audio::{EncodedFrame, FRAME_SAMPLES, Frame, G711};
use std::hint::black_box;
use std::time::{Duration, Instant};

const PCMU: [G711; 2] = [G711::Pcmu; 2];
const PCMA: [G711; 2] = [G711::Pcma; 2];
const BOTH: [G711; 2] = [G711::Pcmu, G711::Pcma];

/// A room in which every participant sends noise, in the two laws by turns.
fn room(participants: usize, laws: [G711; 2]) -> Vec<Speaker> {
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let speaker = |index: usize| {
        let law = laws[index % 2];
        Speaker { speaks: law, hears: law, payload: std::array::from_fn(|_| noise()) }
    };
    (0..participants).map(speaker).collect()
}

fn exact(speakers: &mut [Speaker]) {
    let mut sum = EMPTY;
    mix_room(&mut sum, black_box(speakers));
}

fn naive(speakers: &mut [Speaker]) {
    let linear = |speaker: &Speaker| {
        let mut pcm = [0; FRAME_SAMPLES];
        speaker.speaks.decode(&speaker.payload, &mut pcm);
        pcm
    };
    let frames: Vec<Frame> = speakers.iter().map(linear).collect();
    for (listener, speaker) in black_box(speakers).iter_mut().enumerate() {
        let mut sum = EMPTY;
        for (_, frame) in frames.iter().enumerate().filter(|(other, _)| *other != listener) {
            sum.iter_mut().zip(frame).for_each(|(total, sample)| *total += i32::from(*sample));
        }
        let heard: Frame = sum.map(|total| total.clamp(-32_768, 32_767) as i16);
        let mut payload: EncodedFrame = [0; FRAME_SAMPLES];
        speaker.hears.encode(&heard, &mut payload);
        speaker.payload = payload;
    }
}

fn mixing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mixing");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    type Mixer = fn(&mut [Speaker]);
    let kinds: [(&str, Mixer, [G711; 2], &[usize]); 4] = [
        ("pcmu", exact, PCMU, &[10, 100, 1_000, 10_000]),
        ("pcma", exact, PCMA, &[10, 100, 1_000, 10_000]),
        ("both", exact, BOTH, &[10, 100, 1_000, 10_000]),
        ("naive", naive, PCMU, &[10, 100]),
    ];
    for (name, mix, laws, sizes) in kinds {
        for &participants in sizes {
            let mut speakers = room(participants, laws);
            let mut best_ns = f64::INFINITY;
            group.throughput(Throughput::Elements(participants as u64));
            group.bench_function(BenchmarkId::new(name, participants), |bencher| {
                bencher.iter_custom(|rounds| {
                    let began = Instant::now();
                    (0..rounds).for_each(|_| mix(&mut speakers));
                    let took = began.elapsed();
                    best_ns = best_ns.min(took.as_nanos() as f64 / (rounds as f64 * participants as f64));
                    took
                });
            });
            println!("mixing/{name}/{participants}: {best_ns:.1} ns a participant at best\n");
        }
    }
    group.finish();
}

criterion_group!(benches, mixing);
criterion_main!(benches);
