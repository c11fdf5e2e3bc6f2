//! Calls whose work panicked are ended before anything else is done for them.

use super::ending::{end, terminate};
use super::state::error;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallErrorCause, EndCause, Fault, Faults, InviteUsageOf, Queue, Session, SessionMessage, StreamOf, contain,
};
use ringworld_components::sip::{InviteUsage, Transaction, UsageOf};

pub(super) fn end_faulty_calls(world: &mut World) {
    for fault in std::mem::take(&mut world.resource_mut::<Faults>().0) {
        end_behind(world, &fault);
    }
}

/// Ends the call behind a culprit with 500 or BYE; if that panics as well, or if it was ending already, at once.
pub(super) fn end_behind(world: &mut World, fault: &Fault) {
    let Some(session) = session_behind(world, fault.culprit) else { return end_transaction(world, fault.culprit) };
    let error = error(world, session, CallErrorCause::Panicked(fault.system.clone()));
    tracing::error!(%error, "a panic was contained");
    let is_over = |world: &World| world.get::<Session>(session).is_none_or(|session| session.state().is_over());
    if !is_over(world) {
        contain(world, "end_faulty_calls", None, |world| terminate(world, session, EndCause::InternalError, 500));
        if is_over(world) {
            return;
        }
    }
    contain(world, "end_faulty_calls", None, |world| end(world, session, EndCause::InternalError, 500));
}

/// A transaction that serves no call: a request that waits for an answer gets it, a request of ours is forgotten.
fn end_transaction(world: &mut World, culprit: Entity) {
    let Some(transaction) = world.get::<Transaction>(culprit) else { return };
    if transaction.kind.is_server() && !transaction.is_finished() {
        let (transaction, usage, warning, body) = (culprit, None, None, None);
        let refusal = SessionMessage::Respond { transaction, usage, status: 500, warning, body };
        world.resource_mut::<Queue<SessionMessage>>().push(refusal);
    } else {
        world.despawn(culprit);
    }
}

/// The session of a culprit: the session itself, or its transaction, stream, usage or dialog.
fn session_behind(world: &World, culprit: Entity) -> Option<Entity> {
    let user = world.get::<Transaction>(culprit).and_then(|transaction| transaction.user.entity());
    let culprit = user.unwrap_or(culprit);
    if world.get::<Session>(culprit).is_some() {
        return Some(culprit);
    }
    if let Some(of) = world.get::<StreamOf>(culprit) {
        return Some(of.0);
    }
    let usage = match world.get::<UsageOf>(culprit) {
        Some(of) => InviteUsage::of(world, of.0)?,
        None => InviteUsage::of(world, culprit)?,
    };
    world.get::<InviteUsageOf>(usage).map(|of| of.0)
}
