//! One caller: what it is to do, and how it reacts.

use super::packet;
use crate::common::text::find_audio_port;
use crate::common::{Caller, header, sip_input, status};
use ringworld::components::audio::Codec;
use ringworld::components::edge::Input;

/// What a caller is to do.
#[derive(Clone)]
pub struct Plan {
    user: String,
    begins: u64,
    ends: u64,
    codec: Codec,
    talks: bool,
    cancels: bool,
    presses: Option<(char, u64)>,
    holds: Option<(u64, u64)>,
}

impl Plan {
    /// Calls this service.
    pub fn new(user: &str) -> Self {
        let (user, codec, talks, cancels, presses, holds) = (user.into(), Codec::Pcmu, false, false, None, None);
        Self { user, begins: 1, ends: 100, codec, talks, cancels, presses, holds }
    }

    /// Invites at a tick, hangs up (or cancels) at another.
    pub fn lasting(self, begins: u64, ends: u64) -> Self {
        Self { begins, ends, ..self }
    }

    /// Speaks no other codec than this.
    pub fn speaking(self, codec: Codec) -> Self {
        Self { codec, ..self }
    }

    /// Sends a packet every 20 ms.
    pub fn talking(self) -> Self {
        Self { talks: true, ..self }
    }

    /// Gives up while it rings.
    pub fn cancelling(self) -> Self {
        Self { cancels: true, ..self }
    }

    /// Presses a digit.
    pub fn pressing(self, digit: char, at: u64) -> Self {
        Self { presses: Some((digit, at)), ..self }
    }

    /// Holds and resumes by re-INVITE.
    pub fn holding(self, from: u64, to: u64) -> Self {
        Self { holds: Some((from, to)), ..self }
    }
}

pub(super) struct Person {
    caller: Caller,
    number: u32,
    plan: Plan,
    /// The switch's RTP port, once there is one.
    port: Option<u16>,
    has_ended: bool,
    sequence: u16,
}

impl Person {
    pub fn new(number: u32, plan: Plan) -> Self {
        let mut caller = Caller::new(number, &plan.user);
        caller.peer = format!("10.0.1.{number}:5070");
        Self { caller, number, plan, port: None, has_ended: false, sequence: number as u16 * 1_000 }
    }

    pub fn lives_at(&self, address: &str) -> bool {
        self.caller.peer == address
    }

    /// What the caller does at this tick without being asked.
    pub fn act(&mut self, now: u64, inputs: &mut Vec<Input>) {
        let is_due = |at: u64| (at..at + 3).contains(&now);
        let plan = self.plan.clone();
        if is_due(plan.begins) && self.caller.branch == 1 {
            let invite = self.caller.request("INVITE", &self.sdp("sendrecv"));
            self.caller.branch += 1;
            inputs.push(sip_input(&invite.replace("-2;rport", "-1;rport"), &self.caller.peer));
            return;
        }
        if now >= plan.ends && !self.has_ended && now > plan.begins {
            self.has_ended = true;
            self.leave(inputs);
            return;
        }
        let Some(port) = self.port.filter(|_| !self.has_ended) else { return };
        for (at, direction) in [(plan.holds.map(|it| it.0), "sendonly"), (plan.holds.map(|it| it.1), "sendrecv")] {
            if at == Some(now) {
                self.caller.next();
                inputs.push(sip_input(&self.caller.request("INVITE", &self.sdp(direction)), &self.caller.peer));
            }
        }
        if plan.talks && (now + u64::from(self.number)).is_multiple_of(4) {
            inputs.push(self.say(now, port));
        }
    }

    fn sdp(&self, direction: &str) -> String {
        let (sdp, codec) = (self.caller.sdp(direction), self.plan.codec);
        if codec == Codec::Pcmu {
            return sdp;
        }
        let (kind, clock) = (codec.payload_type(), codec.clock().rate_hz);
        let sdp = sdp.replace("RTP/AVP 0 8 101", &format!("RTP/AVP {kind} 101"));
        format!("{sdp}a=rtpmap:{kind} {}/{clock}\r\n", codec.name())
    }

    fn leave(&mut self, inputs: &mut Vec<Input>) {
        if self.plan.cancels {
            inputs.push(sip_input(&self.first().request("CANCEL", ""), &self.caller.peer));
        } else if self.port.is_some() {
            let bye = self.caller.bye();
            inputs.push(sip_input(&bye, &self.caller.peer));
        }
    }

    /// The caller as it was at its first INVITE.
    fn first(&self) -> Caller {
        Caller { branch: 1, cseq: 1, to_tag: String::new(), ..self.caller.clone() }
    }

    /// A packet: audio, or the digit that the caller presses. One in fifty is lost.
    fn say(&mut self, now: u64, port: u16) -> Input {
        self.sequence = self.sequence.wrapping_add(if now % 200 < 4 { 2 } else { 1 });
        let frame = now / 4;
        let pressed = self.plan.presses.filter(|(_, at)| (*at..at + 40).contains(&now));
        let (payload_type, timestamp, body) = match pressed {
            Some((digit, at)) => {
                let event = "0123456789*#".find(digit).unwrap_or(0) as u8;
                let played = now - at;
                let duration = (played * 40 + 40) as u16;
                let end = if played >= 28 { 0x8a } else { 0x0a };
                let [high, low] = duration.min(1_160).to_be_bytes();
                (101u8, (at / 4) as u32 * 160, vec![event, end, high, low])
            }
            None => {
                let byte = |at: u64| (frame * 7 + at * (u64::from(self.number) + 3)) as u8 | 0x80;
                let codec = self.plan.codec;
                let timestamp = frame as u32 * codec.clock().frame_units();
                (codec.payload_type(), timestamp, (0..codec.octets(20) as u64).map(byte).collect())
            }
        };
        let mut bytes = vec![0x80, payload_type];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend((0x1000 + self.number).to_be_bytes());
        bytes.extend(body);
        let host = self.caller.peer.split(':').next().unwrap_or_default();
        let peer = format!("{host}:{}", self.caller.rtp_port);
        packet(port, &peer, now * 5_000 + u64::from(self.number) * 37, &bytes)
    }

    /// What the caller sends upon a response.
    pub fn hear(&mut self, response: &str) -> Option<Input> {
        let is_invite = header(response, "CSeq").is_some_and(|value| value.ends_with("INVITE"));
        let text = match status(response) {
            200..=299 if is_invite => {
                self.caller.learn(response);
                self.port = find_audio_port(response).or(self.port);
                self.caller.ack()
            }
            300.. if is_invite => {
                let mut first = self.first();
                first.learn(response);
                first.ack_of_refusal()
            }
            _ => return None,
        };
        Some(sip_input(&text, &self.caller.peer))
    }
}
