//! The one way in which a session changes its state.

use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallError, CallErrorCause, DialogStanding, ErrorContext, Fact, FactQueue, IllegalTransition, InviteUsageOf,
    MediaStanding, Queue, SelectedUsage, Session, SessionState, SipIdentity, StateChanged, StateEntered, Streams,
};
use ringworld_components::edge::OperationKind;
use ringworld_components::kernel::{Anchor, Now, StableId};
use ringworld_components::media::Stream;
use ringworld_components::sip::{Dialog, UsageOf};
use ringworld_components::wire::sdp::Negotiated;

/// Raises a fact about a session.
pub(super) fn raise(world: &mut World, session: Entity, fact: impl FnOnce(StableId) -> Fact) {
    let id = world.get::<StableId>(session).copied().unwrap_or(StableId(0));
    world.resource_mut::<FactQueue>().raise(fact(id));
}

/// Changes the state and raises the fact; an illegal change is refused, traced and changes nothing.
pub(super) fn change(world: &mut World, session: Entity, to: SessionState) -> Result<(), CallError> {
    let now = *world.resource::<Now>();
    let changed = match world.get_mut::<Session>(session) {
        Some(mut session) => session.change(to, now),
        None => return Ok(()),
    };
    match changed {
        Ok(from) => {
            raise(world, session, |id| StateChanged::of(id, session, from, to));
            if let Some(mut entered) = world.get_resource_mut::<Queue<StateEntered>>() {
                entered.push(StateEntered { session, state: to });
            }
            Ok(())
        }
        Err(illegal) => Err(refused(world, session, illegal)),
    }
}

fn refused(world: &World, session: Entity, illegal: IllegalTransition) -> CallError {
    let error = error(world, session, CallErrorCause::IllegalTransition(illegal));
    tracing::warn!(%error, "a change of state was refused");
    error
}

/// Whether the session's state allows the operation; the error says what it is in.
pub(super) fn allow(world: &World, session: Entity, operation: OperationKind) -> Result<(), CallError> {
    match world.get::<Session>(session) {
        Some(state) if state.state().allows(operation) => Ok(()),
        _ => Err(error(world, session, CallErrorCause::IllegalOperation(operation))),
    }
}

/// An error about a session, with all that is known about it. All errors of this folder are made here.
pub(super) fn error(world: &World, session: Entity, cause: CallErrorCause) -> CallError {
    let id = world.get::<StableId>(session).copied().unwrap_or(StableId(0));
    let context = ErrorContext {
        state: world.get::<Session>(session).map(Session::state),
        call_id: world.get::<SipIdentity>(session).map(|identity| identity.call_id.clone()),
        dialog: selected_usage(world, session).and_then(|usage| dialog_standing(world, usage)),
        media: media_standing(world, session),
        ..nowhere(world, id)
    };
    CallError::new(cause, context)
}

/// An error about a session that there is not, or not yet (0).
pub(super) fn error_without_session(world: &World, id: StableId, cause: CallErrorCause) -> CallError {
    CallError::new(cause, nowhere(world, id))
}

fn nowhere(world: &World, session: StableId) -> ErrorContext {
    let tick = *world.resource::<Now>();
    let time = world.resource::<Anchor>().time_of(tick);
    ErrorContext { session, state: None, call_id: None, dialog: None, media: MediaStanding::None, tick, time }
}

fn dialog_standing(world: &World, usage: Entity) -> Option<DialogStanding> {
    let dialog = world.get::<UsageOf>(usage)?.0;
    Some(DialogStanding { id: *world.get::<StableId>(dialog)?, state: world.get::<Dialog>(dialog)?.state })
}

fn media_standing(world: &World, session: Entity) -> MediaStanding {
    let Some(stream) = stream_of(world, session).and_then(|stream| world.get::<Stream>(stream)) else {
        return MediaStanding::None;
    };
    let port = stream.port;
    match &stream.negotiated {
        None => MediaStanding::Offered { port },
        Some(agreed) => {
            let Negotiated { remote, codec, direction, .. } = *agreed;
            MediaStanding::Agreed { port, remote, codec, direction }
        }
    }
}

/// The usage that a session goes on in.
pub(super) fn selected_usage(world: &World, session: Entity) -> Option<Entity> {
    world.get::<SelectedUsage>(session)?.0
}

/// The session of an INVITE usage.
pub(super) fn session_of(world: &World, usage: Entity) -> Option<Entity> {
    world.get::<InviteUsageOf>(usage).map(|of| of.0)
}

/// The media stream of a session.
pub(super) fn stream_of(world: &World, session: Entity) -> Option<Entity> {
    world.get::<Streams>(session).and_then(|streams| streams.iter().next())
}
