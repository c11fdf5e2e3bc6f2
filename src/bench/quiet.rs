//! Worlds without sockets, full of calls in which nothing happens.

use super::BenchError;
use crate::engine::{Engine, WorldConfig};
use bytes::Bytes;
use ringworld_components::edge::{Command, Flow, Input, Operation, Output, PlaceCall, Transport};
use ringworld_components::wire::sip::{Limits, parse_datagram};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

const SWITCH: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 5060));
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 5070));

/// New calls in a tick.
const BATCH: u32 = 250;
/// Ticks until the last transaction of a call is forgotten, and some.
const SETTLED_TICKS: u32 = 8_000;
/// The first port offered, and how many pairs there can be above it.
const FIRST_PORT: u16 = 10_000;
/// The most calls of one world that have ports of their own.
pub const WITH_PORTS_MAX: u32 = 27_000;

/// A world and the other side of its calls.
///
/// ```
/// use ringworld::bench::quiet::Quiet;
///
/// let mut world = Quiet::with_sessions(8).unwrap();
/// world.tick();
/// assert_eq!(world.engine().census().sessions, 8);
/// assert_eq!(world.engine().census().transactions, 0);
/// ```
pub struct Quiet {
    engine: Engine,
    inputs: Vec<Input>,
    /// Calls made so far, and ports offered so far.
    calls: u32,
    ports: u32,
    answered: u32,
}

impl Default for Quiet {
    fn default() -> Self {
        let engine = Engine::new(&WorldConfig::default());
        Self { engine, inputs: Vec::new(), calls: 0, ports: 0, answered: 0 }
    }
}

impl Quiet {
    /// A world of established sessions: a quarter of them called in and have ports and a stream, as there are not more
    /// ports; the others were placed with a description of another host's media. All transactions are over.
    pub fn with_sessions(sessions: u32) -> Result<Self, BenchError> {
        let called = (sessions / 4).min(WITH_PORTS_MAX);
        let mut quiet = Self::default();
        quiet.call_in(called, |_| "echo".to_owned())?;
        quiet.place(sessions - called)?;
        quiet.settle();
        quiet.check(sessions)?;
        Ok(quiet)
    }

    /// A world of rooms with one participant each.
    pub fn with_rooms(rooms: u32) -> Result<Self, BenchError> {
        let mut quiet = Self::default();
        quiet.call_in(rooms, |room| format!("conf-{room}"))?;
        quiet.settle();
        quiet.check(rooms)?;
        Ok(quiet)
    }

    /// The world.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// One tick in which nothing comes in.
    pub fn tick(&mut self) {
        self.engine.tick(1, Vec::new());
    }

    /// One whole call to the echo service, in three ticks: INVITE and 200, ACK, BYE and 200. Its session ends; its
    /// transactions wait out their time.
    pub fn call(&mut self) {
        let call = self.calls;
        self.calls += 1;
        self.offer_port();
        self.inputs.push(request("INVITE", call, "echo", "", 1, &description(call)));
        let mut answers = self.step();
        let Some((_, to)) = answers.pop() else { return };
        self.inputs.push(request("ACK", call, "echo", &to, 1, ""));
        self.step();
        self.inputs.push(request("BYE", call, "echo", &to, 2, ""));
        self.step();
    }

    /// Lets all transactions run out.
    pub fn settle(&mut self) {
        for _ in 0..SETTLED_TICKS / 100 {
            self.engine.tick(100, std::mem::take(&mut self.inputs));
        }
    }

    fn call_in(&mut self, calls: u32, user: impl Fn(u32) -> String) -> Result<(), BenchError> {
        if calls > WITH_PORTS_MAX {
            return Err(BenchError::new(format!("there are ports for {WITH_PORTS_MAX} calls, not for {calls}")));
        }
        for first in (0..calls).step_by(BATCH as usize) {
            for _ in first..calls.min(first + BATCH) {
                self.offer_port();
                let call = self.calls;
                self.calls += 1;
                self.inputs.push(request("INVITE", call, &user(call), "", 1, &description(call)));
            }
            for (call, to) in self.step() {
                self.inputs.push(request("ACK", call, &user(call), &to, 1, ""));
            }
            self.step();
        }
        Ok(())
    }

    fn place(&mut self, calls: u32) -> Result<(), BenchError> {
        for first in (0..calls).step_by(BATCH as usize) {
            for _ in first..calls.min(first + BATCH) {
                let operation = Operation::Place(PlaceCall {
                    from: format!("sip:switch@{SWITCH}"),
                    to: format!("sip:peer@{PEER}"),
                    remote: PEER,
                    over_tcp: false,
                    local: SWITCH,
                    service: "silence".to_owned(),
                    sdp: Some(description(self.calls)),
                });
                self.calls += 1;
                self.inputs.push(Input::Command(Command { number: 0, operation }));
            }
            // The INVITEs leave, and step() answers them; the ACKs leave in the next one.
            self.step();
            self.step();
        }
        Ok(())
    }

