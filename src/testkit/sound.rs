//! What a phone sends and hears in a call.

use crate::ua::digits::{Digits, DigitsHeard};
use crate::ua::rtp::Packet;
use crate::ua::sdp::{RemoteAudio, TELEPHONE_EVENT_OFFERED};
use crate::ua::tone::{Tone, Tones, amplitudes, mean_square};
use crate::ua::{G711, MS};
use std::collections::VecDeque;
use std::sync::Arc;

/// The length of a packet.
const FRAME: u64 = 20 * MS;
/// How loud a tone is sent.
const AMPLITUDE: i16 = 8_000;
/// Samples in which a tone is looked for: 400 ms.
const WINDOW: usize = 3_200;
/// What is softer is no tone (-40 dB below full scale).
const AUDIBLE: f64 = 300.0;
/// The share of the energy that must be the tone.
const SHARE: f64 = 0.5;

/// The media of one call.
#[derive(Debug)]
pub(super) struct Sound {
    tone_hz: Option<u16>,
    tone: Option<Arc<Tone>>,
    keys: VecDeque<Digits>,
    next_at: u64,
    frame: usize,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    heard: VecDeque<i16>,
    /// When audio last came.
    pub heard_at: u64,
    /// Packets of audio that came.
    pub packets: usize,
    pub digits: DigitsHeard,
}

impl Sound {
    pub fn new(ssrc: u32) -> Self {
        Self {
            tone_hz: None,
            tone: None,
            keys: VecDeque::new(),
            next_at: u64::MAX,
            frame: 0,
            sequence: 0,
            timestamp: 0,
            ssrc,
            heard: VecDeque::new(),
            heard_at: 0,
            packets: 0,
            digits: DigitsHeard::default(),
        }
    }

    /// Sends this tone from now on, or nothing.
    pub fn play(&mut self, now: u64, tone_hz: Option<u16>) {
        (self.tone_hz, self.tone) = (tone_hz, None);
        self.arm(now);
    }

    /// Sends these digits after those that wait.
    pub fn press(&mut self, now: u64, digits: Digits) {
        self.keys.push_back(digits);
        self.arm(now);
    }

    fn arm(&mut self, now: u64) {
        if self.next_at == u64::MAX {
            self.next_at = now.next_multiple_of(FRAME);
        }
    }

    /// When [`Sound::speak`] should be called next.
    pub fn due_at(&self) -> u64 {
        self.next_at
    }

    /// The packets that are due, to the peer's address.
    pub fn speak(&mut self, now: u64, remote: Option<&RemoteAudio>) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while self.next_at <= now {
            self.next_at += FRAME;
            if let Some(remote) = remote.filter(|remote| remote.receives) {
                packets.extend(self.packet(remote));
            }
            self.frame += 1;
            self.timestamp = self.timestamp.wrapping_add(160);
            if self.tone_hz.is_none() && self.keys.is_empty() {
                self.next_at = u64::MAX;
            }
        }
        packets
    }

    fn packet(&mut self, remote: &RemoteAudio) -> Option<Vec<u8>> {
        while self.keys.front().is_some_and(Digits::is_done) {
            self.keys.pop_front();
        }
        let event = match (self.keys.front_mut(), remote.telephone_event) {
            (Some(digits), Some(payload_type)) => digits.next(self.timestamp).map(|event| (event, payload_type)),
            _ => None,
        };
        let (sequence, ssrc) = (self.sequence, self.ssrc);
        let tone = self.tone_hz.map(|hz| {
            let stale = self.tone.as_ref().is_none_or(|tone| tone.law != remote.law());
            if stale {
                self.tone = Some(Tones::new().tone(hz, AMPLITUDE, remote.law()));
            }
            self.tone.clone()
        });
        let tone = tone.flatten();
        let packet = match (&event, &tone) {
            (Some((event, payload_type)), _) => Packet {
                marker: event.marker,
                payload_type: *payload_type,
                sequence,
                timestamp: event.timestamp,
                ssrc,
                payload: &event.payload,
            },
            (None, Some(tone)) => Packet {
                marker: false,
                payload_type: remote.payload_type,
                sequence,
                timestamp: self.timestamp,
                ssrc,
                payload: tone.frame(self.frame),
            },
            (None, None) => return None,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        packet.write(&mut bytes);
        Some(bytes)
    }

    /// A datagram came.
    pub fn hear(&mut self, now: u64, bytes: &[u8]) {
        let Some(packet) = Packet::parse(bytes) else { return };
        let law = match packet.payload_type {
            0 => G711::Pcmu,
            8 => G711::Pcma,
            TELEPHONE_EVENT_OFFERED => {
                self.digits.take(packet.timestamp, packet.payload);
                return;
            }
            _ => return,
        };
        self.packets += 1;
        self.heard_at = now;
        self.heard.extend(packet.payload.iter().map(|&byte| law.decode(byte)));
        let surplus = self.heard.len().saturating_sub(WINDOW);
        self.heard.drain(..surplus);
    }

    /// Forgets what was heard, so that it is not taken for what comes next.
    pub fn listen_anew(&mut self) {
        self.heard.clear();
    }

    /// Whether the last 400 ms were this tone.
    pub fn is_tone(&mut self, hz: u16) -> bool {
        let samples: &[i16] = self.heard.make_contiguous();
        let found = amplitudes(samples, &[hz]).first().copied().unwrap_or_default();
        samples.len() == WINDOW && found >= AUDIBLE && found * found / 2.0 >= SHARE * mean_square(samples)
    }
}
