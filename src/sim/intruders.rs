//! Hosts that are of no call and send RTP to the ports of calls.

use super::{Dice, MS, Purpose, SECOND};
use crate::ua::rtp::Packet;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

/// Packets that an intruder sends, one every 20 ms.
const PACKETS: u16 = 3;

/// Payload types that no call ever agrees on, and those of the two laws.
const NEVER_AGREED: u8 = 127;
const AUDIO: [u8; 2] = [0, 8];

/// The intruders of a run.
#[derive(Debug)]
pub(super) struct Intruders {
    dice: Dice,
    /// When each sends next, to which port, and how many packets it has sent.
    due: BTreeSet<(u64, u16, u16)>,
}

impl Intruders {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed, Purpose::Intruders, 0), due: BTreeSet::new() }
    }

    /// A port was taken for a call: an intruder may come before the peer, or later.
    pub fn port_taken(&mut self, now: u64, port: u16) {
        if self.dice.happens(300) {
            let after = self.dice.pick(&[(5 * MS, 1), (60 * MS, 1), (4 * SECOND, 1)]);
            self.due.insert((now + self.dice.below(after), port, 0));
        }
    }

    /// When one sends next.
    pub fn due_at(&self) -> u64 {
        self.due.first().map_or(u64::MAX, |(at, ..)| *at)
    }

    /// The port that one sends to by now, and how many packets it has sent there.
    pub fn next_due(&mut self, now: u64) -> Option<(u16, u16)> {
        let (at, port, sent) = self.due.first().copied().filter(|(at, ..)| *at <= now)?;
        self.due.pop_first();
        if sent + 1 < PACKETS {
            self.due.insert((at + 20 * MS, port, sent + 1));
        }
        Some((port, sent))
    }

    /// Its packet: silence, so that no voice is disturbed where it is learned as the source, or what is never agreed
    /// on.
    pub fn packet(port: u16, sent: u16, may_be_learned: bool) -> (SocketAddr, Vec<u8>) {
        let is_audio = may_be_learned && !(port / 2).is_multiple_of(3);
        let payload_type = if is_audio { AUDIO[usize::from(port / 2 % 2)] } else { NEVER_AGREED };
        let silence = if payload_type == 8 { 0xd5 } else { 0xff };
        let ssrc = 0x1d00_0000 | u32::from(port);
        let timestamp = u32::from(sent) * 160;
        let mut bytes = Vec::new();
        Packet { marker: false, payload_type, sequence: sent, timestamp, ssrc, payload: &[silence; 160] }
            .write(&mut bytes);
        (SocketAddr::from((Ipv4Addr::new(203, 0, 113, 7), port)), bytes)
    }
}
