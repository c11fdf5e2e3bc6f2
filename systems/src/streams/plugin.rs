//! Assembles streams.

use super::{pause, play, receive, silence};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::Queue;
use ringworld_components::edge::PacketHandle;
use ringworld_components::kernel::{QuietApp, RecordApp, Step, Tick, TimerApp};
use ringworld_components::media::{
    ActiveSet, DigitFlush, MediaCounters, MediaFacts, Packetizer, Playback, PortPool, ReceivePath, RecentSources,
    RtpPause, RtpSilence, RtpState, Stream, StreamTable,
};

/// Streams, their ports and their packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamsPlugin;

impl Plugin for StreamsPlugin {
    fn build(&self, app: &mut App) {
        app.record::<Stream>("media.stream")
            .record_media::<RtpState>("media.flow")
            .record_media::<ReceivePath>("media.hearing")
            .record_media::<Playback>("media.playing")
            .record_resource(PortPool::default(), "media.ports")
            .record_resource(MediaFacts::default(), "media.facts")
            .record_media_resource(ActiveSet::<Playback>::default(), "media.players")
            .record_media_resource(ActiveSet::<Packetizer>::default(), "media.packing")
            .record_media_resource(MediaCounters::default(), "media.counters")
            .record_media_resource(RecentSources::default(), "media.recent_sources")
            .unrecorded_resource(StreamTable::default())
            .scratch::<Queue<PacketHandle>>(Queue::is_empty);
        app.awake_while(|world| {
            !world.resource::<ActiveSet<Playback>>().is_empty()
                || !world.resource::<ActiveSet<Packetizer>>().is_empty()
                || !world.resource::<MediaFacts>().0.is_empty()
        });
        app.add_timer_of_media::<RtpSilence>("media.rtp_silence")
            .add_timer_of_media::<RtpPause>("media.rtp_pause")
            .add_timer_of_media::<DigitFlush>("media.digit_flush");
        app.add_systems(
            Tick,
            (
                receive::receive_packets,
                receive::flush_digits,
                silence::watch_for_silence,
                play::finish_packets,
                play::play_streams,
                pause::fill_pauses,
            )
                .chain()
                .in_set(Step::Receive),
        );
    }
}
