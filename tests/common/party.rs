//! A party with media: a caller in a call that sends and receives RTP in virtual time.

use super::{Bench, Caller, audio_port, status};
use ringworld::components::audio::G711;
use ringworld::components::edge::{Input, Packet};
use ringworld::components::wire::rtp::{self, RtpHeader};

/// A caller with a call, its port at the switch, and its RTP numbers.
pub struct Party {
    pub caller: Caller,
    pub port: u16,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
}

impl Party {
    pub fn join(bench: &mut Bench, call: u32, user: &str, payload_type: u8) -> Self {
        Self::offering(bench, call, user, payload_type, &format!("{payload_type} 101"), "")
    }

    /// A party that offers these formats, the first of which is to be agreed on, and says this about them.
    pub fn offering(
        bench: &mut Bench,
        call: u32,
        user: &str,
        payload_type: u8,
        formats: &str,
        attributes: &str,
    ) -> Self {
        let mut caller = Caller::new(call, user);
        let sdp = caller.sdp("sendrecv").replace("RTP/AVP 0 8 101", &format!("RTP/AVP {formats}"));
        let answer = bench.exchange(&caller.request("INVITE", &format!("{sdp}{attributes}"))).remove(0);
        assert_eq!(status(&answer), 200, "{answer}");
        caller.learn(&answer);
        bench.exchange(&caller.ack());
        Self { caller, port: audio_port(&answer), sequence: 60_000, timestamp: u32::MAX - 500, payload_type }
    }

    /// Sends a re-INVITE with this SDP and returns the answer.
    pub fn reinvite(&mut self, bench: &mut Bench, sdp: &str) -> String {
        self.caller.next();
        let answer = bench.exchange(&self.caller.request("INVITE", sdp)).remove(0);
        assert_eq!(status(&answer), 200, "{answer}");
        bench.exchange(&self.caller.ack());
        answer
    }

    pub fn hang_up(mut self, bench: &mut Bench) {
        let bye = self.caller.bye();
        bench.exchange(&bye);
    }

    pub fn address(&self) -> String {
        format!("10.0.0.2:{}", self.caller.rtp_port)
    }

    pub fn send(&mut self, bench: &mut Bench, payload: &[u8]) {
        let from = self.address();
        self.send_from(bench, payload, &from, self.payload_type, false, self.timestamp);
        self.timestamp = self.timestamp.wrapping_add(payload.len() as u32);
    }

    pub fn send_from(&mut self, bench: &mut Bench, payload: &[u8], from: &str, kind: u8, marker: bool, timestamp: u32) {
        let header =
            RtpHeader { marker, payload_type: kind, sequence: self.sequence, timestamp, ssrc: self.caller.call };
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = Packet::default();
        (packet.port, packet.peer) = (self.port, from.parse().expect("an address"));
        assert!(packet.write_rtp(&header, payload));
        bench.pending.push(Input::Rtp(Box::new(packet)));
    }

    /// The packets that came to this party.
    pub fn packets(&self, bench: &Bench) -> Vec<(RtpHeader, Vec<u8>)> {
        let mine = bench.rtp.iter().filter(|packet| packet.port == self.port);
        mine.map(|packet| {
            let (header, payload) = rtp::parse(packet.bytes()).expect("RTP");
            (header, packet.bytes()[payload].to_vec())
        })
        .collect()
    }

    /// The payloads that came to this party.
    pub fn heard(&self, bench: &Bench) -> Vec<Vec<u8>> {
        let mine = bench.rtp.iter().filter(|packet| packet.port == self.port);
        mine.map(|packet| {
            assert_eq!(packet.peer.to_string(), self.address());
            let (_, payload) = rtp::parse(packet.bytes()).expect("RTP");
            packet.bytes()[payload].to_vec()
        })
        .collect()
    }
}

pub fn constant(law: G711, level: i16) -> [u8; 160] {
    let mut payload = [0; 160];
    law.encode(&[level; 160], &mut payload);
    payload
}

pub fn level(law: G711, payload: &[u8]) -> i32 {
    let mut pcm = [0i16; 160];
    law.decode(payload, &mut pcm);
    i32::from(pcm[80])
}

/// Numbers without a pattern, from a seed.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
