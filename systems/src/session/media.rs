//! Offer and answer (RFC 3264): what a session's stream is set up by.

use super::state::{description, description_mut, raise, stream_of};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::audio::ToneGenerator;
use ringworld_components::call::{
    CallErrorCause, Counters, MediaEstablished, Service, Settings, SipIdentity, StreamOf,
};
use ringworld_components::kernel::{Now, Purpose, Secret, StableId, StableIds, TimerWheel};
use ringworld_components::media::{
    ActiveSet, Playback, PortPool, ReceivePath, Room, RoomFull, RtpSilence, RtpState, Sink, Stream, StreamTable,
};
use ringworld_components::wire::sdp::{self, Direction, LocalMedia, Negotiated, SessionDescription};
use std::time::Duration;

/// The level of generated tones, of 32,767.
const TONE_LEVEL: i16 = 8_000;

/// Answers the peer's offer and sets the session's stream up by it. On an error nothing has changed.
pub(super) fn answer_offer(world: &mut World, session: Entity, offer: &[u8]) -> Result<Bytes, CallErrorCause> {
    let offer = SessionDescription::parse(offer).map_err(CallErrorCause::Negotiation)?;
    let stream = prepare_stream(world, session)?;
    let result = with_local_media(world, session, stream, |local| sdp::answer(&offer, local));
    match result {
        Some(Ok((body, negotiated))) => {
            agree(world, session, stream, negotiated);
            Ok(body)
        }
        Some(Err(error)) => {
            discard_unused(world, stream);
            Err(CallErrorCause::Negotiation(error))
        }
        None => Err(CallErrorCause::PortsExhausted),
    }
}

/// Our offer for the session, with a stream set up to receive what it will be answered with.
pub(super) fn make_offer(world: &mut World, session: Entity) -> Result<Bytes, CallErrorCause> {
    let stream = prepare_stream(world, session)?;
    with_local_media(world, session, stream, sdp::offer).ok_or(CallErrorCause::PortsExhausted)
}

/// Takes the answer to our offer.
pub(super) fn take_answer(world: &mut World, session: Entity, answer: &[u8]) -> Result<(), CallErrorCause> {
    let answer = SessionDescription::parse(answer).map_err(CallErrorCause::Negotiation)?;
    let stream = stream_of(world, session).ok_or(CallErrorCause::PortsExhausted)?;
    match with_local_media(world, session, stream, |local| sdp::accept_answer(local, &answer)) {
        Some(Ok(negotiated)) => {
            agree(world, session, stream, negotiated);
            Ok(())
        }
        Some(Err(error)) => Err(CallErrorCause::Negotiation(error)),
        None => Err(CallErrorCause::PortsExhausted),
    }
}

/// Calls `with` with our side of the session's session description, and counts its version up.
fn with_local_media<T>(
    world: &mut World,
    session: Entity,
    stream: Entity,
    with: impl FnOnce(&LocalMedia<'_>) -> T,
) -> Option<T> {
    let port = world.get::<Stream>(stream)?.port;
    let media = world.resource::<Settings>().media.clone();
    let address = world.get::<SipIdentity>(session)?.local_address.ip();
    let mut state = description_mut(world, session)?;
    let version = state.sdp_version;
    state.sdp_version += 1;
    let local = LocalMedia {
        address,
        port,
        codecs: &media.codecs,
        direction: if state.we_hold { Direction::SendOnly } else { Direction::SendRecv },
        ptime_ms: media.ptime_ms,
        session_id: state.sdp_session,
        version,
        telephone_event: true,
    };
    Some(with(&local))
}

/// The session's stream; a new one takes a port pair.
fn prepare_stream(world: &mut World, session: Entity) -> Result<Entity, CallErrorCause> {
    if let Some(stream) = stream_of(world, session) {
        return Ok(stream);
    }
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
    let stream = world.spawn((id, stream, flow, ReceivePath::default(), StreamOf(session))).id();
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

fn discard_unused(world: &mut World, stream: Entity) {
    if world.get::<Stream>(stream).is_some_and(|stream| stream.negotiated.is_none()) {
        world.despawn(stream);
    }
}

/// What was agreed becomes the stream's.
fn agree(world: &mut World, session: Entity, stream: Entity, negotiated: Negotiated) {
    let now = *world.resource::<Now>();
    // The peer holds us if it wants to send only, or nothing at all, and that was not our own wish.
    let peer_holds = match negotiated.direction {
        Direction::RecvOnly => true,
        Direction::Inactive => description(world, session).is_some_and(|it| !it.we_hold),
        Direction::SendRecv | Direction::SendOnly => false,
    };
    if let Some(mut description) = description_mut(world, session) {
        description.peer_holds = peer_holds;
    }
    let Ok(mut entity) = world.get_entity_mut(stream) else { return };
    let before = entity.get::<Stream>().and_then(|stream| stream.negotiated.clone());
    let is_first = before.is_none();
    // Who spoke before there was an answer may have been anybody.
    let has_moved = before.as_ref().is_none_or(|before| before.remote != negotiated.remote);
    let is_coded_anew = before.is_some_and(|before| before.codec != negotiated.codec);
    if let Some(mut flow) = entity.get_mut::<RtpState>() {
        if has_moved {
            flow.latch.reset(now);
        }
        if let Some(packetizer) = flow.packetizer.as_mut().filter(|_| is_coded_anew) {
            packetizer.clear();
        }
    }
    if let Some(mut hearing) = entity.get_mut::<ReceivePath>().filter(|_| is_coded_anew) {
        hearing.forget_audio();
    }
    // Who holds us need not send anything, though he may.
    let expects = negotiated.direction == Direction::SendRecv;
    let (codec, remote) = (negotiated.codec, negotiated.remote);
    let port = entity.get_mut::<Stream>().map(|mut stream| {
        stream.negotiated = Some(negotiated);
        stream.port
    });
    if let (true, Some(port)) = (is_first, port) {
        raise(world, session, |id| MediaEstablished::of(id, session, codec, remote, port));
    }
    let silence_s = world.resource::<Settings>().timers.rtp_silence_s;
    let mut wheel = world.resource_mut::<TimerWheel<RtpSilence>>();
    if expects && silence_s > 0 {
        wheel.start(stream, now.after(Duration::from_secs(u64::from(silence_s))).0);
    } else {
        wheel.cancel(stream);
    }
}

/// A random number for a session's description.
pub(super) fn sdp_session(world: &World, id: StableId) -> u64 {
    let now = *world.resource::<Now>();
    (world.resource::<Secret>().bits(id, now, Purpose::SdpSession, 0) as u64) >> 16
}
