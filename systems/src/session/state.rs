//! The one way in which a session changes its state.

use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallError, CallErrorCause, DialogOf, IllegalTransition, Leg, LegOf, Legs, Session, SessionOperation, SessionState,
    StateChanged, Streams,
};
use ringworld_components::kernel::{Now, StableId};

/// Changes the state and tells everybody; an illegal change is refused, traced and changes nothing.
pub(super) fn change(world: &mut World, session: Entity, to: SessionState) -> Result<(), CallError> {
    let now = *world.resource::<Now>();
    let changed = match world.get_mut::<Session>(session) {
        Some(mut session) => session.change(to, now),
        None => return Ok(()),
    };
    match changed {
        Ok(from) => {
            world.resource_mut::<Messages<StateChanged>>().write(StateChanged { session, from, to });
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
pub(super) fn allow(world: &World, session: Entity, operation: SessionOperation) -> Result<(), CallError> {
    match world.get::<Session>(session) {
        Some(state) if state.state().allows(operation) => Ok(()),
        _ => Err(error(world, session, CallErrorCause::IllegalOperation(operation))),
    }
}

/// An error about a session, with all that is known about it.
pub(super) fn error(world: &World, session: Entity, cause: CallErrorCause) -> CallError {
    let now = *world.resource::<Now>();
    let id = world.get::<StableId>(session).copied().unwrap_or(StableId(0));
    let leg = leg_of(world, session);
    let call_id = leg.and_then(|leg| world.get::<Leg>(leg)).map(|leg| leg.call_id.clone());
    let has_media = leg.is_some_and(|leg| stream_of(world, leg).is_some());
    match world.get::<Session>(session) {
        Some(session) => CallError::new(cause, id, session, call_id, now, has_media),
        None => {
            let gone =
                Session::new(ringworld_components::call::Role::Incoming, Default::default(), Default::default(), now);
            CallError::new(cause, id, &gone, call_id, now, has_media)
        }
    }
}

/// The leg of a session of one party.
pub(super) fn leg_of(world: &World, session: Entity) -> Option<Entity> {
    world.get::<Legs>(session).and_then(|legs| legs.iter().next())
}

/// The session of a leg.
pub(super) fn session_of(world: &World, leg: Entity) -> Option<Entity> {
    world.get::<LegOf>(leg).map(|of| of.0)
}

/// The leg and the session of a dialog.
pub(super) fn owners_of(world: &World, dialog: Entity) -> Option<(Entity, Entity)> {
    let leg = world.get::<DialogOf>(dialog)?.0;
    Some((leg, session_of(world, leg)?))
}

/// The media stream of a leg.
pub(super) fn stream_of(world: &World, leg: Entity) -> Option<Entity> {
    world.get::<Streams>(leg).and_then(|streams| streams.iter().next())
}
