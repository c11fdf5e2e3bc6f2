//! The network threads over real sockets on loopback.

mod dscp;
mod hand_over;
mod lifecycle;
mod marks;
mod rtp;
mod tcp;
mod udp;

use ringworld::net::{Epoch, Net, NetConfig, NetSnapshot, Router, Sockets, WorldEdge};
use ringworld_components::edge::{Input, Output, RtpOut, Target, Transport};
use ringworld_components::kernel::StableId;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Network threads, and the edges by which tests act as the worlds.
struct Fixture {
    net: Net,
    edges: Vec<WorldEdge>,
    /// What the worlds have drained and the test has not asked for yet.
    drained: Vec<VecDeque<Input>>,
}

/// Everything to world 0.
fn to_first() -> Router {
    Arc::new(|_| 0)
}

/// Port ranges that no two tests share: each takes the next `pairs` pairs.
fn ports(pairs: u16) -> (u16, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + (std::process::id() % 200) as u16 * 40;
    let first = base + NEXT.fetch_add(pairs * 2, Ordering::Relaxed);
    (first, first + pairs * 2 - 1)
}

fn config(sip: &[(Transport, &str)]) -> NetConfig {
    let mut config = NetConfig { rtp_ports: ports(4), port_stock: 2, ..NetConfig::default() };
    config.sip = sip.iter().map(|(transport, address)| (*transport, address.parse().unwrap())).collect();
    config.tcp.connections_max = 8;
    config.rings.pool = 64;
    config
}

impl Fixture {
    fn start(config: NetConfig) -> Self {
        Self::routed(config, to_first())
    }

    fn routed(config: NetConfig, router: Router) -> Self {
        Self::of(Net::start(config, Epoch::now(), router).unwrap())
    }

    fn of((net, edges): (Net, Vec<WorldEdge>)) -> Self {
        let drained = edges.iter().map(|_| VecDeque::new()).collect();
        Self { net, edges, drained }
    }

    /// Goes on with the sockets that other threads have left.
    fn go_on(config: NetConfig, sockets: Sockets) -> Self {
        let (mut net, edges) = Net::prepare(config, Epoch::now(), to_first(), sockets).unwrap();
        net.open();
        Self::of((net, edges))
    }

    /// Ends the threads and leaves the sockets open.
    fn halt(self) -> (NetConfig, Sockets) {
        let config = self.net.config().clone();
        let mut sockets = self.net.halt();
        sockets.untaken = self.edges.iter().flat_map(|edge| edge.leftovers().take().collect::<Vec<_>>()).collect();
        (config, sockets)
    }

    /// Other threads go on. What was drained and not asked for stays.
    fn hand_over(mut self) -> Self {
        let drained = std::mem::take(&mut self.drained);
        let (config, sockets) = self.halt();
        Self { drained, ..Self::go_on(config, sockets) }
    }

    fn sip(&self, index: usize) -> SocketAddr {
        self.net.sip_addresses()[index].1
    }

    fn counted(&self) -> NetSnapshot {
        self.net.counters().snapshot()
    }

    /// Waits until world `world` has an input that `pick` wants. Those before it are dropped.
    fn wait<T>(&mut self, world: usize, mut pick: impl FnMut(Input) -> Option<T>) -> T {
        for _ in 0..2_000 {
            let mut inputs = Vec::new();
            self.edges[world].drain(&mut inputs, 100);
            self.drained[world].extend(inputs);
            while let Some(input) = self.drained[world].pop_front() {
                if let Some(found) = pick(input) {
                    return found;
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("nothing came; {:#?}", self.counted());
    }

    /// Waits until the counters are as wanted.
    fn until(&self, what: &str, mut holds: impl FnMut(&NetSnapshot) -> bool) {
        for _ in 0..2_000 {
            if holds(&self.counted()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("{what}; {:#?}", self.counted());
    }

    fn send(&mut self, transport: Transport, remote: SocketAddr, bytes: &[u8], transaction: u64) {
        let target = Target { transport, remote, conn: Default::default() };
        self.send_to(target, bytes, transaction);
    }

    fn send_to(&mut self, target: Target, bytes: &[u8], transaction: u64) {
        let bytes = bytes.to_vec().into();
        self.edges[0].send([Output::Sip { target, bytes, transaction: StableId(transaction) }], []);
    }

    fn port(&mut self) -> u16 {
        let port = self.wait(0, |input| if let Input::PortOpened(port) = input { Some(port) } else { None });
        self.edges[0].send([Output::PortTaken(port)], []);
        port
    }

    fn send_rtp(&mut self, packet: Box<ringworld_components::edge::Packet>) {
        self.edges[0].send([], [RtpOut(packet)]);
    }
}

/// An OPTIONS request with a body of the given length.
fn options(call_id: &str, body: usize) -> Vec<u8> {
    let mut message = format!(
        "OPTIONS sip:echo@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{call_id}\r\n\
         From: <sip:a@127.0.0.1>;tag=1\r\n\
         To: <sip:echo@127.0.0.1>\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: {body}\r\n\r\n"
    )
    .into_bytes();
    message.resize(message.len() + body, b'x');
    message
}
