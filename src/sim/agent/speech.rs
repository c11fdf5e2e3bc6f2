//! What an agent sends and hears: its voice every 20 ms, the digits that it sends, and the audio that it receives.

use super::Out;
use super::call::Call;
use super::voice::{self, FRAME, Sound, Voice};
use crate::sim::{Dice, MS, SECOND};
use crate::ua::rtp::Packet;
use std::net::SocketAddr;

/// The keys in the order of their event codes (RFC 4733 section 3.2).
const KEYS: &[u8; 16] = b"0123456789*#ABCD";
/// Packets in which a digit grows, and in which it repeats its end (RFC 4733 section 2.5.1.4).
const GROWING: u16 = 5;
const ENDING: u16 = 3;

/// The length of a frame.
pub(crate) const FRAME_NS: u64 = 20 * MS;

/// The distance of RTCP packets: less than the RTP silence that a run allows.
const RTCP_NS: u64 = 4 * SECOND;

/// A step of how long audio still comes from a former port.
const LATE_NS: u64 = 60 * MS;

/// What was heard in one packet.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    /// Voices.
    pub sounds: Vec<Sound>,
    /// A digit that begins.
    pub digit: Option<char>,
    /// The Call-ID of the call in which it was.
    pub call_id: String,
}

/// The audio of an agent, sent and received.
#[derive(Debug)]
pub(super) struct Speech {
    voice: Option<Voice>,
    ssrc: u32,
    sequence: u16,
    base: u32,
    next_at: u64,
    keys: Vec<u8>,
    /// The key under way: its code, the timestamp of its beginning, and its packets so far.
    pressing: Option<(u8, u32, u16)>,
    last_event: Option<u32>,
    /// The port that it sends from, and until when after the peer has agreed on another one.
    port: u16,
    moves_at: u64,
    /// Whether it sends RTCP, and when it does next.
    reports: bool,
    rtcp_at: u64,
}

impl Speech {
    pub fn new(voice: Option<Voice>, number: u32) -> Self {
        let ssrc = 0x5100_0000 | number << 8;
        let (keys, pressing, last_event) = (Vec::new(), None, None);
        // Of those that send audio, and of those that don't, one half.
        let (reports, rtcp_at) = (number % 4 < 2, u64::MAX);
        let (port, moves_at, next_at) = (0, u64::MAX, u64::MAX);
        Self {
            voice,
            ssrc,
            sequence: 0,
            base: 0,
            next_at,
            keys,
            pressing,
            last_event,
            port,
            moves_at,
            reports,
            rtcp_at,
        }
    }

    /// A call begins.
    pub fn begin(&mut self, now: u64, call: u32) {
        self.ssrc = self.ssrc & !0xff | call & 0xff;
        (self.sequence, self.base) = (call as u16 * 977, call.wrapping_mul(0x9e37_79b9));
        (self.keys, self.pressing, self.last_event) = (Vec::new(), None, None);
        self.port = 0;
        if self.reports {
            self.rtcp_at = now + RTCP_NS;
        }
        if self.voice.is_some() {
            // Every agent has a phase of its own.
            self.next_at = now.next_multiple_of(FRAME_NS) + u64::from(self.ssrc >> 8 & 3) * FRAME_NS / 4;
        }
    }

    pub fn stop(&mut self) {
        (self.next_at, self.rtcp_at) = (u64::MAX, u64::MAX);
    }

    pub fn press(&mut self, code: u8) {
        self.keys.insert(0, code);
    }

    pub fn due_at(&self) -> u64 {
        self.next_at.min(self.rtcp_at)
    }

