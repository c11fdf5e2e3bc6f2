//! The one place where operations are checked, arbitrated and carried out, whatever asked for them.

use super::state::{allow, error, error_without_session};
use super::{answer, claims, ending, hold, place, requests, send};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallError, CallErrorCause, Claim, Counters, Draining, EndCause, FactQueue, InviteAim, OperationDone,
    OperationQueue, OperationTable, Queue, Session, SessionState, Ticket, WrittenOperation, contain,
};
use ringworld_components::edge::{Command, Operation, OperationKind, OperationPriority, Output, Reply};
use ringworld_components::kernel::{Anchor, Now, StableId, StableIds};
use std::collections::BTreeMap;

/// Where the result of an operation goes.
enum Asker {
    /// A command of this number.
    Command(u64),
    /// The system that holds this ticket, and whether it wants to know of a success.
    System(Ticket, bool),
}

/// What was carried out on each session in this tick, as a set of kinds.
type Done = BTreeMap<StableId, u32>;

/// First the commands from outside in the order in which they came, then what systems have written, by priority, system
/// and sequence.
pub(super) fn carry_out_operations(world: &mut World) {
    let commands = world.resource_mut::<Queue<Command>>().take();
    let mut written = std::mem::take(&mut world.resource_mut::<OperationQueue>().0);
    if commands.is_empty() && written.is_empty() {
        return;
    }
    written.sort_by_key(|it| (std::cmp::Reverse(it.priority), it.ticket.system, it.ticket.tick, it.ticket.number));
    let mut done = Done::default();
    for Command { number, operation } in commands {
        attempt(world, &mut done, Asker::Command(number), OperationPriority::Command, operation);
    }
    for WrittenOperation { priority, ticket, wants_result, operation } in written {
        attempt(world, &mut done, Asker::System(ticket, wants_result), priority, operation);
    }
}

fn attempt(world: &mut World, done: &mut Done, asker: Asker, priority: OperationPriority, operation: Operation) {
    let (kind, id) = (operation.kind(), operation.session());
    let entity = id.and_then(|id| world.resource::<StableIds>().find(id));
    let mut result = None;
    contain(world, "carry_out_operations", entity, |world| {
        result = Some(arbitrate(world, done, priority, operation, entity));
    });
    let result = result.unwrap_or_else(|| {
        let panicked = CallErrorCause::Panicked("carry_out_operations".to_owned());
        Err(error_without_session(world, id.unwrap_or(StableId(0)), panicked))
    });
    if let (Ok(_), Some(id)) = (&result, id) {
        *done.entry(id).or_default() |= bit(kind);
    }
    answer_asker(world, asker, kind, result);
}

fn bit(kind: OperationKind) -> u32 {
    1 << kind as u32
}

/// Refuses an operation that lost against another one of the same tick, or against a claim; else carries it out.
fn arbitrate(
    world: &mut World,
    done: &Done,
    priority: OperationPriority,
    operation: Operation,
    entity: Option<Entity>,
) -> Result<StableId, CallError> {
    if let Some(result) = OperationTable::carry_out(world, &operation) {
        return result.map_err(|cause| match entity {
            Some(entity) => error(world, entity, cause),
            None => error_without_session(world, operation.session().unwrap_or(StableId(0)), cause),
        });
    }
    let Some(id) = operation.session() else { return carry_out_on_world(world, operation) };
    let Some(session) = entity.filter(|&entity| world.get::<Session>(entity).is_some()) else {
        return Err(error_without_session(world, id, CallErrorCause::NoSuchSession));
    };
    let kind = operation.kind();
    let before = done.get(&id).copied().unwrap_or_default();
    if let Some(&winner) = kind.loses_to().iter().find(|&&other| before & bit(other) != 0) {
        return Err(error(world, session, CallErrorCause::Superseded(winner)));
    }
    if priority == OperationPriority::Fallback
        && let Some(claim) = world.get::<Claim>(session)
    {
        let by = claim.by.clone();
        return Err(error(world, session, CallErrorCause::Claimed(by)));
    }
    if let Operation::SendRequest(request) = operation {
        allow(world, session, kind)?;
        return requests::send(world, Some(session), request);
    }
    carry_out(world, session, operation)?;
    if kind == OperationKind::Answer {
        claims::settle(world, session);
    }
    Ok(id)
}

