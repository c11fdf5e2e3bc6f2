//! The requests of behaviours are carried out.

use super::state::{allow, error, stream_of};
use super::{answer, ending, hold, media};
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use ringworld_components::audio::telephone_event::EventSender;
use ringworld_components::call::{
    Announce, CallAction, CallError, CallErrorCause, CallRequest, Counters, EndCause, InviteAim, SessionOperation,
    contain,
};
use ringworld_components::kernel::StableId;
use ringworld_components::media::{Playback, Stream};
use ringworld_components::wire::telephone_event::event_of;

/// How long the signal of an [`Announce`] lasts, in frames of 20 ms.
const CLIP_FRAMES: u16 = 40;

/// Sorted by stable id and content: the order in which plugins happen to run does not matter.
pub(super) fn carry_out_requests(world: &mut World) {
    let mut requests: Vec<CallRequest> = world.resource_mut::<Messages<CallRequest>>().drain().collect();
    requests.sort_by_cached_key(|request| (world.get::<StableId>(request.session).copied(), request.action.clone()));
    for CallRequest { session, action } in requests {
        contain(world, "carry_out_requests", Some(session), |world| {
            let done = carry_out(world, session, &action);
            count_refused(world, done);
        });
    }
    let mut announcements: Vec<Announce> = world.resource_mut::<Messages<Announce>>().drain().collect();
    announcements.sort_by_cached_key(|announce| (world.get::<StableId>(announce.session).copied(), announce.clip));
    for Announce { session, .. } in announcements {
        contain(world, "carry_out_requests", Some(session), |world| {
            let done = begin_clip(world, session);
            count_refused(world, done);
        });
    }
}

fn count_refused(world: &mut World, done: Result<(), CallError>) {
    if let Err(error) = done {
        tracing::debug!(%error, "a request was refused");
        if is_illegal(&error.cause) {
            world.resource_mut::<Counters>().refused_operations += 1;
        }
    }
}

/// Whether the request was wrong. Else it was right, and the call could not be taken: its caller has been told why.
fn is_illegal(cause: &CallErrorCause) -> bool {
    use CallErrorCause::{Negotiation, PortsExhausted, RoomLimit, RoomsExhausted};
    !matches!(cause, Negotiation(_) | PortsExhausted | RoomLimit | RoomsExhausted)
}

/// Carries one request out, or refuses it and changes nothing.
pub(super) fn carry_out(world: &mut World, session: Entity, action: &CallAction) -> Result<(), CallError> {
    match action {
        CallAction::Ring => answer::ring(world, session),
        CallAction::Answer(service) => answer::answer(world, session, service),
        CallAction::Reject(status) => answer::reject(world, session, *status),
        CallAction::Hold => hold::ask(world, session, InviteAim::Hold),
        CallAction::Resume => hold::ask(world, session, InviteAim::Resume),
        CallAction::SendDtmf(digits) => send_dtmf(world, session, digits),
        CallAction::HangUp => {
            allow(world, session, SessionOperation::HangUp)?;
            ending::terminate(world, session, EndCause::HungUp, 480);
            Ok(())
        }
    }
}

/// Queues all of the digits or, if they can't all be sent, none.
fn send_dtmf(world: &mut World, session: Entity, digits: &str) -> Result<(), CallError> {
    allow(world, session, SessionOperation::SendDtmf)?;
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

fn begin_clip(world: &mut World, session: Entity) -> Result<(), CallError> {
    allow(world, session, SessionOperation::Announce)?;
    if let Some(stream) = stream_of(world, session) {
        let playing = world.get::<Playback>(stream).cloned().unwrap_or_default();
        media::play(world, stream, Playback { clip_frames: CLIP_FRAMES, ..playing });
    }
    Ok(())
}
