//! The peer changes the session (RFC 3261 section 14.2, RFC 3264 section 8).

use super::hold;
use super::negotiate;
use super::state::{error, session_of};
use bevy_ecs::prelude::*;
use ringworld_components::call::{Carrier, Part, Queue, Session, SessionMessage};
use ringworld_components::edge::Flow;
use ringworld_components::sip::{Dialog, UsageOf};
use ringworld_components::wire::sip::{Request, Warning};

/// Answers a re-INVITE. If its offer can't be taken, the session stays as it was (488).
pub(super) fn receive(world: &mut World, usage: Entity, transaction: Entity, flow: &Flow, request: &Request) {
    let Some(session) = session_of(world, usage) else {
        return respond(world, transaction, None, 481, None, None);
    };
    if world.get::<Session>(session).is_none_or(|session| session.state().is_over()) {
        // It crossed a BYE, ours or the peer's own of this very tick.
        return respond(world, transaction, Some(usage), 481, None, None);
    }
    let offer = request.head.session_description().unwrap_or_default();
    let described = negotiate::receive(world, session, usage, Carrier::Invite, offer.as_deref()).and_then(|_| {
        let holds = negotiate::we_hold(world, session);
        negotiate::describe(world, session, Carrier::Success, holds)
    });
    match described {
        Ok(described) => {
            refresh_target(world, usage, flow, request);
            respond(world, transaction, Some(usage), 200, None, described.body);
            if described.part == Part::Answer {
                hold::settle(world, session);
            }
        }
        Err(cause) => {
            let error = error(world, session, cause);
            tracing::debug!(%error, "a re-INVITE was refused");
            negotiate::invite_failed(world, session);
            respond(world, transaction, Some(usage), error.status(), error.warning(), None);
        }
    }
}

/// A re-INVITE moves the remote target if it is answered with a 2xx (RFC 3261 section 12.2.2, RFC 5057 section 5.4).
fn refresh_target(world: &mut World, usage: Entity, flow: &Flow, request: &Request) {
    if let Some(dialog) = world.get::<UsageOf>(usage).map(|of| of.0)
        && let Some(mut dialog) = world.get_mut::<Dialog>(dialog)
    {
        dialog.refresh_target(&request.head, flow);
    }
}

fn respond(
    world: &mut World,
    transaction: Entity,
    usage: Option<Entity>,
    status: u16,
    warning: Option<Warning>,
    body: Option<bytes::Bytes>,
) {
    let response = SessionMessage::Respond { transaction, usage, status, warning, body };
    world.resource_mut::<Queue<SessionMessage>>().push(response);
}