fn carry_out_on_world(world: &mut World, operation: Operation) -> Result<StableId, CallError> {
    match operation {
        Operation::Place(call) => return place::place(world, &call),
        Operation::Respond { transaction, status, headers, body } => {
            return requests::respond(world, transaction, status, &headers, body.as_ref());
        }
        Operation::SendRequest(request) => return requests::send(world, None, request),
        Operation::Drain => drain(world),
        Operation::Reanchor { time } => *world.resource_mut::<Anchor>() = Anchor::at(*world.resource::<Now>(), time),
        other => {
            let what = format!("no plugin carries out the operation to {}", other.kind());
            return Err(error_without_session(world, StableId(0), CallErrorCause::Invalid(what)));
        }
    }
    Ok(StableId(0))
}

fn carry_out(world: &mut World, session: Entity, operation: Operation) -> Result<(), CallError> {
    allow(world, session, operation.kind())?;
    match operation {
        Operation::Ring { .. } => answer::ring(world, session),
        Operation::Answer { service, .. } => answer::answer(world, session, &service),
        Operation::Reject { status, .. } => answer::reject(world, session, status),
        Operation::Hold { .. } => hold::ask(world, session, InviteAim::Hold),
        Operation::Resume { .. } => hold::ask(world, session, InviteAim::Resume),
        Operation::SendDtmf { digits, .. } => send::digits(world, session, &digits),
        Operation::Announce { .. } => {
            send::clip(world, session);
            Ok(())
        }
        Operation::HangUp { .. } => {
            ending::terminate(world, session, EndCause::HungUp, 480);
            Ok(())
        }
        Operation::Claim { by, lasts_ms, .. } => claims::claim(world, session, by, lasts_ms),
        Operation::Release { by, .. } => claims::release(world, session, &by),
        // Those on the world, and those that no plugin of this world carries out.
        other => {
            let what = format!("no plugin carries out the operation to {}", other.kind());
            Err(error(world, session, CallErrorCause::Invalid(what)))
        }
    }
}

fn answer_asker(world: &mut World, asker: Asker, kind: OperationKind, result: Result<StableId, CallError>) {
    if let Err(error) = &result {
        tracing::debug!(%error, "an operation was refused");
    }
    match asker {
        Asker::Command(0) => {}
        Asker::Command(number) => {
            world.resource_mut::<Queue<Output>>().push(Output::Reply(Reply { number, result }));
        }
        Asker::System(ticket, wants_result) => {
            if result.as_ref().is_err_and(|error| is_illegal(&error.cause)) {
                world.resource_mut::<Counters>().refused_operations += 1;
            }
            if wants_result || result.is_err() {
                let id = result.as_ref().map_or_else(|error| error.context.session, |session| *session);
                let entity = world.resource::<StableIds>().find(id).unwrap_or(Entity::PLACEHOLDER);
                world.resource_mut::<FactQueue>().raise(OperationDone::of(id, entity, ticket, kind, result));
            }
        }
    }
}

/// Whether the operation was wrong. Else it was right, and the call could not be taken: its caller has been told why;
/// or another operation was first.
fn is_illegal(cause: &CallErrorCause) -> bool {
    use CallErrorCause::{Claimed, Negotiation, PortsExhausted, RoomLimit, RoomsExhausted, Superseded};
    !matches!(cause, Negotiation(_) | PortsExhausted | RoomLimit | RoomsExhausted | Claimed(_) | Superseded(_))
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
