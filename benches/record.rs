//! What recording costs: for each SIP message, for each packet, and for a tick in which nothing happens.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringworld::config::RecordSettings;
use ringworld::engine::{Engine, WorldConfig};
use ringworld::replay::Recorder;
use ringworld_components::edge::{Flow, Input, Packet, Transport};
use ringworld_components::wire::sip::{Limits, parse_datagram};
use std::hint::black_box;
use std::path::PathBuf;

/// Inputs of a tick: 5,000 calls a second are 15,000 messages a second, 75 a tick.
const MESSAGES: usize = 75;

fn message(number: usize) -> Input {
    let body = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";
    let text = format!(
        "INVITE sip:echo@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bK-{number:08x};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:caller@10.0.0.2>;tag=t{number:08x}\r\nTo: <sip:echo@10.0.0.1>\r\n\
         Call-ID: {number:08x}@10.0.0.2\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@10.0.0.2:5070>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let bytes = bytes::Bytes::from(text);
    let flow = Flow {
        transport: Transport::Udp,
        local: ([10, 0, 0, 1], 5060).into(),
        remote: ([10, 0, 0, 2], 5070).into(),
        conn: Default::default(),
    };
    let message = Box::new(parse_datagram(bytes.clone(), &Limits::default()));
    Input::Sip { flow, bytes, message }
}

fn packet(number: usize) -> Input {
    let mut packet = Box::new(Packet::default());
    let body: Vec<u8> = (0..172).map(|at| (at * number) as u8).collect();
    packet.fill(&body);
    (packet.port, packet.arrived_us) = (10_000 + 2 * number as u16, number as u64 * 17);
    packet.peer = ([10, 0, 0, 2], 4000).into();
    Input::Rtp(packet)
}

fn path() -> PathBuf {
    std::env::temp_dir().join(format!("ringworld-bench-{}.rwlog", std::process::id()))
}

/// The tick thread's share; packing and writing happen on the recorder's own thread at the same time.
fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    let engine = Engine::new(&WorldConfig::default());
    let settings = RecordSettings { mib_max: 100_000, ..RecordSettings::default() };
    let recorder = || Recorder::create(&path(), &WorldConfig::default(), &settings).expect("a recorder");
    for (name, inputs) in [
        ("sip messages", (0..MESSAGES).map(message).collect::<Vec<_>>()),
        ("packets", (0..125).map(packet).collect()),
        ("idle tick", Vec::new()),
    ] {
        group.throughput(Throughput::Elements(inputs.len().max(1) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                recorder,
                |recorder| {
                    recorder.inputs(1, black_box(&inputs));
                    recorder.end_of_tick(&engine);
                },
                BatchSize::NumIterations(2_000),
            );
        });
    }
    group.finish();
    // The last one may still be writing; what is left behind is a file in the folder for temporary ones.
    let _ = std::fs::remove_file(path());
}

/// Packetizer and writing, on the recorder's thread: the whole cost of a recorded tick, until it is in the page cache.
fn record_and_write(criterion: &mut Criterion) {
    let engine = Engine::new(&WorldConfig::default());
    let settings = RecordSettings { mib_max: 100_000, ..RecordSettings::default() };
    let ticks: Vec<Vec<Input>> =
        (0..20).map(|tick| (0..MESSAGES).map(|at| message(tick * MESSAGES + at)).collect()).collect();
    let mut group = criterion.benchmark_group("record and write");
    group.throughput(Throughput::Elements((ticks.len() * MESSAGES) as u64));
    group.bench_function("sip messages", |bencher| {
        bencher.iter(|| {
            let mut recorder = Recorder::create(&path(), &WorldConfig::default(), &settings).expect("a recorder");
            for inputs in &ticks {
                recorder.inputs(1, black_box(inputs));
                recorder.end_of_tick(&engine);
            }
            recorder.finish(&engine)
        });
    });
    group.finish();
    let _ = std::fs::remove_file(path());
}

criterion_group!(benches, record, record_and_write);
criterion_main!(benches);
