//! The stream of a session: made, connected, and set up by what is agreed.

use super::gate::charge_of_stream;
use super::state::{raise, stream_of};
use bevy_ecs::prelude::*;
use ringworld_components::audio::ToneGenerator;
use ringworld_components::call::{
    CallErrorCause, Charge, Counters, MediaEstablished, Service, Settings, SipIdentity, SourceChanged, StreamOf,
};
use ringworld_components::kernel::{Now, Purpose, Secret, StableIds, TimerWheel, cancel_timer, start_timer};
use ringworld_components::media::{
    ActiveSet, MediaCounters, Playback, PortPool, ReceivePath, Room, RoomFull, RtpPause, RtpSilence, RtpState, Sink,
    Stream, StreamTable, frame_of, tick_of,
};
use ringworld_components::wire::sdp::{Direction, Negotiated};
use std::time::Duration;

/// The level of generated tones, of 32,767.
const TONE_LEVEL: i16 = 8_000;

/// The session's stream; a new one takes a port pair.
pub(super) fn prepare_stream(world: &mut World, session: Entity) -> Result<Entity, CallErrorCause> {
    if let Some(stream) = stream_of(world, session) {
        return Ok(stream);
    }
    let charge = charge_of_stream(world).map_err(|refusal| CallErrorCause::Limit(refusal.limit().to_owned()))?;
    let Some(port) = world.resource_mut::<PortPool>().take() else {
        world.resource_mut::<Counters>().hit_limit("ports");
        return Err(CallErrorCause::PortsExhausted);
    };
    let now = *world.resource::<Now>();
    let id = world.resource_mut::<StableIds>().mint();
    let random = |purpose| world.resource::<Secret>().bits(id, now, purpose, 0);
    let ssrc = random(Purpose::Ssrc) as u32;
    let flow = RtpState::starting_at(random(Purpose::RtpSequence) as u16, random(Purpose::RtpTimestamp) as u32, now);
    let phase = world.resource::<StreamTable>().calmest_phase();
    let stream = Stream { port, negotiated: None, ssrc, phase, sink: Sink::Player };
    let stream = world.spawn((id, stream, flow, ReceivePath::default(), charge, StreamOf(session))).id();
    if let Err(cause) = connect(world, session, stream) {
        world.despawn(stream);
        return Err(cause);
    }
    Ok(stream)
}

/// Connects a new stream to the session's service.
fn connect(world: &mut World, session: Entity, stream: Entity) -> Result<(), CallErrorCause> {
    let Some(service) = world.get::<Service>(session).cloned() else { return Ok(()) };
    let sink = match service {
        Service::Echo | Service::RingThenEcho { .. } => Sink::Echo,
        Service::Tone(hz) => {
            let tone = Some(ToneGenerator::new(u32::from(hz), TONE_LEVEL));
            play(world, stream, Playback { tone, is_steady: true, ..Playback::default() });
            Sink::Player
        }
        Service::Silence => {
            play(world, stream, Playback { is_steady: true, ..Playback::default() });
            Sink::Player
        }
        Service::Conference(name) => {
            let limits = world.resource::<Settings>().limits.clone();
            match Room::enter(world, &name, stream, &limits) {
                Ok(room) => Sink::Room(room),
                Err(full) => {
                    let (limit, cause) = match full {
                        RoomFull::Participants => ("participants", CallErrorCause::RoomLimit),
                        RoomFull::Rooms => ("rooms", CallErrorCause::RoomsExhausted),
                    };
                    world.resource_mut::<Counters>().hit_limit(limit);
                    return Err(cause);
                }
            }
        }
        Service::Reject(_) | Service::ExternalMedia => Sink::Player,
    };
    if let Some(mut stream) = world.get_mut::<Stream>(stream) {
        stream.sink = sink;
    }
    Ok(())
}

/// Gives a stream something to play, and has it visited from now on.
pub(super) fn play(world: &mut World, stream: Entity, playing: Playback) {
    let Ok(mut entity) = world.get_entity_mut(stream) else { return };
    let was_awake = entity.contains::<Playback>();
    entity.insert(playing);
    let phase = entity.get::<Stream>().map_or(0, |stream| stream.phase);
    if !was_awake {
        world.resource_mut::<ActiveSet<Playback>>().wake(stream, phase);
    }
}

