//! A party with a codec: it sends tones and hears what comes as linear audio.

use super::Bench;
use super::party::Party;
use ringworld::components::audio::goertzel::{power_at, share_at};
use ringworld::components::audio::{Codec, StreamEncoder, ToneGenerator};
use ringworld::components::wire::rtp::{self, RtpHeader};

/// The payload type of its telephone events.
pub const EVENTS: u8 = 110;

/// A party that speaks one codec.
pub struct Speaker {
    pub party: Party,
    pub codec: Codec,
    encoder: StreamEncoder,
    tone: ToneGenerator,
    /// The frames that it has sent, linear.
    pub said: Vec<Vec<i16>>,
}

impl Speaker {
    /// A party that calls `user`, and sends a tone of this frequency and level.
    pub fn join(bench: &mut Bench, call: u32, user: &str, codec: Codec, tone: (u32, i16)) -> Self {
        let (kind, clock) = (codec.payload_type(), codec.clock().rate_hz);
        let attributes =
            format!("a=rtpmap:{kind} {}/{clock}\r\na=rtpmap:{EVENTS} telephone-event/{clock}\r\n", codec.name());
        let party = Party::offering(bench, call, user, kind, &format!("{kind} {EVENTS}"), &attributes);
        let tone = ToneGenerator::new(tone.0, tone.1);
        Self { party, codec, encoder: StreamEncoder::new(codec), tone, said: Vec::new() }
    }

    /// Sends the next 20 ms of its tone.
    pub fn speak(&mut self, bench: &mut Bench) {
        let format = self.codec.format();
        let mut pcm = vec![0; format.frame_samples()];
        self.tone.fill(&mut pcm, format.rate_hz);
        self.say(bench, pcm);
    }

    /// Sends these 20 ms, in packets that fit.
    pub fn say(&mut self, bench: &mut Bench, pcm: Vec<i16>) {
        let mut payload = vec![0; self.codec.octets(20)];
        self.encoder.encode(&pcm, self.codec.format().rate_hz, &mut payload);
        self.said.push(pcm);
        let from = self.party.address();
        for packet in payload.chunks(self.codec.octets(20.min(u32::from(self.codec.ptime_ms_max())))) {
            let (kind, timestamp) = (self.party.payload_type, self.party.timestamp);
            self.party.send_from(bench, packet, &from, kind, false, timestamp);
            self.party.timestamp = timestamp.wrapping_add((packet.len() / self.codec.unit_octets()) as u32);
        }
    }

    /// The packets of audio that came to it.
    pub fn audio(&self, bench: &Bench) -> Vec<(RtpHeader, Vec<u8>)> {
        let mut packets = self.party.packets(bench);
        packets.retain(|(header, _)| header.payload_type == self.codec.payload_type());
        packets
    }

    /// What it hears, linear.
    pub fn heard(&self, bench: &Bench) -> Vec<i16> {
        let mut decoder = self.codec.decoder();
        let decode = |payload: Vec<u8>| {
            let mut pcm = vec![0; self.codec.format().frame_samples() * payload.len() / self.codec.octets(20)];
            decoder.decode(&payload, &mut pcm);
            pcm
        };
        self.audio(bench).into_iter().map(|(_, payload)| payload).flat_map(decode).collect()
    }

    /// The last second of what it hears.
    pub fn last_second(&self, bench: &Bench) -> Vec<i16> {
        let heard = self.heard(bench);
        let second = self.codec.format().rate_hz as usize;
        assert!(heard.len() >= second, "{} heard {} samples", self.codec, heard.len());
        heard[heard.len() - second..].to_vec()
    }

    /// The level of a tone in some audio that it hears, in dB above that of a tone of peak `level`.
    pub fn level_db(&self, pcm: &[i16], hz: u32, level: i16) -> f64 {
        let power = power_at(pcm, f64::from(hz), self.codec.format().rate_hz);
        10.0 * (power / (f64::from(level) / 32_768.0).powi(2)).max(1e-12).log10()
    }

    /// The ratio of these tones, as one signal, to all else in some audio that it hears, in dB.
    pub fn snr_db(&self, pcm: &[i16], tones_hz: &[u32]) -> f64 {
        let shares = tones_hz.iter().map(|hz| share_at(pcm, f64::from(*hz), self.codec.format().rate_hz));
        let signal: f64 = shares.sum();
        10.0 * (signal / (1.0 - signal).max(1e-12)).log10()
    }
}

/// Reads a packet.
pub fn read(packet: &[u8]) -> (RtpHeader, Vec<u8>) {
    let (header, payload) = rtp::parse(packet).expect("RTP");
    (header, packet[payload].to_vec())
}
