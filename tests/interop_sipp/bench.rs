//! A switch to be tested, and what must hold once it has stopped.

use super::peer::{LOOPBACK, Scenario, Sipp};
use super::ports::{Block, Range};
use crossbeam::channel::Receiver;
use ringworld::components::call::SessionState;
use ringworld::components::edge::{Event, Operation, PlaceCall, Transport};
use ringworld::components::kernel::StableId;
use ringworld::config::{Config, PortRange, SipListen};
use ringworld::engine::{Summary, Switch};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// RTP ports of these tests, a block for each switch: above the default ones, below those that the system hands out.
const PORTS: Range = Range { first: 28_000, block: 120, blocks: 39 };

/// A switch on UDP and TCP of one loopback address, and its events.
pub struct Bench {
    pub switch: Switch,
    ip: IpAddr,
    events: Receiver<Event>,
    _ports: Block,
}

/// The settings of the tests: everything by default but where the switch listens.
pub fn config(ip: IpAddr) -> Config {
    let mut config = Config::default();
    let listen = |transport| SipListen { transport, address: SocketAddr::new(ip, 0) };
    config.network.sip = vec![listen(Transport::Udp), listen(Transport::Tcp)];
    config
}

impl Bench {
    /// A switch on 127.0.0.1 with the default settings.
    pub fn new() -> Self {
        Self::with(&config(LOOPBACK))
    }

    /// A switch with these settings and RTP ports of its own.
    pub fn with(config: &Config) -> Self {
        let ports = Block::of(PORTS);
        let mut config = config.clone();
        config.network.rtp_ports = PortRange { first: ports.first, last: ports.first + PORTS.block - 1 };
        let switch = Switch::start(&config).expect("the switch starts");
        let events = switch.subscribe(10_000);
        Self { switch, ip: config.network.sip[0].address.ip(), events, _ports: ports }
    }

    fn address(&self, over_tcp: bool) -> SocketAddr {
        let wanted = if over_tcp { Transport::Tcp } else { Transport::Udp };
        let found = self.switch.sip_addresses().iter().find(|(transport, _)| *transport == wanted);
        found.expect("the switch listens").1
    }

    /// Where the switch listens for datagrams.
    pub fn udp_address(&self) -> SocketAddr {
        self.address(false)
    }

    /// SIPp against the switch.
    pub fn start(&self, scenario: &Scenario, arguments: &[&str]) -> Sipp {
        Sipp::start(scenario, self.ip, self.address(arguments.contains(&"t1")), arguments)
    }

    /// SIPp calls the service, and each of its calls must go as the scenario says.
    pub fn run(&self, scenario: &Scenario, service: &str, arguments: &[&str]) {
        self.start(scenario, &[&["-s", service][..], arguments].concat()).finish();
    }

    /// The switch calls SIPp.
    pub fn place(&self, callee: &Sipp, over_tcp: bool) -> StableId {
        let remote = callee.address;
        let transport = if over_tcp { Transport::Tcp } else { Transport::Udp };
        let local = self.switch.local_towards(transport, remote).expect("an address towards the callee");
        let call = PlaceCall {
            from: format!("sip:switch@{local}"),
            to: format!("sip:callee@{remote}{}", if over_tcp { ";transport=tcp" } else { "" }),
            remote,
            over_tcp,
            local,
            service: "silence".into(),
            sdp: None,
        };
        self.switch.command(0, Operation::Place(call)).expect("the call is placed")
    }

    pub fn command(&self, session: StableId, operation: impl Fn(StableId) -> Operation) {
        self.switch.command_session(session, operation(session)).expect("the session allows it");
    }

    /// Waits for the next event that `pick` makes something of.
    pub fn wait_for<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Ok(event) = self.events.recv_deadline(deadline) {
            if let Some(found) = pick(&event) {
                return found;
            }
        }
        panic!("no event for 30 s: {what}");
    }

    /// Waits until some session enters the state.
    pub fn wait_until_any(&self, state: SessionState) -> StableId {
        self.wait_for(&format!("a session is {state}"), |event| match event {
            Event::StateChanged { session, to, .. } if *to == state => Some(*session),
            _ => None,
        })
    }

    /// Waits until this session enters the state.
    pub fn wait_until(&self, session: StableId, state: SessionState) {
        self.wait_for(&format!("session {session:?} is {state}"), |event| {
            matches!(event, Event::StateChanged { session: of, to, .. } if *of == session && *to == state).then_some(())
        });
    }

    /// Drains the switch: nothing of any call is left. Transactions may linger for 64*T1.
    pub fn finish(self) -> Summary {
        let summary = self.switch.drain(Duration::from_secs(10));
        let end = &summary.end;
        let left = (end.sessions, end.dialogs, end.streams, end.rooms, end.ports);
        assert_eq!(left, (0, 0, 0, 0, 0), "sessions, dialogs, streams, rooms, ports: {summary:#?}");
        assert!(summary.signalling.limits_hit.is_empty(), "{:?}", summary.signalling.limits_hit);
        assert_eq!(summary.signalling.refused_operations, 0);
        summary
    }

    /// [`Bench::finish`], and every call ended in one of these ways, so many times each.
    pub fn finish_with(self, outcomes: &[(&str, u64)]) -> Summary {
        let summary = self.finish();
        let mut expected: Vec<_> = outcomes.iter().map(|(outcome, count)| ((*outcome).to_owned(), *count)).collect();
        expected.sort();
        let counted: Vec<_> = summary.signalling.outcomes.clone().into_iter().collect();
        assert_eq!(counted, expected, "{:#?}", summary.signalling);
        summary
    }
}