    /// Sends what is due in this call.
    pub fn speak(&mut self, now: u64, call: &Call, (silent, wild): (bool, bool), dice: &mut Dice, out: &mut Out) {
        if self.rtcp_at <= now {
            self.rtcp_at = now + RTCP_NS;
            self.report(call, out);
        }
        self.choose_port(now, call.ua.rtp.port());
        // What was not sent while it rang is not made up for.
        let missed = now.saturating_sub(self.next_at) / FRAME_NS;
        self.next_at += missed * FRAME_NS;
        while self.next_at <= now {
            let frame = self.next_at / FRAME_NS;
            self.next_at += FRAME_NS;
            let Some(remote) = call.ua.remote.as_ref().filter(|remote| remote.receives && !silent) else { continue };
            let (Some(address), Some(voice)) = (remote.address, self.voice) else { continue };
            let timestamp = self.base.wrapping_add((frame as u32).wrapping_mul(FRAME as u32));
            let event = self.next_event(timestamp, out).zip(remote.telephone_event);
            let payload;
            let packet = match &event {
                Some(((began, body, marker), payload_type)) => self.packet(*payload_type, *began, *marker, body),
                None => {
                    payload = voice::speak(voice, frame, remote.codec);
                    self.packet(remote.payload_type, timestamp, false, &payload)
                }
            };
            let mut bytes = Vec::with_capacity(FRAME + 12);
            packet.write(&mut bytes);
            self.sequence = self.sequence.wrapping_add(1);
            if wild && dice.happens(300) {
                let length = dice.below(2_200) as usize;
                // Of no version of RTP, whatever follows.
                let garbage = (0..length).map(|n| if n == 0 { 0 } else { dice.bits() as u8 }).collect();
                out.rtp.push((self.port, address, garbage));
                bytes[1] = 77;
                out.rtp.push((self.port, address, bytes.clone()));
                bytes[1] = 200;
            }
            out.rtp.push((self.port, address, bytes));
        }
    }

    /// Goes on to send from the former port for a while once the peer has agreed on another one.
    fn choose_port(&mut self, now: u64, agreed: u16) {
        if self.port == 0 || now >= self.moves_at {
            (self.port, self.moves_at) = (agreed, u64::MAX);
        } else if self.port != agreed && self.moves_at == u64::MAX {
            self.moves_at = now + u64::from(self.ssrc % 4) * LATE_NS;
        }
    }

    /// Sends RTCP: a receiver report without blocks (RFC 3550 section 6.4.2).
    fn report(&self, call: &Call, out: &mut Out) {
        let address = call.ua.remote.as_ref().and_then(|remote| remote.address);
        let ports = address.and_then(|to| Some((call.ua.rtp.port().checked_add(1)?, to.port().checked_add(1)?)));
        if let (Some(to), Some((from_port, to_port))) = (address, ports) {
            let mut bytes = vec![0x80, 201, 0, 1];
            bytes.extend(self.ssrc.to_be_bytes());
            out.rtp.push((from_port, SocketAddr::new(to.ip(), to_port), bytes));
        }
    }

    fn packet<'a>(&self, payload_type: u8, timestamp: u32, marker: bool, payload: &'a [u8]) -> Packet<'a> {
        Packet { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc, payload }
    }

    fn next_event(&mut self, timestamp: u32, out: &mut Out) -> Option<(u32, [u8; 4], bool)> {
        let (code, began, step) = match self.pressing.take() {
            Some(pressing) => pressing,
            None => {
                let code = self.keys.pop()?;
                out.pressed.push((timestamp, char::from(KEYS[usize::from(code & 15)])));
                (code, timestamp, 0)
            }
        };
        if step + 1 < GROWING + ENDING {
            self.pressing = Some((code, began, step + 1));
        }
        let end = if step >= GROWING { 0x80 } else { 0 };
        let [high, low] = ((step + 1).min(GROWING) * FRAME as u16).to_be_bytes();
        Some((began, [code, end | 10, high, low], step == 0))
    }

    /// A datagram came to the port of this call.
    pub fn hear(&mut self, call: &Call, from: SocketAddr, bytes: &[u8]) -> Hearing {
        let mut hearing = Hearing::default();
        let Some(remote) = call.ua.remote.as_ref().filter(|remote| remote.address == Some(from)) else {
            return hearing;
        };
        let Some(packet) = Packet::parse(bytes) else { return hearing };
        let layout = call.ua.layout;
        if remote.telephone_event.is_some() && packet.payload_type == layout.telephone_event() {
            let newer = self.last_event.is_none_or(|last| (packet.timestamp.wrapping_sub(last) as i32) > 0);
            let key = packet.payload.first().and_then(|&code| KEYS.get(usize::from(code)));
            if newer && let Some(&key) = key {
                self.last_event = Some(packet.timestamp);
                hearing.digit = Some(char::from(key));
            }
        } else if packet.payload_type == layout.payload_type(remote.codec)
            && packet.payload.len() == remote.codec.octets(FRAME)
        {
            hearing.sounds = voice::listen(packet.payload, remote.codec);
        }
        if hearing.digit.is_some() || !hearing.sounds.is_empty() {
            hearing.call_id.clone_from(&call.ua.identity.call_id);
        }
        hearing
    }
}
