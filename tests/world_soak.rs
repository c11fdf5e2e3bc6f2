//! Churn: 20,000 calls in rooms begin, send RTP, hang up, are cancelled and refused; afterwards nothing is left.

mod common;

use common::text::find_audio_port;
use common::{Bench, Caller, status};
use ringworld::components::edge::{Input, Packet};
use ringworld::components::wire::rtp::RtpHeader;
use ringworld::engine::{Engine, WorldConfig};
use std::collections::VecDeque;

const CALLS: u32 = 20_000;
const PER_TICK: u32 = 10;

/// A xorshift generator: the same churn in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn talk(bench: &mut Bench, caller: &Caller, port: u16, at: u16) {
    let header =
        RtpHeader { marker: at == 0, payload_type: 0, sequence: at, timestamp: u32::from(at) * 160, ssrc: caller.call };
    let mut packet = Packet::default();
    (packet.port, packet.peer) = (port, format!("10.0.0.2:{}", caller.rtp_port).parse().expect("an address"));
    assert!(packet.write_rtp(&header, &[0x55; 160]));
    bench.pending.push(Input::Rtp(Box::new(packet)));
}

#[test]
fn after_twenty_thousand_calls_every_count_is_back_at_its_start() {
    let mut config = WorldConfig::default();
    // Finished transactions wait 64*T1; a short T1 keeps the test short, not the churn.
    config.settings.sip.t1_ms = 50;
    config.settings.sip.t2_ms = 400;
    config.settings.sip.t4_ms = 500;
    let mut bench = Bench::of(Engine::new(&config), 2_000);
    bench.tick();
    let start = bench.engine.census();
    let free = bench.engine.world().resource::<ringworld::components::media::PortPool>().free();
    let mut dice = Dice(0x5eed);
    let mut talking: VecDeque<(Caller, u16)> = VecDeque::new();
    let mut answered = 0u32;
    let mut call = 0;
    while call < CALLS || !talking.is_empty() {
        let mut fresh = Vec::new();
        for _ in 0..PER_TICK.min(CALLS - call) {
            call += 1;
            let user = match dice.roll(10) {
                0 => "busy".to_owned(),
                1 => "ring-30".to_owned(),
                2 => "echo".to_owned(),
                _ => format!("conf-{}", dice.roll(40)),
            };
            let caller = Caller::new(call, &user);
            bench.deliver(&caller.invite());
            if dice.roll(20) == 0 {
                bench.deliver(&caller.invite());
            }
            fresh.push(caller);
        }
        // Each of the longest calls sends a packet every 20 ms.
        let tick = bench.engine.now().0;
        for (caller, port) in talking.iter().take(80).filter(|(caller, _)| u64::from(caller.call) % 4 == tick % 4) {
            talk(&mut bench, caller, *port, (tick / 4) as u16);
        }
        let hanging_up = if call < CALLS { talking.len().saturating_sub(300) } else { talking.len().min(30) };
        for _ in 0..hanging_up {
            let Some((mut caller, _)) = talking.pop_front() else { break };
            let bye = caller.bye();
            bench.deliver(&bye);
        }
        bench.tick();
        bench.rtp.clear();
        bench.outputs.clear();
        for answer in bench.take_sent() {
            let Some(at) =
                fresh.iter().position(|caller| answer.contains(&format!("Call-ID: call-{}\r\n", caller.call)))
            else {
                continue;
            };
            match status(&answer) {
                200 => {
                    let mut caller = fresh.swap_remove(at);
                    caller.learn(&answer);
                    bench.deliver(&caller.ack());
                    talking.push_back((caller, find_audio_port(&answer).unwrap_or(0)));
                    answered += 1;
                }
                180 => bench.deliver(&fresh[at].request("CANCEL", "")),
                _ => {}
            }
        }
        for caller in fresh {
            bench.deliver(&caller.ack_of_refusal());
        }
    }
    assert!(answered > 14_000, "{answered} calls were answered");
    assert!(bench.engine.media_counters().frames_mixed > 1_000, "{:?}", bench.engine.media_counters());
    bench.run_ms(64 * 50 + 2_000);
    assert_eq!(bench.engine.census(), start);
    assert_eq!(bench.engine.world().resource::<ringworld::components::media::PortPool>().free(), free);
    bench.assert_baseline();
    let counters = bench.engine.counters();
    assert_eq!(counters.calls_in, u64::from(CALLS), "{counters:?}");
    assert_eq!(counters.outcomes.values().sum::<u64>(), u64::from(CALLS), "every call has one outcome");
}
