//! What streams play: tones, silence, clips and digits, a frame every 20 ms.

use bevy_ecs::prelude::*;
use ringworld_components::audio::telephone_event::EventPacket;
use ringworld_components::audio::{FRAME_OCTETS_MAX, FRAME_SAMPLES_MAX, StreamEncoder, ToneGenerator};
use ringworld_components::call::contain_item;
use ringworld_components::edge::{Outputs, PacketPool};
use ringworld_components::kernel::{Elapsed, Now};
use ringworld_components::media::{
    ActiveSet, Encoded, MediaCounters, MediaFact, MediaFacts, PacketSender, Packetizer, Playback, RtpState, Stream,
    frame_of, half_a_frame_later,
};
use ringworld_components::planted;
use ringworld_components::wire::rtp::RtpHeader;
use ringworld_components::wire::telephone_event::TelephoneEvent;

/// The signal of a clip: beeps of a fifth of a second, one every two fifths.
const BEEP_HZ: u32 = 880;
const BEEP_FRAMES: u16 = 10;
const BEEP_LEVEL: i16 = 8_000;

/// Visits the streams whose frame falls into this tick, and lets those go that have nothing left to play.
#[expect(clippy::too_many_arguments, reason = "a system's parameters are its declared access")]
pub(super) fn play_streams(
    mut wakeful: ResMut<ActiveSet<Playback>>,
    mut streams: Query<(&Stream, &mut RtpState, &mut Playback)>,
    now: Res<Now>,
    elapsed: Res<Elapsed>,
    mut counters: ResMut<MediaCounters>,
    mut facts: ResMut<MediaFacts>,
    mut pool: ResMut<PacketPool>,
    mut outputs: ResMut<Outputs>,
    mut packetizer: ResMut<ActiveSet<Packetizer>>,
    mut commands: Commands,
) {
    let mut sender = PacketSender::new(&mut pool, &mut outputs);
    // A few skipped ticks are made up for; a long stop is not: audio of the past is of no use.
    for back in (0..u64::from(elapsed.0.min(8))).rev() {
        let then = Now(now.0 - back.min(now.0));
        wakeful.visit((then.0 & 3) as u8, |&entity| {
            let Ok((stream, mut flow, mut playing)) = streams.get_mut(entity) else { return false };
            let frame = frame_of(then);
            let mut player = Player { entity, stream, flow: &mut flow, frame, sender: &mut sender };
            let sent = contain_item(|| player.play_frame(&mut playing));
            if sent.is_none() {
                facts.0.push(MediaFact::Panicked { stream: entity, system: "play_streams".into() });
            }
            counters.packets_out += sent.unwrap_or(0);
            if sent.is_none() || playing.is_done() {
                commands.entity(entity).remove::<Playback>();
                return false;
            }
            true
        });
        packetizer.wake_all(&mut sender.woken, half_a_frame_later(then));
    }
}

struct Player<'a, 'b> {
    entity: Entity,
    stream: &'a Stream,
    flow: &'a mut RtpState,
    frame: u64,
    sender: &'a mut PacketSender<'b>,
}

impl Player<'_, '_> {
    /// Sends one frame of what there is to play; says how many packets went out. Nothing is used up while the stream
    /// may not send.
    fn play_frame(&mut self, playing: &mut Playback) -> u64 {
        if !self.stream.sends() {
            if let Some(digits) = &mut playing.digits {
                digits.interrupt();
            }
            return 0;
        }
        if planted!(PlayerPanics) {
            panic!("planted");
        }
        let timestamp = self.flow.timestamp_of(self.frame);
        match playing.digits.as_mut().and_then(|digits| digits.step(timestamp, self.flow.clock)) {
            Some(event) => self.send_event(&event),
            None => self.send_audio(playing),
        }
    }

    fn send_audio(&mut self, playing: &mut Playback) -> u64 {
        let Some(codec) = self.stream.negotiated.as_ref().map(|agreed| agreed.codec) else { return 0 };
        let mut pcm = [0i16; FRAME_SAMPLES_MAX];
        let pcm = pcm.get_mut(..codec.format().frame_samples()).unwrap_or_default();
        let rate_hz = codec.format().rate_hz;
        if playing.clip_frames > 0 {
            playing.clip_frames -= 1;
            if (playing.clip_frames / BEEP_FRAMES) % 2 == 1 {
                ToneGenerator::new(BEEP_HZ, BEEP_LEVEL).fill(pcm, rate_hz);
            }
        } else if let Some(tone) = playing.tone.as_mut() {
            tone.fill(pcm, rate_hz);
        } else if !playing.is_steady {
            return 0;
        }
        let mut payload = [0u8; FRAME_OCTETS_MAX];
        let octets = payload.get_mut(..codec.octets(20)).unwrap_or_default();
        StreamEncoder::of(codec, &mut self.flow.encoder).encode(pcm, rate_hz, octets);
        let payload = Encoded { octets, is_opaque: codec.g711().is_none() };
        self.sender.send_frame(self.entity, self.stream, self.flow, self.frame, payload)
    }

    fn send_event(&mut self, event: &EventPacket) -> u64 {
        let Some(payload_type) = self.stream.negotiated.as_ref().and_then(|agreed| agreed.dtmf_payload_type) else {
            return 0;
        };
        let body =
            TelephoneEvent { event: event.event, end: event.end, volume: event.volume, duration: event.duration };
        let header = self.flow.next_header(self.frame, payload_type, self.stream.ssrc);
        let header = RtpHeader { marker: event.marker, timestamp: event.timestamp, ..header };
        let payload = Encoded { octets: &body.write(), is_opaque: false };
        self.sender.send(self.stream, self.flow, &header, payload)
    }
}

/// Sends what waited for half a frame, and what waited for more that did not come.
pub(super) fn finish_packets(
    mut packetizer: ResMut<ActiveSet<Packetizer>>,
    mut streams: Query<(&Stream, &mut RtpState)>,
    now: Res<Now>,
    elapsed: Res<Elapsed>,
    mut counters: ResMut<MediaCounters>,
    mut pool: ResMut<PacketPool>,
    mut outputs: ResMut<Outputs>,
) {
    let mut sender = PacketSender::new(&mut pool, &mut outputs);
    for back in (0..u64::from(elapsed.0.min(8))).rev() {
        packetizer.visit(((now.0 - back.min(now.0)) & 3) as u8, |&entity| {
            let Ok((stream, mut flow)) = streams.get_mut(entity) else { return false };
            let (sent, waits) = sender.visit(stream, &mut flow);
            counters.packets_out += sent;
            waits
        });
    }
}
