//! The switch at its edges, over real sockets on loopback: addresses, sources, sizes, hostile bytes, the machine's limits.

mod addresses;
#[path = "../net/dscp.rs"]
mod dscp;
mod machine;
mod marks;
mod peer;
#[path = "../interop_sipp/ports.rs"]
mod ports;
mod reconnect;
mod sizes;
mod sources;
#[path = "../common/text.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod text;
mod torture;

use ports::{Block, Range};
use ringworld::components::edge::Transport;
use ringworld::config::{Config, PortRange};
use ringworld::engine::{Summary, Switch};
use std::net::SocketAddr;
use std::time::Duration;

/// The RTP ports of these tests: above the default ones, below those that the system hands out.
const PORTS: Range = Range { first: 28_000, block: 20, blocks: 234 };

/// A switch with RTP ports of its own.
struct Running {
    switch: Switch,
    ports: Block,
}

/// The settings of the tests.
fn config(listen: &[&str]) -> Config {
    let mut config = Config::default();
    config.network.sip = listen.iter().map(|listen| listen.parse().expect("an address")).collect();
    config
}

impl Running {
    fn start(config: &Config) -> Self {
        Self::start_with(config, |_| {})
    }

    fn start_with(config: &Config, extend: impl Fn(&mut ringworld::engine::Plugins) + Send + Sync + 'static) -> Self {
        let ports = Block::of(PORTS);
        let mut config = config.clone();
        config.network.rtp_ports = PortRange { first: ports.first, last: ports.first + PORTS.block - 1 };
        let switch = Switch::start_with(&config, std::sync::Arc::new(extend)).expect("the switch starts");
        Self { switch, ports }
    }

    /// The port that SIP is spoken at.
    fn port(&self, transport: Transport) -> u16 {
        let found = self.switch.sip_addresses().iter().find(|(of, _)| *of == transport);
        found.expect("the switch listens").1.port()
    }

    fn at(&self, transport: Transport, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().expect("an address"), self.port(transport))
    }

    /// Ends all calls and asserts that nothing is left of them.
    fn finish(self) -> Summary {
        let summary = self.switch.drain(Duration::from_secs(10));
        let end = &summary.end;
        assert_eq!((end.sessions, end.dialogs, end.streams, end.rooms, end.ports), (0, 0, 0, 0, 0), "{summary:#?}");
        assert!(summary.defects.is_empty(), "{:?}", summary.defects);
        drop(self.ports);
        summary
    }
}
