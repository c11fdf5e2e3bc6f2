//! What streams play: tones, silence, clips and digits, a packet every 20 ms.

use bevy_ecs::prelude::*;
use ringworld_components::audio::telephone_event::EventPacket;
use ringworld_components::audio::{FRAME_SAMPLES, ToneGenerator};
use ringworld_components::edge::{Outputs, PacketPool, RtpOut};
use ringworld_components::kernel::{Elapsed, Now};
use ringworld_components::media::{MediaCounters, MediaFlow, Playing, Stream, Wakeful, frame_of, law_of};
use ringworld_components::wire::rtp::RtpHeader;
use ringworld_components::wire::telephone_event::TelephoneEvent;

/// The signal of a clip: beeps of a fifth of a second, one every two fifths.
const BEEP_HZ: u32 = 880;
const BEEP_FRAMES: u16 = 10;
const BEEP_LEVEL: i16 = 8_000;

/// Skipped ticks that are made up for.
const MADE_UP_TICKS_MAX: u32 = 8;

/// Visits the streams whose frame falls into this tick, and lets those go that have nothing left to play.
#[expect(clippy::too_many_arguments, reason = "a system's parameters are its declared access")]
pub(super) fn play_streams(
    mut wakeful: ResMut<Wakeful<Playing>>,
    mut streams: Query<(&Stream, &mut MediaFlow, &mut Playing)>,
    now: Res<Now>,
    elapsed: Res<Elapsed>,
    mut counters: ResMut<MediaCounters>,
    mut pool: ResMut<PacketPool>,
    mut outputs: ResMut<Outputs>,
    mut commands: Commands,
) {
    // A few skipped ticks are made up for; a long stop is not, nobody wants to hear the past.
    let made_up = elapsed.0.min(MADE_UP_TICKS_MAX);
    if elapsed.0 > made_up {
        // A digit is over long before the last of many.
        let ticks = u64::from((elapsed.0 - made_up).min(100));
        let end = (now.0 + 1).saturating_sub(u64::from(made_up));
        let first = end.saturating_sub(ticks);
        for phase in 0..4u8 {
            let frames = (first..end).filter(|tick| tick & 3 == u64::from(phase)).count() as u64;
            wakeful.visit(phase, |&entity| {
                if let Ok((_, _, mut playing)) = streams.get_mut(entity) {
                    pass(&mut playing, frames);
                }
                true
            });
        }
    }
    for back in (0..u64::from(made_up)).rev() {
        let then = Now(now.0 - back.min(now.0));
        wakeful.visit((then.0 & 3) as u8, |&entity| {
            let Ok((stream, mut flow, mut playing)) = streams.get_mut(entity) else { return false };
            let frame = frame_of(then);
            let mut player = Player { stream, flow: &mut flow, frame, pool: &mut pool, outputs: &mut outputs };
            counters.packets_out += player.play_frame(&mut playing);
            if playing.is_done() {
                commands.entity(entity).remove::<Playing>();
                return false;
            }
            true
        });
    }
}

/// Frames pass in which a stream could not send.
fn pass(playing: &mut Playing, frames: u64) {
    if let Some(digits) = playing.digits.as_mut() {
        digits.pass(frames);
    }
}

struct Player<'a> {
    stream: &'a Stream,
    flow: &'a mut MediaFlow,
    frame: u64,
    pool: &'a mut PacketPool,
    outputs: &'a mut Outputs,
}

impl Player<'_> {
    /// Sends one frame of what there is to play; says how many packets went out. Nothing is used up while the stream may
    /// not send, but a digit that is under way goes on, so that what follows is not taken for another one.
    fn play_frame(&mut self, playing: &mut Playing) -> u64 {
        if !self.stream.sends() {
            pass(playing, 1);
            return 0;
        }
        match playing.digits.as_mut().and_then(|digits| digits.step()) {
            Some(event) => self.send_event(&event),
            None => self.send_audio(playing),
        }
    }

    fn send_audio(&mut self, playing: &mut Playing) -> u64 {
        let mut pcm = [0i16; FRAME_SAMPLES];
        if playing.clip_frames > 0 {
            playing.clip_frames -= 1;
            if (playing.clip_frames / BEEP_FRAMES) % 2 == 1 {
                ToneGenerator::new(BEEP_HZ, BEEP_LEVEL).fill(&mut pcm);
            }
        } else if let Some(tone) = playing.tone.as_mut() {
            tone.fill(&mut pcm);
        } else if !playing.is_steady {
            return 0;
        }
        let Some(agreed) = &self.stream.negotiated else { return 0 };
        let mut payload = [0u8; FRAME_SAMPLES];
        law_of(agreed.codec).encode(&pcm, &mut payload);
        let header = self.flow.next_header(self.frame, agreed.payload_type, self.stream.ssrc);
        self.send(&header, &payload)
    }

    fn send_event(&mut self, event: &EventPacket) -> u64 {
        let Some(payload_type) = self.stream.negotiated.as_ref().and_then(|agreed| agreed.dtmf_payload_type) else {
            return 0;
        };
        let body =
            TelephoneEvent { event: event.event, end: event.end, volume: event.volume, duration: event.duration };
        let header = self.flow.next_header(self.frame, payload_type, self.stream.ssrc);
        let timestamp = header.timestamp.wrapping_sub(event.timestamp_offset);
        self.send(&RtpHeader { marker: event.marker, timestamp, ..header }, &body.write())
    }

    fn send(&mut self, header: &RtpHeader, payload: &[u8]) -> u64 {
        let Some(peer) = self.flow.peer(self.stream) else { return 0 };
        let mut packet = self.pool.take();
        if !packet.write_rtp(header, payload) {
            self.pool.give(packet);
            return 0;
        }
        (packet.port, packet.is_rtcp, packet.peer) = (self.stream.port, false, peer);
        self.outputs.rtp.push(RtpOut(packet));
        1
    }
}
