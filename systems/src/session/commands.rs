//! Commands from outside are carried out, and answered.

use super::state::{error, error_without_session};
use super::{ending, place, requests};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallAction, CallError, CallErrorCause, Draining, EndCause, OperationTable, Queue, Session, SessionState, contain,
};
use ringworld_components::edge::{Command, Operation, Output, Reply};
use ringworld_components::kernel::{Anchor, Now, StableId, StableIds};

pub(super) fn carry_out_commands(world: &mut World) {
    for Command { number, operation } in world.resource_mut::<Queue<Command>>().take() {
        let session = operation.session();
        let culprit = session.and_then(|session| world.resource::<StableIds>().find(session));
        let mut done = None;
        contain(world, "carry_out_commands", culprit, |world| done = Some(carry_out(world, operation)));
        let result = done.unwrap_or_else(|| {
            let panicked = CallErrorCause::Panicked("carry_out_commands".to_owned());
            Err(error_without_session(world, session.unwrap_or(StableId(0)), panicked))
        });
        if let Err(error) = &result {
            tracing::debug!(%error, number, "a command was refused");
        }
        if number != 0 {
            world.resource_mut::<Queue<Output>>().push(Output::Reply(Reply { number, result }));
        }
    }
}

fn carry_out(world: &mut World, operation: Operation) -> Result<StableId, CallError> {
    let (session, action) = match operation {
        Operation::Place(call) => return place::place(world, &call),
        Operation::Drain => {
            drain(world);
            return Ok(StableId(0));
        }
        Operation::Reanchor { time } => {
            *world.resource_mut::<Anchor>() = Anchor::at(*world.resource::<Now>(), time);
            return Ok(StableId(0));
        }
        Operation::Answer { session, service } => (session, CallAction::Answer(service)),
        Operation::Ring { session } => (session, CallAction::Ring),
        Operation::Reject { session, status } => (session, CallAction::Reject(status)),
        Operation::HangUp { session } => (session, CallAction::HangUp),
        Operation::Hold { session } => (session, CallAction::Hold),
        Operation::Resume { session } => (session, CallAction::Resume),
        Operation::SendDtmf { session, digits } => (session, CallAction::SendDtmf(digits)),
        other => return carry_out_elsewhere(world, &other),
    };
    let entity = world.resource::<StableIds>().find(session).filter(|&entity| world.get::<Session>(entity).is_some());
    match entity {
        Some(entity) => requests::carry_out(world, entity, &action).map(|()| session),
        None => Err(error_without_session(world, session, CallErrorCause::NoSuchSession)),
    }
}

/// Lets the plugin that knows the operation carry it out.
fn carry_out_elsewhere(world: &mut World, operation: &Operation) -> Result<StableId, CallError> {
    let result = OperationTable::carry_out(world, operation);
    let unknown = || Err(CallErrorCause::Invalid("no plugin carries this operation out".to_owned()));
    result.unwrap_or_else(unknown).map_err(|cause| {
        let session = operation.session();
        match session.and_then(|session| world.resource::<StableIds>().find(session)) {
            Some(entity) => error(world, entity, cause),
            None => error_without_session(world, session.unwrap_or(StableId(0)), cause),
        }
    })
}

/// Refuses new calls and ends all others, in the order of their ids.
fn drain(world: &mut World) {
    world.resource_mut::<Draining>().0 = true;
    let mut sessions: Vec<(StableId, Entity)> = world
        .query::<(&StableId, Entity, &Session)>()
        .iter(world)
        .filter(|(_, _, session)| session.state() != SessionState::Terminated)
        .map(|(id, entity, _)| (*id, entity))
        .collect();
    sessions.sort_unstable();
    for (_, session) in sessions {
        ending::terminate(world, session, EndCause::Drained, 503);
    }
}
