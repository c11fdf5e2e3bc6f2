//! Digits and clips are sent to the peer.

use super::media;
use super::state::{error, stream_of};
use bevy_ecs::prelude::*;
use ringworld_components::audio::telephone_event::EventSender;
use ringworld_components::call::{CallError, CallErrorCause, Counters};
use ringworld_components::media::{Playback, Stream};
use ringworld_components::wire::telephone_event::event_of;

/// How long the signal of a clip lasts, in frames of 20 ms.
const CLIP_FRAMES: u16 = 40;

/// Queues all of the digits or, if they can't all be sent, none.
pub(super) fn digits(world: &mut World, session: Entity, digits: &str) -> Result<(), CallError> {
    let stream = stream_of(world, session);
    let takes_digits = |stream: &Stream| stream.negotiated.as_ref().is_some_and(|it| it.dtmf_payload_type.is_some());
    let Some(stream) = stream.filter(|&stream| world.get::<Stream>(stream).is_some_and(takes_digits)) else {
        return Err(error(world, session, CallErrorCause::NoDigits));
    };
    if let Some(digit) = digits.chars().find(|&digit| event_of(digit).is_none()) {
        let what = format!("{digit:?} is no digit; digits are 0-9 * # A-D");
        return Err(error(world, session, CallErrorCause::Invalid(what)));
    }
    let mut playing = world.get::<Playback>(stream).cloned().unwrap_or_default();
    let sender = playing.digits.get_or_insert_with(|| Box::new(EventSender::default()));
    if !digits.chars().filter_map(event_of).all(|event| sender.queue(event)) {
        let limit = "digits to send";
        world.resource_mut::<Counters>().hit_limit(limit);
        return Err(error(world, session, CallErrorCause::Limit(limit.to_owned())));
    }
    if !digits.is_empty() {
        media::play(world, stream, playing);
    }
    Ok(())
}

/// Begins a clip.
pub(super) fn clip(world: &mut World, session: Entity) {
    if let Some(stream) = stream_of(world, session) {
        let playback = world.get::<Playback>(stream).cloned().unwrap_or_default();
        media::play(world, stream, Playback { clip_frames: CLIP_FRAMES, ..playback });
    }
}
