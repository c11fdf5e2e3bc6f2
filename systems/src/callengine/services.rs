//! Default routing: the user part of the Request-URI names the service that a call is connected to.

use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallOffered, ClaimEnded, Operations, Parties, RingThenAnswer, Service, Session, SessionState, Settings,
};
use ringworld_components::edge::{Operation, OperationPriority};
use ringworld_components::kernel::{StableId, TimerFired};
use ringworld_components::wire::sip::Uri;
use std::time::Duration;

/// Decides about offered calls, and about those that a plugin has claimed and not decided about, unless something
/// outside does. Its operations are dropped where a plugin claims the call.
pub(super) fn route_calls(
    mut offered: MessageReader<CallOffered>,
    mut given_back: MessageReader<ClaimEnded>,
    sessions: Query<(&Session, &Parties)>,
    settings: Res<Settings>,
    mut operations: Operations,
) {
    if settings.services.ask_handler {
        return;
    }
    operations.for_each_call(offered.read(), |operations, call| {
        route(operations, call.session, call.entity, &sessions, &settings);
    });
    operations.for_each_call(given_back.read(), |operations, call| {
        route(operations, call.session, call.entity, &sessions, &settings);
    });
}

fn route(
    operations: &mut Operations,
    id: StableId,
    entity: Entity,
    sessions: &Query<(&Session, &Parties)>,
    settings: &Settings,
) {
    // A CANCEL may have come in the same tick.
    let called = sessions.get(entity).ok().filter(|(session, _)| !session.state().is_over());
    let Some((session, parties)) = called else { return };
    let user = Uri::parse(parties.request_uri.clone()).ok().and_then(|uri| uri.user()).unwrap_or_default();
    let user = String::from_utf8_lossy(&user).into_owned();
    // What has the form of a service and names none is no user either: it gets 404.
    let is_named = Service::named(&user).is_some() || Service::is_reserved(&user);
    let name = if is_named { user } else { settings.services.default.clone() };
    let mut write = |operation| operations.write_with(OperationPriority::Fallback, operation);
    match Service::named(&name) {
        Some(Service::RingThenEcho { seconds }) => {
            if session.state() == SessionState::Initializing {
                write(Operation::ring(id));
            }
            operations.start_timer::<RingThenAnswer>(entity, Duration::from_secs(u64::from(seconds)));
        }
        Some(Service::Reject(status)) => {
            write(Operation::reject(id, status));
        }
        Some(_) => {
            write(Operation::answer(id, name));
        }
        None => {
            write(Operation::reject(id, 404));
        }
    }
}

/// Answers calls that have rung for as long as they should (`ring-N`).
pub(super) fn answer_after_ringing(mut fired: MessageReader<TimerFired<RingThenAnswer>>, mut operations: Operations) {
    operations.for_each_call(fired.read(), |operations, rung| {
        operations.write_with(OperationPriority::Fallback, Operation::answer(rung.id, "echo"));
    });
}
