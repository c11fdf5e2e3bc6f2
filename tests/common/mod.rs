//! A world in virtual time, and a peer that speaks SIP to it as text. What the peer does is written out in each test; it
//! shares no code with the engine.
#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

pub mod callee;
pub mod exchange;
pub mod party;
pub mod speaker;
pub mod text;

pub use text::{audio_port, header, status, statuses, tag};

use ringworld::components::edge::{Command, ConnId, Event, Flow, Input, Operation, Output, Outputs, Target, Transport};
use ringworld::components::kernel::StableId;
use ringworld::components::wire::sip::{Limits, parse_datagram};
use ringworld::engine::{Engine, WorldConfig};
use std::net::SocketAddr;

/// The switch's address in virtual tests.
pub const SWITCH: &str = "10.0.0.1:5060";
/// The peer's address.
pub const PEER: &str = "10.0.0.2:5070";

/// A world, the outputs it has given, and the ports it was offered.
pub struct Bench {
    pub engine: Engine,
    pub sent: Vec<(u64, String)>,
    pub outputs: Vec<Output>,
    pub rtp: Vec<ringworld::components::edge::Packet>,
    pub pending: Vec<Input>,
    /// How many ticks each released port rests before it is offered again.
    released: Vec<u16>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(WorldConfig::default())
    }

    pub fn with(config: WorldConfig) -> Self {
        Self::of(Engine::new(&config), 50)
    }

    pub fn of(engine: Engine, ports: u16) -> Self {
        let pending = (0..ports).map(|pair| Input::PortOpened(10_000 + 2 * pair)).collect();
        let (sent, outputs, rtp, released) = Default::default();
        Self { engine, sent, outputs, rtp, pending, released }
    }

    /// Delivers a message of the peer at the next tick.
    pub fn deliver(&mut self, text: &str) {
        self.deliver_from(text, PEER);
    }

    pub fn deliver_from(&mut self, text: &str, from: &str) {
        self.pending.push(sip_input(text, from));
    }

    /// Delivers a message over the peer's TCP connection.
    pub fn deliver_tcp(&mut self, text: &str) {
        let Input::Sip { mut flow, bytes, message } = sip_input(text, PEER) else { return };
        (flow.transport, flow.conn) = (Transport::Tcp, ConnId(1));
        self.pending.push(Input::Sip { flow, bytes, message });
    }

    /// One tick.
    pub fn tick(&mut self) {
        self.skip(1);
    }

    /// One update that advances the world by `elapsed` ticks.
    pub fn skip(&mut self, elapsed: u32) {
        self.pending.extend(self.released.drain(..).map(Input::PortOpened));
        let Outputs { control, rtp } = self.engine.tick(elapsed, std::mem::take(&mut self.pending));
        let now = self.engine.now().0;
        for output in &control {
            match output {
                Output::Sip { bytes, .. } => self.sent.push((now, String::from_utf8_lossy(bytes).into_owned())),
                Output::PortReleased(port) => self.released.push(*port),
                _ => {}
            }
        }
        self.outputs.extend(control);
        self.rtp.extend(rtp.into_iter().map(|out| *out.0));
    }

    /// Many ticks.
    pub fn run_ms(&mut self, ms: u64) {
        for _ in 0..ms / 5 {
            self.tick();
        }
    }

    /// A long time, in which only those ticks run in which something can happen.
    pub fn run_quiet_s(&mut self, seconds: u64) {
        let end = self.engine.now().0 + seconds * 200;
        while self.engine.now().0 < end {
            let now = self.engine.now().0;
            let due = if self.pending.is_empty() { self.engine.next_due().0 } else { now + 1 };
            self.skip((due.clamp(now + 1, end) - now) as u32);
        }
    }

    /// The requests of that method that were sent since the last look, with where they went.
    pub fn take_requests(&mut self, method: &str) -> Vec<(Target, String)> {
        let sent = self.outputs.drain(..).filter_map(|output| match output {
            Output::Sip { target, bytes, .. } => Some((target, String::from_utf8_lossy(&bytes).into_owned())),
            _ => None,
        });
        sent.filter(|(_, text)| text.starts_with(&format!("{method} "))).collect()
    }

    /// Delivers, ticks once and returns what was sent in that tick.
    pub fn exchange(&mut self, text: &str) -> Vec<String> {
        let before = self.sent.len();
        self.deliver(text);
        self.tick();
        self.sent[before..].iter().map(|(_, text)| text.clone()).collect()
    }

    /// Asks for an operation, at the next tick.
    pub fn ask(&mut self, operation: Operation) {
        self.pending.push(Input::Command(Command { number: 1, operation }));
    }

    /// Carries out a command about the session that has changed last, in one tick, and returns what was sent in it.
    pub fn command(&mut self, operation: impl Fn(StableId) -> Operation) -> Vec<String> {
        let session = self.outputs.iter().rev().find_map(|output| match output {
            Output::Event(Event::StateChanged { session, .. }) => Some(*session),
            _ => None,
        });
        let operation = operation(session.expect("a session"));
        let before = self.sent.len();
        self.pending.push(Input::Command(Command { number: 9, operation }));
        self.tick();
        self.sent[before..].iter().map(|(_, text)| text.clone()).collect()
    }

    /// The messages sent since the last call.
    pub fn take_sent(&mut self) -> Vec<String> {
        self.sent.drain(..).map(|(_, text)| text).collect()
    }

    /// Asserts that nothing is left of any call, and that the world holds nothing that is not registered.
    pub fn assert_baseline(&self) {
        let census = self.engine.census();
        assert_eq!(census, Default::default(), "something is left in the world");
        self.assert_registered();
    }

    pub fn assert_registered(&self) {
        assert_eq!(self.engine.unregistered(), Vec::new());
    }
}