    fn check(&self, sessions: u32) -> Result<(), BenchError> {
        let census = self.engine.census();
        if census.sessions == u64::from(sessions) && census.transactions == 0 {
            return Ok(());
        }
        Err(BenchError::new(format!("the world should hold {sessions} quiet sessions, but holds {census:?}")))
    }

    fn offer_port(&mut self) {
        if self.ports < WITH_PORTS_MAX {
            self.inputs.push(Input::PortOpened(FIRST_PORT + 2 * self.ports as u16));
            self.ports += 1;
        }
    }

    /// One tick with what has been gathered. INVITEs that come out are answered in the next; calls that were answered
    /// are returned, with the value of their To.
    fn step(&mut self) -> Vec<(u32, String)> {
        let outputs = self.engine.tick(1, std::mem::take(&mut self.inputs));
        let mut answers = Vec::new();
        for output in outputs.control {
            match output {
                Output::Sip { bytes, .. } => {
                    let text = String::from_utf8_lossy(&bytes);
                    if text.starts_with("SIP/2.0 200") {
                        let call = header(&text, "Call-ID").and_then(|id| id.parse().ok());
                        answers.extend(call.zip(header(&text, "To").map(str::to_owned)));
                    } else if text.starts_with("INVITE ") {
                        self.answered += 1;
                        self.inputs.push(answer(&text, self.answered));
                    }
                }
                Output::PortReleased(port) => self.inputs.push(Input::PortOpened(port)),
                _ => {}
            }
        }
        answers
    }
}

/// A request of the peer in the way of its INVITE; `to` is empty before there is a dialog. Public for the parser's
/// benchmark.
pub fn request_text(method: &str, call: u32, user: &str, to: &str, cseq: u32, body: &str) -> String {
    let fresh = format!("<sip:{user}@{SWITCH}>");
    let to = if to.is_empty() { &fresh } else { to };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:{user}@{SWITCH} SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};rport;branch=z9hG4bK-{call}-{method}\r\n\
         Max-Forwards: 70\r\nFrom: \"Caller {call}\" <sip:caller{call}@{PEER}>;tag=t{call}\r\nTo: {to}\r\n\
         Call-ID: {call}\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller{call}@{PEER}>\r\n{content}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn request(method: &str, call: u32, user: &str, to: &str, cseq: u32, body: &str) -> Input {
    input(request_text(method, call, user, to, cseq, body))
}

/// A session description of G.711 and telephone-events.
pub fn description(call: u32) -> String {
    let (address, port) = (PEER.ip(), 20_000 + call % 20_000 * 2);
    format!(
        "v=0\r\no=- {call} 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// The peer's 200 to an INVITE of the switch.
fn answer(invite: &str, number: u32) -> Input {
    let of = |name| header(invite, name).unwrap_or_default();
    let body = description(number);
    input(format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=p{number}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:peer@{PEER}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        of("Via"),
        of("From"),
        of("To"),
        of("Call-ID"),
        of("CSeq"),
        body.len()
    ))
}

fn input(text: String) -> Input {
    let bytes = Bytes::from(text);
    let flow = Flow { transport: Transport::Udp, local: SWITCH, remote: PEER, conn: Default::default() };
    let message = Box::new(parse_datagram(bytes.clone(), &Limits::default()));
    Input::Sip { flow, bytes, message }
}

fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_has_streams_and_nothing_else_is_left() {
        let quiet = Quiet::with_sessions(40).unwrap();
        let census = quiet.engine().census();
        assert_eq!((census.sessions, census.streams, census.dialogs, census.transactions), (40, 10, 40, 0));
    }

    #[test]
    fn rooms_are_rooms() {
        let census = Quiet::with_rooms(5).unwrap().engine().census();
        assert_eq!((census.rooms, census.streams, census.sessions), (5, 5, 5));
    }

    #[test]
    fn a_call_leaves_only_transactions_and_its_port_is_used_again() {
        let mut quiet = Quiet::default();
        (0..3).for_each(|_| quiet.call());
        quiet.tick();
        let census = quiet.engine().census();
        assert_eq!((census.sessions, census.dialogs, census.streams, census.ports), (0, 0, 0, 0));
        assert_eq!(quiet.engine().counters().calls_answered, 3);
        quiet.settle();
        assert_eq!(quiet.engine().census(), Default::default());
    }
}
