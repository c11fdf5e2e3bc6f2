//! Hostile bytes: mutated calls and noise are answered or dropped, never a panic, and nothing stays in the world.
//! `RINGWORLD_FUZZ_CASES` sets how many messages are tried.

mod common;

use common::{Bench, Caller};
use ringworld::components::edge::{Input, Packet};
use ringworld::engine::WorldConfig;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

fn mutate(dice: &mut Dice, text: &str, others: &[String]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..dice.roll(4) {
        let at = dice.roll(bytes.len());
        match dice.roll(6) {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => bytes[at] = dice.roll(256) as u8,
            2 => bytes.insert(at, b"\r\n\0;,<>\"%:@ "[dice.roll(12)]),
            3 => {
                let end = (at + dice.roll(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                // A line of the message again, or of another one.
                let from = &others[dice.roll(others.len())];
                let lines: Vec<&str> = from.lines().collect();
                let line = lines[dice.roll(lines.len())].as_bytes().to_vec();
                bytes.splice(at..at, line);
            }
            _ => {
                let text = String::from_utf8_lossy(&bytes).replace("CSeq: 1", "CSeq: 4294967299");
                bytes = text.into_bytes();
            }
        }
    }
    bytes
}

fn input(bytes: Vec<u8>) -> Input {
    use ringworld::components::edge::{Flow, Transport};
    use ringworld::components::wire::sip::{Limits, parse_datagram};
    let bytes = bytes::Bytes::from(bytes);
    let flow = Flow {
        transport: Transport::Udp,
        local: common::SWITCH.parse().expect("an address"),
        remote: common::PEER.parse().expect("an address"),
        conn: Default::default(),
    };
    Input::Sip { flow, message: Box::new(parse_datagram(bytes.clone(), &Limits::default())), bytes }
}

#[test]
fn whatever_comes_the_world_stays_whole_and_empties_again() {
    let cases: u32 = std::env::var("RINGWORLD_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let seed = std::env::var("RINGWORLD_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x5eed);
    println!("seed {seed}, {cases} messages");
    let mut config = WorldConfig::default();
    config.settings.sip.t1_ms = 20;
    config.settings.sip.t2_ms = 100;
    config.settings.sip.t4_ms = 100;
    config.settings.timers.ringing_s = 1;
    config.settings.timers.call_s = 2;
    let mut bench = Bench::with(config);
    bench.tick();
    let mut dice = Dice(seed);
    for case in 0..cases {
        let mut caller = Caller::new(case % 97, ["echo", "conf-a", "ring-1", "busy", "tone", "absent"][dice.roll(6)]);
        caller.branch = dice.roll(5) as u32;
        caller.cseq = dice.roll(4) as u32;
        if dice.roll(2) == 0
            && let Some((_, answer)) =
                bench.sent.iter().rev().find(|(_, text)| text.contains(&format!("call-{}\r", caller.call)))
        {
            let answer = answer.clone();
            caller.learn(&answer);
        }
        let method = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "REGISTER", "NONSENSE"][dice.roll(8)];
        let body = if dice.roll(2) == 0 {
            caller.sdp(["sendrecv", "sendonly", "inactive", "odd"][dice.roll(4)])
        } else {
            String::new()
        };
        let text = caller.request(method, &body);
        let mut others = vec![text.clone(), caller.invite()];
        others.extend(bench.sent.last().map(|(_, text)| text.clone()));
        let original = others[dice.roll(others.len())].clone();
        let bytes = mutate(&mut dice, &original, &others);
        bench.pending.push(input(bytes));
        let mut packet = Packet::default();
        (packet.port, packet.peer) = (10_000 + 2 * dice.roll(50) as u16, "10.0.0.2:4000".parse().expect("an address"));
        let noise: Vec<u8> = (0..dice.roll(200)).map(|at| if at == 0 { 0x80 } else { dice.roll(256) as u8 }).collect();
        packet.fill(&noise);
        bench.pending.push(Input::Rtp(Box::new(packet)));
        if dice.roll(3) == 0 {
            bench.tick();
        }
        if bench.sent.len() > 500 {
            bench.sent.drain(..400);
        }
        bench.rtp.clear();
        bench.outputs.clear();
    }
    bench.assert_registered();
    bench.run_ms(8_000);
    bench.assert_baseline();
}
