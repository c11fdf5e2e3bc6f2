//! A small town of callers in virtual time: talkers in echo and in rooms, digits, holds, cancels, refusals, a call that
//! the switch places, lost peers and skipped ticks. Each occurs often enough for a replay to test it.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod order;
mod person;

use crate::common::text::sdp;
use crate::common::{header, sip_input, status};
use person::Person;
use ringworld::components::edge::{Command, Input, Operation, Output, Outputs, Packet, PlaceCall};
use ringworld::components::kernel::{Digest, StableId};
use ringworld::config::{RecordMedia, RecordSettings};
use ringworld::engine::{ChainDigest, Engine, WorldConfig};
use ringworld::replay::{FlightRecorder, Recorder, RecordingSummary};
use ringworld::state::Keeper;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use person::Plan;

/// The peer that the switch calls.
const CALLEE: &str = "10.0.0.3:5080";

pub struct Town {
    pub engine: Engine,
    recorder: Option<Recorder>,
    pub keeper: Option<Keeper>,
    pub flight: Option<FlightRecorder>,
    people: Vec<Person>,
    released: Vec<(u64, u16)>,
    pending: Vec<Input>,
    placed: Option<StableId>,
    pub events: usize,
    pub digests: Vec<(u64, ChainDigest)>,
}

/// A path for a file that only one test uses.
pub fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.rwlog", std::process::id()))
}

pub fn settings(media: RecordMedia) -> RecordSettings {
    RecordSettings { media, mib_max: 64, ..RecordSettings::default() }
}

pub fn config() -> WorldConfig {
    let mut config = WorldConfig { secret: [42; 32], ..WorldConfig::default() };
    config.settings.timers.rtp_silence_s = 2;
    config
}

/// The plans of the callers, for about six seconds.
pub fn everyday_life() -> Vec<Plan> {
    let mut plans = vec![
        Plan::new("echo").lasting(2, 300).talking(),
        Plan::new("echo").lasting(5, 400).talking().pressing('7', 120),
        Plan::new("echo").lasting(5, 420).talking().holding(100, 200),
        Plan::new("tone").lasting(9, 250),
        Plan::new("tone-880").lasting(9, 600).talking().pressing('#', 60),
        Plan::new("busy").lasting(20, 30),
        Plan::new("reject-603").lasting(21, 30),
        Plan::new("ring-20").lasting(30, 90).cancelling(),
        Plan::new("ring-1").lasting(31, 700).talking(),
        Plan::new("echo").lasting(40, 5_000),
    ];
    for (at, room) in [(50, "conf-a"), (53, "conf-a"), (61, "conf-a"), (70, "conf-b"), (300, "conf-b")] {
        plans.push(Plan::new(room).lasting(at, at + 450).talking());
    }
    plans
}

/// The plans of callers whose packets are decoded, mixed at 16 kHz and encoded anew, for about two seconds.
pub fn transcoders() -> Vec<Plan> {
    use ringworld::components::audio::Codec::{G722, L16Narrowband, L16Wideband, Pcma};
    vec![
        Plan::new("conf-w").lasting(2, 330).talking().speaking(G722).pressing('6', 100),
        Plan::new("conf-w").lasting(3, 300).talking().speaking(L16Wideband).holding(90, 170),
        Plan::new("conf-w").lasting(5, 310).talking(),
        Plan::new("conf-w").lasting(7, 340).talking().speaking(G722).holding(120, 200),
        Plan::new("conf-w").lasting(9, 350).speaking(G722),
        Plan::new("conf-w").lasting(11, 350).speaking(Pcma),
        Plan::new("conf-w").lasting(40, 210).talking().speaking(L16Narrowband),
        Plan::new("echo").lasting(13, 320).talking().speaking(G722),
        Plan::new("tone-700").lasting(15, 320).speaking(G722),
    ]
}

impl Town {
    pub fn new(engine: Engine, plans: Vec<Plan>) -> Self {
        let people = plans.into_iter().enumerate().map(|(number, plan)| Person::new(number as u32, plan)).collect();
        let pending = (0..40).map(|pair| Input::PortOpened(10_000 + 2 * pair)).collect();
        Self {
            engine,
            recorder: None,
            keeper: None,
            flight: None,
            people,
            released: Vec::new(),
            pending,
            placed: None,
            events: 0,
            digests: Vec::new(),
        }
    }

    /// A recorded day of all callers, from the first tick to the last.
    pub fn record_day(path: &Path, media: RecordMedia) -> (Self, RecordingSummary) {
        let mut town = Self::new(Engine::new(&config()), everyday_life());
        town.record(path, &config(), media);
        town.live(1_200);
        let summary = town.stop_recording();
        (town, summary)
    }

    pub fn record(&mut self, path: &Path, config: &WorldConfig, media: RecordMedia) {
        let recorder = if self.engine.now().0 == 0 {
            Recorder::create(path, config, &settings(media))
        } else {
            Recorder::create_at(path, config, &settings(media), &self.engine)
        };
        self.recorder = Some(recorder.expect("a recorder"));
    }

