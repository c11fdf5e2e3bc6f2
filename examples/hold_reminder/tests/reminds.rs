//! The behaviour at work, in virtual time: a call comes in, is put on hold, and hears the reminder.

use hold_reminder::{HoldReminder, HoldReminderPlugin};
use ringworld::components::edge::{Command, Event, Flow, Input, Operation, Output, Outputs, Transport};
use ringworld::components::wire::sip::{Limits, parse_datagram};
use ringworld::prelude::*;

const PERIOD: Duration = Duration::from_secs(10);
const PEER: &str = "10.0.0.2:5070";

fn engine() -> Engine {
    Engine::with_plugins(&WorldConfig::default(), |plugins| {
        plugins.add(HoldReminderPlugin { period: PERIOD });
    })
}

/// A world, what it sent, and how many packets.
struct Bench {
    engine: Engine,
    sip: Vec<String>,
    session: Option<StableId>,
    state: Option<SessionState>,
    packets: usize,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { engine: engine(), sip: Vec::new(), session: None, state: None, packets: 0 };
        bench.tick(vec![Input::PortOpened(10_000)]);
        bench
    }

    fn tick(&mut self, inputs: Vec<Input>) {
        let Outputs { control, rtp } = self.engine.tick(1, inputs);
        self.packets += rtp.len();
        for output in control {
            match output {
                Output::Sip { bytes, .. } => self.sip.push(String::from_utf8_lossy(&bytes).into_owned()),
                Output::Event(Event::StateChanged { session, to, .. }) => {
                    (self.session, self.state) = (Some(session), Some(to));
                }
                _ => {}
            }
        }
    }

    fn deliver(&mut self, text: String) {
        let (local, remote) = ("10.0.0.1:5060".parse().unwrap(), PEER.parse().unwrap());
        let flow = Flow { transport: Transport::Udp, local, remote, conn: Default::default() };
        let message = Box::new(parse_datagram(text.clone().into(), &Limits::default()));
        self.tick(vec![Input::Sip { flow, bytes: text.into(), message }]);
    }

    /// Runs for so long and says how many packets went out.
    fn run(&mut self, time: Duration) -> usize {
        let before = self.packets;
        for _ in 0..time.as_millis() / TICK.as_millis() {
            self.tick(Vec::new());
        }
        self.packets - before
    }

    /// Asks for something that makes a re-INVITE, and agrees to it.
    fn reinvite(&mut self, operation: fn(StableId) -> Operation, direction: &str) {
        let operation = operation(self.session.unwrap());
        self.sip.clear();
        self.tick(vec![Input::Command(Command { number: 1, operation })]);
        let request = self.sip.iter().find(|text| text.starts_with("INVITE ")).expect("a re-INVITE").clone();
        let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        let lines = request.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
        let head: String = lines.map(|line| format!("{line}\r\n")).collect();
        self.deliver(with_body(&format!("SIP/2.0 200 OK\r\n{head}"), &sdp(direction)));
    }
}

fn sdp(direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\na={direction}\r\n"
    )
}

fn with_body(head: &str, body: &str) -> String {
    format!(
        "{head}Contact: <sip:caller@{PEER}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn request(method: &str, cseq: u32, to_tag: &str) -> String {
    format!(
        "{method} sip:echo@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};branch=z9hG4bK-{method}{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:caller@{PEER}>;tag=c\r\nTo: <sip:echo@10.0.0.1>{to_tag}\r\nCall-ID: held\r\n\
         CSeq: {cseq} {method}\r\n"
    )
}

/// A call that is answered.
fn answered() -> (Bench, String) {
    let mut bench = Bench::new();
    bench.deliver(with_body(&request("INVITE", 1, ""), &sdp("sendrecv")));
    for _ in 0..3 {
        bench.tick(Vec::new());
    }
    let answer = bench.sip.iter().find(|text| text.starts_with("SIP/2.0 200")).expect("an answer");
    let to = answer.lines().find_map(|line| line.strip_prefix("To: ")).expect("a To");
    let tag = format!(";tag={}", to.split(";tag=").nth(1).expect("a tag"));
    bench.deliver(format!("{}Content-Length: 0\r\n\r\n", request("ACK", 1, &tag)));
    assert_eq!(bench.state, Some(SessionState::Connected));
    (bench, tag)
}

fn given(bench: &Bench) -> Option<u32> {
    let id = bench.session?;
    let entity = bench.engine.world().resource::<StableIds>().find(id)?;
    bench.engine.world().get::<HoldReminder>(entity).map(|reminder| reminder.given)
}

#[test]
fn a_held_call_is_reminded_until_it_is_taken_back() {
    let (mut bench, tag) = answered();
    assert_eq!(bench.run(2 * PERIOD), 0, "nobody is held, nobody is reminded");
    bench.reinvite(|session| Operation::Hold { session }, "recvonly");
    assert_eq!((bench.state, given(&bench)), (Some(SessionState::OnHold), Some(0)));

    assert_eq!(bench.run(PERIOD - Duration::from_millis(50)), 0, "not before its time");
    assert!(bench.run(Duration::from_secs(2)) > 10, "the reminder is heard");
    assert_eq!(given(&bench), Some(1));
    assert_eq!(bench.run(Duration::from_secs(7)), 0, "then it is quiet");
    assert!(bench.run(Duration::from_secs(3)) > 10, "and comes again");
    assert_eq!(given(&bench), Some(2));

    bench.reinvite(|session| Operation::Resume { session }, "sendrecv");
    assert_eq!((bench.state, given(&bench)), (Some(SessionState::Connected), None));
    assert_eq!(bench.run(2 * PERIOD), 0, "who is back is not reminded");

    bench.deliver(format!("{}Content-Length: 0\r\n\r\n", request("BYE", 2, &tag)));
    bench.run(Duration::from_secs(40));
    assert_eq!(bench.engine.census(), engine().census(), "nothing is left, its timer neither");
}

#[test]
fn a_call_that_ends_on_hold_takes_its_reminder_along() {
    let (mut bench, tag) = answered();
    bench.reinvite(|session| Operation::Hold { session }, "recvonly");
    bench.deliver(format!("{}Content-Length: 0\r\n\r\n", request("BYE", 2, &tag)));
    assert_eq!(bench.run(2 * PERIOD), 0);
    bench.run(Duration::from_secs(40));
    assert_eq!(bench.engine.census(), engine().census());
}

#[test]
fn the_reminder_is_recorded_and_survives_a_restore_in_the_middle_of_a_hold() {
    let (mut bench, _) = answered();
    bench.reinvite(|session| Operation::Hold { session }, "recvonly");
    bench.run(PERIOD / 2);
    assert_eq!(bench.engine.unregistered(), Vec::new());
    let mut restored = engine();
    let shuffled = |count: usize| (0..count).rev().collect();
    restored.restore(&bench.engine.snapshot(), Some(&shuffled)).expect("a snapshot of the same build");
    assert_eq!(restored.digest(), bench.engine.digest());
    bench.engine = restored;
    assert!(bench.run(PERIOD) > 10);
    assert_eq!(given(&bench), Some(1));
}
