//! The RTP side of one caller: its socket, the tone it sends, and what it receives.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use super::clock;
use super::hearing::Recorder;
use super::report::Measured;
use crate::ua::g711::G711;
use crate::ua::rtp::{Arrivals, Packet};
use crate::ua::sdp::RemoteAudio;
use crate::ua::tone::{FRAME_SAMPLES, LOOP_FRAMES, Tone};

/// A packet sent later than this after its time counts as late.
const LATE: u64 = 5 * clock::MS;

/// What callers count about packets.
#[derive(Debug)]
pub(crate) struct PacketCounts {
    pub sent: u64,
    pub received: u64,
    pub foreign: u64,
    pub late: u64,
    pub late_max: u64,
    pub skipped: u64,
    pub round_trip: Measured,
    /// Between two packets of one caller, and between two of any.
    pub pause: Longest,
    pub silence: Longest,
    last: Option<u64>,
}

/// The longest of some times, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Longest(u64);

impl Longest {
    /// Takes the time from one arrival to the next, of which there may be none before.
    fn add(&mut self, before: Option<u64>, now: u64) {
        self.0 = self.0.max(before.map_or(0, |before| now.saturating_sub(before)));
    }

    /// The longest since the last call.
    pub fn take_longest(&mut self) -> u64 {
        std::mem::take(&mut self.0)
    }
}

impl PacketCounts {
    pub fn new() -> PacketCounts {
        let round_trip = Measured::new();
        PacketCounts {
            sent: 0,
            received: 0,
            foreign: 0,
            late: 0,
            late_max: 0,
            skipped: 0,
            round_trip,
            pause: Longest::default(),
            silence: Longest::default(),
            last: None,
        }
    }
}

/// Where a caller's packets go and how they look.
#[derive(Debug)]
struct Sending {
    tone: Arc<Tone>,
    remote: Option<SocketAddr>,
    payload_type: u8,
    paused: bool,
    /// No more is sent, but what comes back is still recognised.
    ended: bool,
}

#[derive(Debug)]
pub(crate) struct Media {
    pub socket: UdpSocket,
    sending: Option<Sending>,
    /// Packets of the loop so far, sent or not; its start is random.
    frame: usize,
    first: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// When each packet of the loop was last sent.
    sent_at: [u64; LOOP_FRAMES],
    pub sent: u64,
    pub arrivals: Arrivals,
    /// When the last packet came.
    last: Option<u64>,
    /// `None` once the verdict is being made.
    pub recorder: Option<Recorder>,
    /// Whether echoed packets are looked for, and how many were found.
    echo: bool,
    pub matched: u64,
    last_match: usize,
}

