//! Commands from outside are carried out, and answered.

use super::{ending, place, requests};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallAction, CallError, CallErrorCause, Draining, EndCause, Queue, Session, SessionState, contain,
};
use ringworld_components::edge::{Command, Operation, Output, Refusal, Reply};
use ringworld_components::kernel::{StableId, StableIds};

pub(super) fn carry_out_commands(world: &mut World) {
    for Command { number, operation } in world.resource_mut::<Queue<Command>>().take() {
        // What a panic leaves as the answer.
        let mut result = Err(Refusal::Invalid("it panicked; the call, if there is one, is ended".to_owned()));
        let culprit = operation.session().and_then(|session| world.resource::<StableIds>().find(session));
        contain(world, "carry_out_commands", culprit, |world| result = carry_out(world, operation));
        if number != 0 {
            world.resource_mut::<Queue<Output>>().push(Output::Reply(Reply { number, result }));
        }
    }
}

fn carry_out(world: &mut World, operation: Operation) -> Result<StableId, Refusal> {
    let (session, action) = match operation {
        Operation::Place(call) => return place::place(world, &call),
        Operation::Drain => {
            drain(world);
            return Ok(StableId(0));
        }
        Operation::Answer { session, service } => (session, CallAction::Answer(service)),
        Operation::Ring { session } => (session, CallAction::Ring),
        Operation::Reject { session, status } => (session, CallAction::Reject(status)),
        Operation::HangUp { session } => (session, CallAction::HangUp),
        Operation::Hold { session } => (session, CallAction::Hold),
        Operation::Resume { session } => (session, CallAction::Resume),
        Operation::SendDtmf { session, digits } => (session, CallAction::SendDtmf(digits)),
    };
    let entity = world.resource::<StableIds>().find(session).filter(|&entity| world.get::<Session>(entity).is_some());
    let entity = entity.ok_or(Refusal::NoSuchSession)?;
    requests::carry_out(world, entity, &action).map_err(refusal)?;
    Ok(session)
}

fn refusal(error: CallError) -> Refusal {
    match &error.cause {
        CallErrorCause::IllegalOperation(operation) => {
            Refusal::IllegalState { state: error.context.state.to_string(), operation: operation.to_string() }
        }
        CallErrorCause::PortsExhausted | CallErrorCause::RoomLimit | CallErrorCause::RoomsExhausted => {
            Refusal::Limit(error.to_string())
        }
        _ => Refusal::Invalid(error.to_string()),
    }
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
