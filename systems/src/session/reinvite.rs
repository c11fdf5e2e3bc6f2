//! The peer changes the session (RFC 3261 section 14.2, RFC 3264 section 8).

use super::media;
use super::state::owners_of;
use super::{hold, state::error};
use bevy_ecs::prelude::*;
use ringworld_components::call::{Queue, Session, Signal};
use ringworld_components::wire::sip::Request;

/// Answers a re-INVITE. If its offer can't be taken, the session stays as it was (488).
pub(super) fn receive(world: &mut World, dialog: Entity, transaction: Entity, request: &Request) {
    let Some((leg, session)) = owners_of(world, dialog) else {
        return respond(world, transaction, None, 481, None, false);
    };
    if world.get::<Session>(session).is_none_or(|session| session.state().is_over()) {
        // It crossed a BYE, ours or the peer's own of this very tick.
        return respond(world, transaction, Some(dialog), 481, None, false);
    }
    let offer = &super::progress::description_in(&request.head);
    let described =
        if offer.is_empty() { media::make_offer(world, leg) } else { media::answer_offer(world, leg, offer) };
    match described {
        Ok(body) => {
            respond(world, transaction, Some(dialog), 200, Some(body), offer.is_empty());
            if !offer.is_empty() {
                hold::settle(world, session, leg);
            }
        }
        Err(cause) => {
            let error = error(world, session, cause);
            tracing::debug!(%error, "a re-INVITE was refused");
            respond(world, transaction, Some(dialog), error.status(), None, false);
        }
    }
}

fn respond(
    world: &mut World,
    transaction: Entity,
    dialog: Option<Entity>,
    status: u16,
    body: Option<bytes::Bytes>,
    expects_answer: bool,
) {
    world.resource_mut::<Queue<Signal>>().push(Signal::Respond { transaction, dialog, status, body, expects_answer });
}