impl Media {
    pub fn new(socket: UdpSocket, random: u64, echo: bool) -> Media {
        Media {
            socket,
            sending: None,
            frame: (random >> 48) as usize % LOOP_FRAMES,
            first: true,
            sequence: random as u16 & 0x7fff,
            timestamp: (random >> 16) as u32,
            ssrc: (random.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32,
            sent_at: [0; LOOP_FRAMES],
            sent: 0,
            arrivals: Arrivals::default(),
            last: None,
            recorder: None,
            echo,
            matched: 0,
            last_match: 0,
        }
    }

    pub fn start(&mut self, remote: &RemoteAudio, tone: Arc<Tone>) {
        self.recorder = Some(Recorder::new(remote.law()));
        let RemoteAudio { address, payload_type, receives, .. } = *remote;
        self.sending = Some(Sending { tone, remote: address, payload_type, paused: !receives, ended: false });
    }

    /// A re-INVITE: where to send and whether.
    pub fn change(&mut self, remote: &RemoteAudio) {
        if let Some(sending) = &mut self.sending {
            sending.paused = !remote.receives;
            sending.remote = remote.address.or(sending.remote);
        }
    }

    /// Sends no more.
    pub fn stop(&mut self) {
        if let Some(sending) = &mut self.sending {
            sending.ended = true;
        }
    }

    /// Passes over a packet that is not sent. False when the stream has ended.
    pub fn skip(&mut self) -> bool {
        self.frame += 1;
        self.timestamp = self.timestamp.wrapping_add(FRAME_SAMPLES as u32);
        self.sending.as_ref().is_some_and(|sending| !sending.ended)
    }

    /// Sends the packet that was due at `deadline`. False when the stream has ended.
    pub fn send(&mut self, deadline: u64, buffer: &mut Vec<u8>, count: &mut PacketCounts) -> bool {
        let Some(Sending { tone, remote: Some(remote), payload_type, paused: false, ended: false }) = &self.sending
        else {
            return self.skip();
        };
        let (remote, payload_type) = (*remote, *payload_type);
        let (marker, sequence, timestamp, ssrc) = (self.first, self.sequence, self.timestamp, self.ssrc);
        Packet { marker, payload_type, sequence, timestamp, ssrc, payload: tone.frame(self.frame) }.write(buffer);
        let now = clock::now();
        // A full socket buffer or a closed port of the other side is a packet that the other side did not get.
        let _: io::Result<usize> = self.socket.send_to(buffer, remote);
        if let Some(sent_at) = self.sent_at.get_mut(self.frame % LOOP_FRAMES) {
            *sent_at = now;
        }
        let late = now.saturating_sub(deadline);
        count.late += u64::from(late > LATE);
        count.late_max = count.late_max.max(late);
        count.sent += 1;
        self.sent += 1;
        self.first = false;
        self.sequence = self.sequence.wrapping_add(1);
        self.skip()
    }

    /// Takes a packet that arrived at `arrived` from `source`.
    pub fn receive(&mut self, bytes: &[u8], source: SocketAddr, arrived: u64, count: &mut PacketCounts) {
        let expected = self.sending.as_ref().and_then(|sending| sending.remote);
        let Some(packet) = Packet::parse(bytes).filter(|_| expected.is_none_or(|remote| remote == source)) else {
            count.foreign += 1;
            return;
        };
        count.received += 1;
        count.pause.add(self.last.replace(arrived), arrived);
        count.silence.add(count.last.replace(arrived), arrived);
        if !self.arrivals.count(&packet) {
            return;
        }
        let law = match packet.payload_type {
            0 => G711::Pcmu,
            8 => G711::Pcma,
            _ => return,
        };
        self.match_echo(&packet, law, arrived, count);
        let Some(recorder) = &mut self.recorder else { return };
        if law == recorder.law {
            recorder.place(packet.timestamp, packet.payload);
        } else {
            let samples = packet.payload.iter().map(|&byte| recorder.law.encode(law.decode(byte)));
            let converted: Vec<u8> = samples.collect();
            recorder.place(packet.timestamp, &converted);
        }
    }

    /// Recognises one of our own packets by its content; no two within a second are the same.
    fn match_echo(&mut self, packet: &Packet<'_>, law: G711, arrived: u64, count: &mut PacketCounts) {
        let Some(Sending { tone, .. }) = self.sending.as_ref().filter(|sending| self.echo && sending.tone.law == law)
        else {
            return;
        };
        // Nearly always it is the successor of the one before; otherwise, look from the latest sent backwards.
        let guess = self.last_match + 1;
        let latest = self.frame + LOOP_FRAMES;
        let is_match = |frame: &usize| tone.frame(*frame) == packet.payload;
        let found = Some(guess).filter(is_match).or_else(|| (latest - LOOP_FRAMES..latest).rev().find(is_match));
        let Some(frame) = found.map(|frame| frame % LOOP_FRAMES) else { return };
        self.last_match = frame;
        let sent_at = self.sent_at.get(frame).copied().unwrap_or_default();
        if sent_at != 0 && arrived >= sent_at {
            self.matched += 1;
            count.round_trip.add(arrived - sent_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::clock::MS;
    use crate::load::net::open;
    use crate::ua::tone::Tones;

    #[test]
    fn an_echo_is_recognised_whatever_its_numbers() {
        let mut media = Media::new(open("127.0.0.1:0".parse().unwrap()).unwrap(), 77 << 48, true);
        let other = open("127.0.0.1:0".parse().unwrap()).unwrap();
        let remote = RemoteAudio {
            address: Some(other.local_addr().unwrap()),
            codec: G711::Pcmu.into(),
            payload_type: 0,
            telephone_event: None,
            receives: true,
            sends: true,
        };
        media.start(&remote, Tones::new().tone(401, 8_000, G711::Pcmu));
        let (mut buffer, mut count) = (Vec::new(), PacketCounts::new());
        let mut sent = Vec::new();
        for _ in 0..3 {
            assert!(media.send(clock::now(), &mut buffer, &mut count));
            sent.push(buffer.clone());
        }
        // Sent back under another SSRC and sequence, the second one lost, 40 ms later.
        let arrived = clock::now() + 40 * MS;
        for (sequence, bytes) in [(9, &sent[0]), (10, &sent[2])] {
            let packet = Packet { sequence, ssrc: 5, ..Packet::parse(bytes).unwrap() };
            packet.write(&mut buffer);
            media.receive(&buffer, other.local_addr().unwrap(), arrived, &mut count);
        }
        assert_eq!((media.matched, count.round_trip.quantiles().count), (2, 2));
        assert!(count.round_trip.quantiles().p50_us >= 39_900);
        assert_eq!(count.pause.take_longest(), 0, "both came at once");
        media.receive(&buffer, other.local_addr().unwrap(), arrived + 7 * MS, &mut count);
        assert_eq!((count.pause.take_longest(), count.silence.take_longest()), (7 * MS, 7 * MS));
        media.receive(&buffer, "127.0.0.1:9".parse().unwrap(), arrived, &mut count);
        assert_eq!((count.sent, count.received, count.foreign), (3, 3, 1));
        media.stop();
        assert!(!media.send(0, &mut buffer, &mut count));
    }
}
