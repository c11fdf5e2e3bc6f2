//! Rooms with a rate: the highest that a member has. Each member is decoded and taken to that rate, the sum is made
//! there, exactly, and what a member hears is taken to its own rate and encoded.

use super::mix::{Said, Sending, StreamQuery, take};
use bevy_ecs::prelude::*;
use ringworld_components::audio::mix::{add, clip, minus_clip};
use ringworld_components::audio::{
    AudioFormat, Codec, FRAME_OCTETS_MAX, FRAME_SAMPLES_MAX, G711, StreamDecoder, StreamEncoder,
};
use ringworld_components::media::{Encoded, Mixing, ReceivedAudio, SpeechActivity};
use ringworld_components::planted;

/// A member that says something in this frame.
struct Voice {
    stream: Entity,
    codec: Codec,
    /// What it says, at the rate of its codec.
    pcm: [i16; FRAME_SAMPLES_MAX],
}

/// The mix of one frame of a room.
#[derive(Default)]
pub(super) struct LinearMix {
    /// The highest rate that a room may have.
    pub rate_hz_max: u32,
    /// The highest rate among its members; 0 in a room of G.711 alone.
    rate_hz: u32,
    voices: Vec<Voice>,
    sum: Vec<i32>,
    /// What each voice added to the sum, one after the other.
    own: Vec<i16>,
    /// What those hear that only listen, encoded.
    shared: Vec<(Codec, [u8; FRAME_OCTETS_MAX])>,
}

impl LinearMix {
    pub fn clear(&mut self) {
        self.rate_hz = 0;
        self.voices.clear();
    }

    /// A member has this codec, which is not G.711.
    pub fn includes(&mut self, codec: Codec) {
        self.rate_hz = self.rate_hz.max(codec.format().rate_hz);
    }

    /// Whether the room is to be mixed here.
    pub fn is_needed(&self) -> bool {
        self.rate_hz > 0
    }

    /// Takes what a member says in this frame; `None` if that is nothing.
    pub fn hear(
        &mut self,
        stream: Entity,
        codec: Codec,
        ear: &mut ReceivedAudio,
        speaking: &mut SpeechActivity,
    ) -> Option<()> {
        let mut octets = [0; FRAME_OCTETS_MAX];
        let octets = octets.get_mut(..codec.octets(20))?;
        let said = take(ear, speaking, octets, codec.silence());
        let decoder = StreamDecoder::of(codec, &mut ear.decoder);
        let mut pcm = [0; FRAME_SAMPLES_MAX];
        let frame = pcm.get_mut(..codec.format().frame_samples())?;
        match said {
            Said::Frame => decoder.decode(octets, frame),
            Said::Missing => decoder.conceal(frame),
            Said::Nothing => {
                decoder.pause();
                return None;
            }
        }
        self.voices.push(Voice { stream, codec, pcm });
        Some(())
    }

    /// A member says this in G.711.
    pub fn say(&mut self, stream: Entity, law: G711, payload: &[u8]) {
        let mut pcm = [0; FRAME_SAMPLES_MAX];
        law.decode(payload, &mut pcm);
        self.voices.push(Voice { stream, codec: law.into(), pcm });
    }

    /// Sends every member what it hears; says how many spoke.
    pub fn mix(
        &mut self,
        listening: &[Entity],
        mixing: &mut Mixing,
        streams: &mut StreamQuery<'_, '_>,
        sending: &mut Sending<'_, '_>,
    ) -> u64 {
        let room = AudioFormat::mono(self.rate_hz.min(self.rate_hz_max.max(AudioFormat::NARROWBAND.rate_hz)));
        self.add_up(room, streams);
        let is_alone = self.voices.len() == 1;
        let mut heard = [0; FRAME_SAMPLES_MAX];
        let Some(heard) = heard.get_mut(..room.frame_samples()) else { return 0 };
        for (voice, own) in self.voices.iter().zip(self.own.chunks_exact(room.frame_samples())).filter(|_| !is_alone) {
            minus_clip(&self.sum, own, heard);
            if planted!(SelfHearing) {
                clip(&self.sum, heard);
            }
            sending.send(streams, voice.stream, |agreed, flow, send| {
                let mut octets = [0; FRAME_OCTETS_MAX];
                let octets = octets.get_mut(..agreed.codec.octets(20)).unwrap_or_default();
                StreamEncoder::of(agreed.codec, &mut flow.encoder).encode(heard, room.rate_hz, octets);
                send(flow, Encoded { octets, is_opaque: true });
            });
        }
        if self.voices.is_empty() {
            return 0;
        }
        clip(&self.sum, heard);
        self.shared.clear();
        let encoders = mixing.encoders.get_or_insert_default();
        for &stream in listening {
            sending.send(streams, stream, |agreed, flow, send| {
                // What comes when it speaks does not follow what its own encoder had before.
                *flow.encoder = None;
                let octets = share(&mut self.shared, encoders, agreed.codec, heard, room.rate_hz);
                send(flow, Encoded { octets, is_opaque: true });
            });
        }
        self.voices.len() as u64
    }

    /// Takes all voices to the rate of the room, and adds them up.
    fn add_up(&mut self, room: AudioFormat, streams: &mut StreamQuery<'_, '_>) {
        self.sum.clear();
        self.sum.resize(room.frame_samples(), 0);
        self.own.clear();
        self.own.resize(room.frame_samples() * self.voices.len(), 0);
        for (voice, own) in self.voices.iter().zip(self.own.chunks_exact_mut(room.frame_samples())) {
            let Ok((_, _, mut hearing, _)) = streams.get_mut(voice.stream) else { continue };
            let Some(ear) = &mut hearing.ear else { continue };
            let pcm = voice.pcm.get(..voice.codec.format().frame_samples()).unwrap_or_default();
            StreamDecoder::of(voice.codec, &mut ear.decoder).resample(pcm, own, room.rate_hz);
            add(&mut self.sum, own);
        }
    }
}

/// The frame in this codec: encoded once, for the first that listens in it.
fn share<'a>(
    shared: &'a mut Vec<(Codec, [u8; FRAME_OCTETS_MAX])>,
    encoders: &mut Vec<StreamEncoder>,
    codec: Codec,
    heard: &[i16],
    rate_hz: u32,
) -> &'a [u8] {
    let index = shared.iter().position(|(of, _)| *of == codec).unwrap_or_else(|| {
        let known = encoders.iter().position(|encoder| encoder.codec() == codec).unwrap_or_else(|| {
            encoders.push(StreamEncoder::new(codec));
            encoders.len() - 1
        });
        let mut octets = [0; FRAME_OCTETS_MAX];
        if let (Some(encoder), Some(octets)) = (encoders.get_mut(known), octets.get_mut(..codec.octets(20))) {
            encoder.encode(heard, rate_hz, octets);
        }
        shared.push((codec, octets));
        shared.len() - 1
    });
    shared.get(index).and_then(|(_, octets)| octets.get(..codec.octets(20))).unwrap_or_default()
}
