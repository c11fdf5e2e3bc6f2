//! What SIP over UDP costs before any call is handled: receiving, parsing, routing and answering.
//!
//! `cargo bench --bench net_sip -- [messages a second] [seconds]`. Two of three messages are answered, as in a call of
//! INVITE, ACK and BYE. The load is a process of its own, so the CPU time printed is that of the switch's side alone.

use nix::sys::resource::{UsageWho, getrusage};
use ringworld::net::{Epoch, Net, NetConfig, Pacer};
use ringworld_components::edge::{Input, Output, Transport};
use ringworld_components::kernel::{StableId, TICK};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

// As in the `ringworld` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().filter(|arg| arg != "--bench").collect();
    let number = |at: usize, default: u64| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    if args.get(1).is_some_and(|arg| arg == "load") {
        return load(number(2, 5_060) as u16, number(3, 15_000), number(4, 5));
    }
    serve(number(1, 15_000), number(2, 5));
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the process has a usage");
    let time = |t: nix::sys::time::TimeVal| Duration::new(t.tv_sec() as u64, t.tv_usec() as u32 * 1_000);
    time(usage.user_time()) + time(usage.system_time())
}

fn serve(rate: u64, seconds: u64) {
    let config = NetConfig {
        sip: vec![(Transport::Udp, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))],
        rtp_ports: (40_000, 40_015),
        port_stock: 4,
        ..NetConfig::default()
    };
    let (net, mut edges) = Net::start(config, Epoch::now(), Arc::new(|_| 0)).expect("the network starts");
    let (mut edge, port) = (edges.remove(0), net.sip_addresses()[0].1.port());
    let mut load = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["load".to_owned(), port.to_string(), rate.to_string(), seconds.to_string()])
        .spawn()
        .expect("the load starts");
    let (mut pacer, mut inputs, mut count, before) = (Pacer::new(TICK), Vec::new(), 0_u64, cpu());
    for _ in 0..(seconds * 1_000 + 500) / 5 {
        edge.publish_deadline(pacer.next_deadline_ns());
        pacer.wait();
        edge.drain(&mut inputs, 4_096);
        let answers = inputs.drain(..).filter_map(|input| {
            let Input::Sip { flow, bytes, .. } = input else { return None };
            count += 1;
            (!count.is_multiple_of(3)).then(|| Output::Sip { target: flow.back(), bytes, transaction: StableId(count) })
        });
        edge.send(answers, []);
    }
    let spent = cpu() - before;
    load.wait().expect("the load ends");
    let counted = net.counters().snapshot();
    println!("{rate} messages a second of {} bytes for {seconds} s, two of three answered", message(0).len());
    println!(
        "in {} out {} lost to a full ring {} and to the kernel {}",
        counted.sip_udp_in, counted.sip_udp_out, counted.sip_in_ring_full, counted.sip_udp_no_buffer
    );
    println!("CPU {spent:?}: {:.2} us a message in", spent.as_secs_f64() * 1e6 / counted.sip_udp_in.max(1) as f64);
}

fn message(number: u64) -> String {
    format!(
        "INVITE sip:echo@127.0.0.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-{number}\r\n\
         From: sipp <sip:sipp@127.0.0.1:5070>;tag={number}\r\n\
         To: sut <sip:echo@127.0.0.1:5060>\r\n\
         Call-ID: {number}@127.0.0.1\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: sip:sipp@127.0.0.1:5070\r\n\
         Max-Forwards: 70\r\n\
         Subject: Performance Test\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: 129\r\n\r\n\
         v=0\r\no=user1 53655765 2353687637 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}

fn load(port: u16, rate: u64, seconds: u64) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect((Ipv4Addr::LOCALHOST, port)).expect("an address");
    socket.set_nonblocking(true).expect("a mode");
    let (mut pacer, mut sent, mut back) = (Pacer::new(Duration::from_millis(1)), 0, 0_u64);
    let mut bytes = [0; 4_096];
    for millisecond in 1..=seconds * 1_000 {
        pacer.wait();
        while sent < rate * millisecond / 1_000 {
            // What the kernel refuses is counted as an answer that did not come back.
            let _ = socket.send(message(sent).as_bytes());
            sent += 1;
        }
        while socket.recv(&mut bytes).is_ok() {
            back += 1;
        }
    }
    std::thread::sleep(Duration::from_millis(50));
    while socket.recv(&mut bytes).is_ok() {
        back += 1;
    }
    println!("load: sent {sent} back {back}");
}
