//! The requests of behaviours are carried out.

use super::state::{allow, leg_of, stream_of};
use super::{answer, ending, hold, media};
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use ringworld_components::audio::telephone_event::EventSender;
use ringworld_components::call::{
    Announce, CallAction, CallError, CallRequest, Counters, EndCause, InviteAim, SessionOperation, contain,
};
use ringworld_components::kernel::StableId;
use ringworld_components::media::Playing;

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
        world.resource_mut::<Counters>().refused_operations += 1;
    }
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

fn send_dtmf(world: &mut World, session: Entity, digits: &str) -> Result<(), CallError> {
    allow(world, session, SessionOperation::SendDtmf)?;
    let Some(stream) = leg_of(world, session).and_then(|leg| stream_of(world, leg)) else { return Ok(()) };
    let mut playing = world.get::<Playing>(stream).cloned().unwrap_or_default();
    let sender = playing.digits.get_or_insert_with(|| Box::new(EventSender::default()));
    for digit in digits.chars() {
        let queued =
            ringworld_components::wire::telephone_event::event_of(digit).is_some_and(|event| sender.queue(event));
        if !queued {
            world.resource_mut::<Counters>().hit_limit("digits to send");
            break;
        }
    }
    media::play(world, stream, playing);
    Ok(())
}

fn begin_clip(world: &mut World, session: Entity) -> Result<(), CallError> {
    allow(world, session, SessionOperation::Announce)?;
    if let Some(stream) = leg_of(world, session).and_then(|leg| stream_of(world, leg)) {
        let playing = world.get::<Playing>(stream).cloned().unwrap_or_default();
        media::play(world, stream, Playing { clip_frames: CLIP_FRAMES, ..playing });
    }
    Ok(())
}