/// The digits that were heard, in order.
pub fn digits_heard(outputs: &[Output]) -> String {
    let digit = |output: &Output| match output {
        Output::Event(Event::Digit { digit, .. }) => Some(*digit),
        _ => None,
    };
    outputs.iter().filter_map(digit).collect()
}

pub fn sip_input(text: &str, from: &str) -> Input {
    let bytes = bytes::Bytes::from(text.to_owned());
    let flow = Flow {
        transport: Transport::Udp,
        local: SWITCH.parse().expect("an address"),
        remote: from.parse().expect("an address"),
        conn: Default::default(),
    };
    let message = Box::new(parse_datagram(bytes.clone(), &Limits::default()));
    Input::Sip { flow, bytes, message }
}

/// A call as its caller sees it: identifiers, and the messages written out of them.
#[derive(Clone)]
pub struct Caller {
    pub call: u32,
    pub user: String,
    pub cseq: u32,
    pub branch: u32,
    pub to_tag: String,
    pub rtp_port: u16,
    pub peer: String,
}

impl Caller {
    pub fn new(call: u32, user: &str) -> Self {
        let rtp_port = 30_000 + (call % 10_000) as u16 * 2;
        Self { call, user: user.into(), cseq: 1, branch: 1, to_tag: String::new(), rtp_port, peer: PEER.into() }
    }

    pub fn sdp(&self, direction: &str) -> String {
        let host = self.peer.rsplit_once(':').and_then(|(host, _)| host.trim_matches(['[', ']']).parse().ok());
        let audio = SocketAddr::new(host.expect("an address"), self.rtp_port);
        text::sdp_of((self.call, self.cseq), audio, "0 8 101", direction)
    }

    /// A request; the branch is `branch`, so the same call writes the same bytes again.
    pub fn request(&self, method: &str, body: &str) -> String {
        let to_tag = if self.to_tag.is_empty() { String::new() } else { format!(";tag={}", self.to_tag) };
        let cseq_method = method;
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:{user}@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bK-{call}-{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:caller{call}@{peer}>;tag=c{call}\r\nTo: <sip:{user}@10.0.0.1>{to_tag}\r\n\
             Call-ID: call-{call}\r\nCSeq: {cseq} {cseq_method}\r\nContact: <sip:caller{call}@{peer}>\r\n{content}\
             Content-Length: {length}\r\n\r\n{body}",
            user = self.user,
            peer = self.peer,
            call = self.call,
            branch = self.branch,
            cseq = self.cseq,
            length = body.len(),
        )
    }

    pub fn invite(&self) -> String {
        self.request("INVITE", &self.sdp("sendrecv"))
    }

    /// The ACK for a 2xx: another branch, the CSeq number of the INVITE.
    pub fn ack(&self) -> String {
        Self { branch: self.branch + 1000, ..self.clone() }.request("ACK", "")
    }

    /// The ACK for another final response: the branch of the INVITE.
    pub fn ack_of_refusal(&self) -> String {
        self.request("ACK", "")
    }

    pub fn next(&mut self) {
        self.cseq += 1;
        self.branch += 1;
    }

    pub fn bye(&mut self) -> String {
        self.next();
        self.request("BYE", "")
    }

    /// Learns the tag that the switch chose.
    pub fn learn(&mut self, response: &str) {
        self.to_tag = header(response, "To").and_then(tag).unwrap_or_default().to_owned();
    }
}

/// A call that came in, was answered and acknowledged.
pub fn established(bench: &mut Bench, call: u32, user: &str) -> Caller {
    let mut caller = Caller::new(call, user);
    let answer = bench.exchange(&caller.invite()).remove(0);
    assert_eq!(status(&answer), 200, "{answer}");
    caller.learn(&answer);
    assert!(bench.exchange(&caller.ack()).is_empty());
    caller
}
