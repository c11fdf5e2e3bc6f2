//! What the network threads cost: 500 calls of 50 packets a second each way, sent back by a trivial world.
//!
//! `cargo bench --bench net_echo -- [calls] [seconds]`. The load is a process of its own, so the CPU time printed is
//! that of the switch's side alone: both network threads and a tick thread that only sends packets back. It runs on the
//! first core and the load on the second. On a busy machine put `chrt -f 10` before the built program.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;
use ringworld::net::{Epoch, Net, NetConfig, Pacer};
use ringworld_components::edge::{Input, Output, PacketPool, RtpOut};
use ringworld_components::kernel::TICK;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A packet of 20 ms of G.711.
const PACKET_BYTES: usize = 172;

// As in the `ringworld` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().filter(|arg| arg != "--bench").collect();
    if args.get(1).is_some_and(|arg| arg == "load") {
        return load(number(&args, 2, 10));
    }
    serve(number(&args, 1, 500) as usize, number(&args, 2, 10));
}

fn number(args: &[String], at: usize, default: u64) -> u64 {
    args.get(at).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the process has a usage");
    let time = |t: nix::sys::time::TimeVal| Duration::new(t.tv_sec() as u64, t.tv_usec() as u32 * 1_000);
    time(usage.user_time()) + time(usage.system_time())
}

/// Keeps this thread, and those it starts, to one core.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    if set.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).is_err() {
        eprintln!("there is no core {core}: the figures are those of whatever the system chooses");
    }
}

fn serve(calls: usize, seconds: u64) {
    pin(0);
    let config = NetConfig { rtp_ports: (30_000, 39_999), port_stock: calls, ..NetConfig::default() };
    let config = match std::env::var("RTP_BIND") {
        Ok(address) => NetConfig { rtp_bind: address.parse().expect("an address"), ..config },
        Err(_) => config,
    };
    let (net, mut edges) = Net::start(config, Epoch::now(), Arc::new(|_| 0)).expect("the network starts");
    let mut edge = edges.remove(0);
    let (mut inputs, mut ports) = (Vec::new(), Vec::new());
    while ports.len() < calls {
        edge.drain(&mut inputs, 4_096);
        ports.extend(
            inputs.drain(..).filter_map(|input| if let Input::PortOpened(port) = input { Some(port) } else { None }),
        );
    }
    edge.send(ports.iter().map(|port| Output::PortTaken(*port)), []);

    let program = std::env::current_exe().expect("this program has a path");
    let mut load = Command::new(program)
        .args(["load", &seconds.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the load starts");
    let mut plan = load.stdin.take().expect("its input is a pipe");
    let list: Vec<String> = ports.iter().map(u16::to_string).collect();
    writeln!(plan, "{}", list.join(" ")).expect("the load listens");

    let (mut pacer, mut pool, before) = (Pacer::new(TICK), PacketPool::new(1_024), cpu());
    let mut late_us_max = 0;
    for _ in 0..(seconds * 1_000 + 500) / 5 {
        edge.publish_deadline(pacer.next_deadline_ns());
        late_us_max = late_us_max.max(pacer.wait().late_us);
        edge.drain(&mut inputs, 4_096);
        let back = inputs
            .drain(..)
            .filter_map(|input| if let Input::Rtp(packet) = input { Some(RtpOut(packet)) } else { None });
        edge.send([], back);
        edge.balance(&mut pool, 1_024);
    }
    let spent = cpu() - before;
    let counted = net.counters().snapshot();
    let mut report = String::new();
    let stdout = load.stdout.take().expect("its output is a pipe");
    BufReader::new(stdout).read_line(&mut report).expect("the load reports");
    load.wait().expect("the load ends");
    println!("{calls} calls, 50 packets/s each way, {seconds} s, {PACKET_BYTES} bytes, loopback");
    println!(
        "in {} out {} dropped {}",
        counted.rtp_in,
        counted.rtp_out,
        counted.rtp_in_ring_full + counted.rtp_pool_empty
    );
    println!("load: {}", report.trim());
    println!("CPU {spent:?}: {:.2} us a packet in and out", spent.as_secs_f64() * 1e6 / counted.rtp_out.max(1) as f64);
    println!("ticks late {} skipped {} latest {late_us_max} us", pacer.late(), pacer.skipped());
}

/// Sends one packet a call every 20 ms, spread evenly, from a socket each; measures when they are back.
fn load(seconds: u64) {
    pin(1);
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("there is a plan");
    let ports: Vec<u16> = line.split_whitespace().filter_map(|port| port.parse().ok()).collect();
    let sockets: Vec<UdpSocket> = ports
        .iter()
        .map(|port| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
            socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).expect("an address");
            socket.set_nonblocking(true).expect("a mode");
            socket
        })
        .collect();
    let began = ringworld::net::monotonic_ns();
    let mut pacer = Pacer::new(Duration::from_millis(1));
    let (mut sent, mut back, mut delays_us) = (0_u64, 0_u64, Vec::new());
    let mut packet = [0x55; PACKET_BYTES];
    let mut receive = |sockets: &[UdpSocket]| {
        for socket in sockets {
            let mut bytes = [0; 512];
            while socket.recv(&mut bytes).is_ok() {
                back += 1;
                let mut stamp = [0; 8];
                stamp.copy_from_slice(&bytes[..8]);
                delays_us.push((ringworld::net::monotonic_ns() - u64::from_le_bytes(stamp)) / 1_000);
            }
        }
    };
    for millisecond in 0..(seconds * 1_000) as usize {
        pacer.wait();
        for socket in sockets.iter().skip(millisecond % 20).step_by(20) {
            packet[..8].copy_from_slice(&ringworld::net::monotonic_ns().to_le_bytes());
            sent += u64::from(socket.send(&packet).is_ok());
        }
        // Each socket is looked at every 2 ms, ten slots of the twenty in turn: its answer is due within ten.
        let half = sockets.len() / 2;
        receive(if millisecond % 2 == 0 { &sockets[..half] } else { &sockets[half..] });
    }
    std::thread::sleep(Duration::from_millis(100));
    receive(&sockets);
    delays_us.sort_unstable();
    let at = |percent: usize| delays_us.get((delays_us.len() * percent / 100).min(delays_us.len().saturating_sub(1)));
    let took = Duration::from_nanos(ringworld::net::monotonic_ns() - began);
    println!("sent {sent} back {back} delay p50 {:?} p99 {:?} max {:?} us, {took:?}", at(50), at(99), delays_us.last());
}
