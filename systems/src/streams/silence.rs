//! A peer of which neither RTP nor RTCP comes any more.

use bevy_ecs::prelude::*;
use ringworld_components::call::Settings;
use ringworld_components::kernel::{Elapsed, Now, TICK, TimerFired, Timers};
use ringworld_components::media::{MediaFact, MediaFacts, RtpSilence, RtpState, Stream};
use std::time::Duration;

/// A step of the world that is longer than this is a stop: the world was not run, and no peer could be heard.
const STOPPED: Duration = Duration::from_millis(1_000);

/// Looks, when a stream's timer fires, how long it has been silent: nothing is done per packet.
pub(super) fn watch_for_silence(
    mut fired: MessageReader<TimerFired<RtpSilence>>,
    streams: Query<(&Stream, &RtpState)>,
    settings: Res<Settings>,
    now: Res<Now>,
    elapsed: Res<Elapsed>,
    mut timers: Timers<RtpSilence>,
    mut facts: ResMut<MediaFacts>,
) {
    let patience = Duration::from_secs(u64::from(settings.timers.rtp_silence_s));
    for fired in fired.read() {
        let Ok((stream, flow)) = streams.get(fired.owner) else { continue };
        if !stream.receives() || patience.is_zero() {
            continue;
        }
        let silent = now.since(flow.heard);
        if TICK * elapsed.0 > STOPPED {
            timers.start(fired.owner, patience);
        } else if silent >= patience {
            facts.0.push(MediaFact::TimedOut { stream: fired.owner });
        } else {
            timers.start(fired.owner, patience - silent);
        }
    }
}
