//! What is sent where there is nothing to hear: a frame of silence now and then, so that phones, NATs and trunks do not
//! give the call up (RFC 6263).

use bevy_ecs::prelude::*;
use ringworld_components::audio::{FRAME_OCTETS_MAX, FRAME_SAMPLES_MAX, StreamEncoder};
use ringworld_components::call::{Settings, contain_item};
use ringworld_components::edge::{Outputs, PacketPool};
use ringworld_components::kernel::{Now, TimerFired, Timers};
use ringworld_components::media::{
    ActiveSet, Encoded, MediaCounters, MediaFact, MediaFacts, PacketSender, Packetizer, RtpPause, RtpState, Stream,
    frame_of, half_a_frame_later, tick_of,
};
use ringworld_components::planted;

/// Frames of 20 ms in a second.
const FRAMES_PER_S: u64 = 50;

/// The timers fire at multiples of so many frames: a tick costs more than a packet, so that a world of many quiet
/// streams should run in few ticks.
const FRAMES_TOGETHER: u64 = 5;

/// Looks, when a stream's timer fires, how long nothing was sent: nothing is done per packet, and no stream is visited
/// in between.
#[expect(clippy::too_many_arguments, reason = "a system's parameters are its declared access")]
pub(super) fn fill_pauses(
    mut fired: MessageReader<TimerFired<RtpPause>>,
    mut streams: Query<(&Stream, &mut RtpState)>,
    settings: Res<Settings>,
    now: Res<Now>,
    mut timers: Timers<RtpPause>,
    mut counters: ResMut<MediaCounters>,
    mut facts: ResMut<MediaFacts>,
    mut pool: ResMut<PacketPool>,
    mut outputs: ResMut<Outputs>,
    mut packetizer: ResMut<ActiveSet<Packetizer>>,
) {
    let pause_frames = u64::from(settings.timers.rtp_pause_s) * FRAMES_PER_S;
    let present = frame_of(*now);
    let mut sender = PacketSender::new(&mut pool, &mut outputs);
    for fired in fired.read() {
        let Ok((stream, mut flow)) = streams.get_mut(fired.owner) else { continue };
        if !stream.sends() || pause_frames == 0 {
            continue;
        }
        if flow.silent_since_frame() + pause_frames <= present {
            let sent = contain_item(|| send_silence(&mut sender, fired.owner, stream, &mut flow, present));
            counters.packets_out += sent.unwrap_or(0);
            counters.pauses_filled += 1;
            if sent.is_none() {
                facts.0.push(MediaFact::Panicked { stream: fired.owner, system: "fill_pauses".into() });
                continue;
            }
        }
        if planted!(PauseFilledOnce) {
            continue;
        }
        let due = (flow.silent_since_frame() + pause_frames).next_multiple_of(FRAMES_TOGETHER);
        timers.start(fired.owner, tick_of(due).since(*now));
    }
    packetizer.wake_all(&mut sender.woken, half_a_frame_later(*now));
}

/// Sends a frame of silence in the place of the last one: whatever else is sent in the present one follows it.
fn send_silence(
    sender: &mut PacketSender<'_>,
    entity: Entity,
    stream: &Stream,
    flow: &mut RtpState,
    present: u64,
) -> u64 {
    let Some(agreed) = &stream.negotiated else { return 0 };
    let (codec, mut payload) = (agreed.codec, [0; FRAME_OCTETS_MAX]);
    let pcm = [0; FRAME_SAMPLES_MAX];
    let pcm = pcm.get(..codec.format().frame_samples()).unwrap_or_default();
    let octets = payload.get_mut(..codec.octets(20)).unwrap_or_default();
    StreamEncoder::of(codec, &mut flow.encoder).encode(pcm, codec.format().rate_hz, octets);
    let payload = Encoded { octets, is_opaque: codec.g711().is_none() };
    sender.send_frame(entity, stream, flow, present.saturating_sub(1), payload)
}