/// Gives a stream back for which nothing was agreed.
pub(super) fn discard_unused(world: &mut World, stream: Entity) {
    if world.get::<Stream>(stream).is_some_and(|stream| stream.negotiated.is_none()) {
        world.despawn(stream);
    }
}

/// What was agreed becomes the stream's; nothing, if the peer has turned it off.
pub(super) fn set_up(world: &mut World, session: Entity, stream: Entity, agreed: Option<Negotiated>) {
    let now = *world.resource::<Now>();
    let settings = world.resource::<Settings>();
    let ptime_ms = settings.media.ptime_ms;
    let amounts = agreed.as_ref().map(|agreed| settings.resources.of_stream(agreed.codec, ptime_ms));
    let signalling = world.get::<SipIdentity>(session).map(|identity| identity.target.remote.ip());
    let Ok(mut entity) = world.get_entity_mut(stream) else { return };
    let before = entity.get::<Stream>().and_then(|stream| stream.negotiated.clone());
    let is_first = before.is_none();
    let codec = agreed.as_ref().map(|agreed| agreed.codec);
    let coded_anew = codec.filter(|codec| before.is_none_or(|before| before.codec != *codec));
    let mut moved_to = None;
    if let Some(mut flow) = entity.get_mut::<RtpState>() {
        signalling.into_iter().for_each(|host| flow.latch.signalled_by(host));
        moved_to = agreed.as_ref().map(|agreed| agreed.remote).filter(|remote| flow.latch.describe(*remote, now));
        if let Some(codec) = coded_anew {
            flow.set_clock(codec.clock(), frame_of(now));
            if let Some(packetizer) = &mut flow.packetizer {
                packetizer.clear();
            }
        }
    }
    if let (Some(codec), Some(mut hearing)) = (coded_anew, entity.get_mut::<ReceivePath>()) {
        hearing.set_codec(codec);
    }
    if let Some(amounts) = amounts
        && entity.get::<Charge>().is_some_and(|charge| charge.0 != amounts)
    {
        entity.insert(Charge(amounts));
    }
    // A peer that holds us need not send anything, though it may.
    let expects = agreed.as_ref().is_some_and(|agreed| agreed.direction == Direction::SendRecv);
    let begins = agreed.as_ref().filter(|_| is_first).map(|agreed| (agreed.codec, agreed.remote));
    let port = entity.get_mut::<Stream>().map(|mut stream| {
        stream.negotiated = agreed;
        stream.port
    });
    if let (Some((codec, remote)), Some(port)) = (begins, port) {
        raise(world, session, |id| MediaEstablished::of(id, session, codec, remote, port));
    }
    if let Some(remote) = moved_to {
        world.resource_mut::<MediaCounters>().sources_described += 1;
        raise(world, session, |id| SourceChanged::of(id, session, remote, false));
    }
    let silence_s = world.resource::<Settings>().timers.rtp_silence_s;
    if expects && silence_s > 0 {
        start_timer::<RtpSilence>(world, stream, Duration::from_secs(u64::from(silence_s)));
    } else {
        cancel_timer::<RtpSilence>(world, stream);
    }
    watch_pauses(world, stream);
}

/// A stream that may send does not pause for too long, whatever was sent until now.
fn watch_pauses(world: &mut World, stream: Entity) {
    let pause_s = world.resource::<Settings>().timers.rtp_pause_s;
    let sends = world.get::<Stream>(stream).is_some_and(Stream::sends);
    match world.get::<RtpState>(stream).map(RtpState::silent_since_frame) {
        Some(since) if sends && pause_s > 0 => {
            let due = tick_of(since).after(Duration::from_secs(u64::from(pause_s)));
            world.resource_mut::<TimerWheel<RtpPause>>().start(stream, due.0);
        }
        _ => cancel_timer::<RtpPause>(world, stream),
    }
}
