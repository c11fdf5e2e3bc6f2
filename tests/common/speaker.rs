//! A party with a codec: it sends tones and hears what comes as linear audio.

use super::Bench;
use super::party::Party;
use ringworld::components::audio::{Codec, StreamEncoder, ToneGenerator};
use ringworld::components::wire::rtp::{self, RtpHeader};
use std::f64::consts::TAU;

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
        let (power, _) = component(pcm, hz, self.codec.format().rate_hz);
        10.0 * (power / (f64::from(level) / 32_768.0).powi(2)).max(1e-12).log10()
    }

    /// The ratio of these tones, as one signal, to all else in some audio that it hears, in dB.
    pub fn snr_db(&self, pcm: &[i16], tones_hz: &[u32]) -> f64 {
        let shares = tones_hz.iter().map(|hz| component(pcm, *hz, self.codec.format().rate_hz).1);
        let signal: f64 = shares.sum();
        10.0 * (signal / (1.0 - signal).max(1e-12)).log10()
    }
}

/// The power of the component at `hz` (1 for a sine whose peak is full scale), and its share of all.
fn component(pcm: &[i16], hz: u32, rate_hz: u32) -> (f64, f64) {
    let (turn, step) = (TAU / pcm.len() as f64, TAU * f64::from(hz) / f64::from(rate_hz));
    let (mut real, mut imaginary, mut energy, mut weights, mut squares) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (index, sample) in (0..).zip(pcm) {
        // A window (Hann) keeps what is some bins away out.
        let window = 0.5 - 0.5 * (turn * f64::from(index)).cos();
        let value = window * f64::from(*sample) / 32_768.0;
        let (sine, cosine) = (step * f64::from(index)).sin_cos();
        (real, imaginary) = (real + value * cosine, imaginary + value * sine);
        (energy, weights, squares) = (energy + value * value, weights + window, squares + window * window);
    }
    let power = 4.0 * (real * real + imaginary * imaginary) / (weights * weights);
    (power, power * squares / (2.0 * energy))
}

/// Reads a packet.
pub fn read(packet: &[u8]) -> (RtpHeader, Vec<u8>) {
    let (header, payload) = rtp::parse(packet).expect("RTP");
    (header, packet[payload].to_vec())
}
