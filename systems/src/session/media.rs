//! Offer and answer (RFC 3264): what a leg's stream is set up by.

use super::state::{raise, session_of, stream_of};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::audio::ToneGenerator;
use ringworld_components::call::{CallErrorCause, Counters, Leg, MediaEstablished, Service, Settings, StreamOf};
use ringworld_components::kernel::{Now, Purpose, Secret, StableId, StableIds, TimerWheel};
use ringworld_components::media::{
    ActiveSet, Playback, PortPool, ReceivePath, Room, RoomFull, RtpSilence, RtpState, Sink, Stream, StreamTable,
};
use ringworld_components::wire::sdp::{self, Direction, LocalMedia, MediaLine, Origin, SessionDescription};
use std::time::Duration;

/// The level of generated tones, of 32,767.
const TONE_LEVEL: i16 = 8_000;

/// Answers the peer's offer and sets the leg's stream up by it. On an error nothing has changed.
pub(super) fn answer_offer(world: &mut World, leg: Entity, offer: &[u8]) -> Result<Bytes, CallErrorCause> {
    let offer = SessionDescription::parse(offer).map_err(CallErrorCause::Negotiation)?;
    let stream = prepare_stream(world, leg)?;
    let accepted = with_local_media(world, leg, stream, |local, _| sdp::accept_offer(&offer, &[], local));
    match accepted {
        Some(Ok(lines)) => {
            let body =
                with_local_media(world, leg, stream, |local, origin| sdp::write_answer(&offer, &lines, local, origin));
            count_version(world, leg);
            agree(world, leg, stream, lines);
            body.ok_or(CallErrorCause::PortsExhausted)
        }
        Some(Err(error)) => {
            discard_unused(world, stream);
            Err(CallErrorCause::Negotiation(error))
        }
        None => Err(CallErrorCause::PortsExhausted),
    }
}

/// Our offer for the leg, with a stream set up to receive what it will be answered with.
pub(super) fn make_offer(world: &mut World, leg: Entity) -> Result<Bytes, CallErrorCause> {
    let stream = prepare_stream(world, leg)?;
    let body = with_local_media(world, leg, stream, |local, origin| sdp::write_offer(&[], local, origin));
    count_version(world, leg);
    body.ok_or(CallErrorCause::PortsExhausted)
}

/// Takes the answer to our offer.
pub(super) fn take_answer(world: &mut World, leg: Entity, answer: &[u8]) -> Result<(), CallErrorCause> {
    let answer = SessionDescription::parse(answer).map_err(CallErrorCause::Negotiation)?;
    let stream = stream_of(world, leg).ok_or(CallErrorCause::PortsExhausted)?;
    let accepted = with_local_media(world, leg, stream, |local, origin| {
        sdp::accept_answer(&SessionDescription::parse(&sdp::write_offer(&[], local, origin))?, &answer)
    });
    match accepted {
        Some(Ok(lines)) => {
            agree(world, leg, stream, lines);
            Ok(())
        }
        Some(Err(error)) => Err(CallErrorCause::Negotiation(error)),
        None => Err(CallErrorCause::PortsExhausted),
    }
}

/// Calls `with` with our side of the leg's session description.
fn with_local_media<T>(
    world: &World,
    leg: Entity,
    stream: Entity,
    with: impl FnOnce(&LocalMedia<'_>, Origin) -> T,
) -> Option<T> {
    let media = &world.resource::<Settings>().media;
    let state = world.get::<Leg>(leg)?;
    let local = LocalMedia {
        address: state.local_address.ip(),
        port: world.get::<Stream>(stream)?.port,
        codecs: &media.codecs,
        direction: if state.we_hold { Direction::SendOnly } else { Direction::SendRecv },
        ptime_ms: media.ptime_ms,
        telephone_event: true,
    };
    Some(with(&local, Origin { session_id: state.sdp_session, version: state.sdp_version }))
}

/// A description was sent.
fn count_version(world: &mut World, leg: Entity) {
    if let Some(mut state) = world.get_mut::<Leg>(leg) {
        state.sdp_version += 1;
    }
}

/// The leg's stream; a new one takes a port pair.
fn prepare_stream(world: &mut World, leg: Entity) -> Result<Entity, CallErrorCause> {
    if let Some(stream) = stream_of(world, leg) {
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
    let stream = world.spawn((id, stream, flow, ReceivePath::default(), StreamOf(leg))).id();
    if let Err(cause) = connect(world, leg, stream) {
        world.despawn(stream);
        return Err(cause);
    }
    Ok(stream)
}

/// Connects a new stream to the leg's service.
fn connect(world: &mut World, leg: Entity, stream: Entity) -> Result<(), CallErrorCause> {
    let Some(service) = world.get::<Leg>(leg).map(|leg| leg.service.clone()) else { return Ok(()) };
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
fn agree(world: &mut World, leg: Entity, stream: Entity, lines: Vec<MediaLine>) {
    let Some(negotiated) = lines.into_iter().find_map(|line| line.taken) else { return };
    let now = *world.resource::<Now>();
    // The peer holds us if it wants to send only, or nothing at all, and that was not our own wish.
    let peer_holds = match negotiated.direction {
        Direction::RecvOnly => true,
        Direction::Inactive => world.get::<Leg>(leg).is_some_and(|leg| !leg.we_hold),
        Direction::SendRecv | Direction::SendOnly => false,
    };
    if let Some(mut leg) = world.get_mut::<Leg>(leg) {
        leg.peer_holds = peer_holds;
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
    if let (true, Some(port), Some(session)) = (is_first, port, session_of(world, leg)) {
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

/// A random number for a leg's session description.
pub(super) fn sdp_session(world: &World, id: StableId) -> u64 {
    let now = *world.resource::<Now>();
    (world.resource::<Secret>().bits(id, now, Purpose::SdpSession, 0) as u64) >> 16
}
