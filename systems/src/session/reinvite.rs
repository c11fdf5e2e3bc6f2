//! The peer changes the session (RFC 3261 section 14.2, RFC 3264 section 8).

use super::hold;
use super::media;
use super::state::{error, session_of};
use bevy_ecs::prelude::*;
use ringworld_components::call::{Queue, Session, SessionMessage};
use ringworld_components::wire::sip::Request;

/// Answers a re-INVITE. If its offer can't be taken, the session stays as it was (488).
pub(super) fn receive(world: &mut World, usage: Entity, transaction: Entity, request: &Request) {
    let Some(session) = session_of(world, usage) else {
        return respond(world, transaction, None, 481, None, false);
    };
    if world.get::<Session>(session).is_none_or(|session| session.state().is_over()) {
        // It crossed a BYE, ours or the peer's own of this very tick.
        return respond(world, transaction, Some(usage), 481, None, false);
    }
    let offer = &request.head.body;
    let described =
        if offer.is_empty() { media::make_offer(world, session) } else { media::answer_offer(world, session, offer) };
    match described {
        Ok(body) => {
            respond(world, transaction, Some(usage), 200, Some(body), offer.is_empty());
            if !offer.is_empty() {
                hold::settle(world, session);
            }
        }
        Err(cause) => {
            let error = error(world, session, cause);
            tracing::debug!(%error, "a re-INVITE was refused");
            respond(world, transaction, Some(usage), error.status(), None, false);
        }
    }
}

fn respond(
    world: &mut World,
    transaction: Entity,
    usage: Option<Entity>,
    status: u16,
    body: Option<bytes::Bytes>,
    expects_answer: bool,
) {
    let response = SessionMessage::Respond { transaction, usage, status, body, expects_answer };
    world.resource_mut::<Queue<SessionMessage>>().push(response);
}