    pub fn record_with(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    pub fn stop_recording(&mut self) -> RecordingSummary {
        self.recorder.take().expect("a recorder").finish(&self.engine)
    }

    pub fn digest(&self) -> Digest {
        self.engine.digest()
    }

    pub fn live(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.tick();
        }
    }

    pub fn tick(&mut self) {
        // Now and then the machine was late, and ticks were skipped.
        let elapsed = if self.engine.now().0 % 97 == 40 { 3 } else { 1 };
        let now = self.engine.now().0 + elapsed;
        let mut inputs = std::mem::take(&mut self.pending);
        self.released.retain(|&(at, port)| {
            let rests = at + 20 > now;
            if !rests {
                inputs.push(Input::PortOpened(port));
            }
            rests
        });
        for person in &mut self.people {
            person.act(now, &mut inputs);
        }
        self.place_calls(now, &mut inputs);
        if let Some(recorder) = &mut self.recorder {
            recorder.inputs(elapsed as u32, &inputs);
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.inputs(elapsed as u32, &inputs);
        }
        if let Some(flight) = &mut self.flight {
            flight.inputs(elapsed as u32, &inputs);
        }
        let outputs = self.engine.tick(elapsed as u32, inputs);
        if let Some(recorder) = &mut self.recorder {
            recorder.end_of_tick(&self.engine);
        }
        if let Some(flight) = &mut self.flight {
            flight.end_of_tick(&self.engine);
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.end_of_tick(&self.engine, !outputs.control.is_empty() || !outputs.rtp.is_empty());
            if keeper.is_due(&self.engine) {
                self.flight.iter_mut().for_each(|flight| flight.cut(&self.engine));
                keeper.begin_next(&self.engine);
            }
        }
        self.digests.push((self.engine.now().0, self.engine.chain()));
        self.take(now, outputs);
    }

    /// Opens ports anew, as at the start, apart from those in use: the process that had opened the others has ended.
    pub fn reopen_ports(&mut self) {
        let in_use = self.engine.ports_in_use();
        self.released.clear();
        self.pending.retain(|input| !matches!(input, Input::PortOpened(_)));
        let ports = (0..40).map(|pair| 10_000 + 2 * pair).filter(|port| !in_use.contains(port));
        self.pending.extend(ports.map(Input::PortOpened));
    }

    fn place_calls(&mut self, now: u64, inputs: &mut Vec<Input>) {
        let operation = match (now, self.placed) {
            (80, _) => Operation::Place(PlaceCall {
                from: "sip:switch@10.0.0.1".into(),
                to: format!("sip:callee@{CALLEE}"),
                remote: CALLEE.parse().expect("an address"),
                over_tcp: false,
                local: crate::common::SWITCH.parse().expect("an address"),
                service: "tone".into(),
                sdp: None,
            }),
            (200, Some(session)) => Operation::SendDtmf { session, digits: "12".into() },
            (320, Some(session)) => Operation::Hold { session },
            (400, Some(session)) => Operation::Resume { session },
            (500, Some(session)) => Operation::HangUp { session },
            _ => return,
        };
        inputs.push(Input::Command(Command { number: now, operation }));
    }

    fn take(&mut self, now: u64, outputs: Outputs) {
        for output in outputs.control {
            match output {
                Output::Sip { target, bytes, .. } => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let from = target.remote.to_string();
                    if status(&text) == 0 {
                        self.pending.extend(answer(&text, &from));
                    } else if let Some(person) = self.people.iter_mut().find(|person| person.lives_at(&from)) {
                        self.pending.extend(person.hear(&text));
                    }
                }
                Output::PortReleased(port) => self.released.push((now, port)),
                Output::Reply(reply) => self.placed = self.placed.or(reply.result.ok()),
                Output::Event(_) => self.events += 1,
                _ => {}
            }
        }
    }
}

/// The response of any peer to a request of the switch: 200. An ACK gets none.
fn answer(request: &str, from: &str) -> Option<Input> {
    let method = request.split(' ').next()?;
    if method == "ACK" {
        return None;
    }
    let body = if method == "INVITE" {
        let host = from.split(':').next()?.parse().ok()?;
        sdp(SocketAddr::new(host, 50_000), "0 101", "")
    } else {
        String::new()
    };
    let to = header(request, "To")?;
    let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let text = format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:callee@{from}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        header(request, "Via")?,
        header(request, "From")?,
        header(request, "Call-ID")?,
        header(request, "CSeq")?,
        body.len(),
    );
    Some(sip_input(&text, from))
}

/// A datagram for an RTP port of the switch.
pub fn packet(port: u16, peer: &str, arrived_us: u64, bytes: &[u8]) -> Input {
    let mut packet = Box::new(Packet::default());
    assert!(packet.fill(bytes));
    (packet.port, packet.arrived_us) = (port, arrived_us);
    packet.peer = peer.parse().expect("an address");
    Input::Rtp(packet)
}
