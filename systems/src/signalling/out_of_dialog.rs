//! Requests outside any dialog (RFC 3261 section 8.2).

use super::dialogs::tell;
use super::respond::{ALLOW, Extras, refuse, respond};
use super::{registration, signals};
use bevy_ecs::prelude::*;
use ringworld_components::call::{CallEvent, Queue};
use ringworld_components::edge::Flow;
use ringworld_components::wire::sip::{ACCEPTED_BODIES, Method, Request};

pub(super) fn receive(world: &mut World, transaction: Entity, flow: Flow, request: Box<Request>) {
    match request.method {
        Method::Invite => {
            if understands(world, transaction, &request) {
                world.resource_mut::<Queue<signals::FreshInvite>>().push(signals::FreshInvite(transaction));
                tell(world, CallEvent::Invited { transaction, flow, request });
            }
        }
        Method::Options => {
            if understands(world, transaction, &request) {
                let headers = vec![("Allow", ALLOW.to_owned()), ("Accept", ACCEPTED_BODIES.to_owned())];
                respond(world, transaction, 200, &Extras { headers, ..Extras::default() });
            }
        }
        Method::Register => {
            if understands(world, transaction, &request) {
                registration::receive(world, transaction, &flow, &request);
            }
        }
        ref method => refuse(world, transaction, status_without_dialog(method)),
    }
}

/// The status for a request that names, or needs, a dialog that we don't have.
pub(super) fn status_without_dialog(method: &Method) -> u16 {
    match method {
        Method::Invite | Method::Bye | Method::Info | Method::Options | Method::Register => 481,
        other => status_of_unsupported(other),
    }
}

/// Section 8.2.1: a method that exists but that we don't do is 405, one that we don't know 501.
pub(super) fn status_of_unsupported(method: &Method) -> u16 {
    if let Method::Other(_) = method { 501 } else { 405 }
}

/// Sections 8.2.2.3 and 8.2.3: extensions that are required, and bodies, that we don't understand are refused.
pub(super) fn understands(world: &mut World, transaction: Entity, request: &Request) -> bool {
    let required = request.head.require();
    if !required.is_empty() {
        let names: Vec<_> = required.iter().map(|name| String::from_utf8_lossy(name)).collect();
        let headers = vec![("Unsupported", names.join(", "))];
        respond(world, transaction, 420, &Extras { headers, ..Extras::default() });
        return false;
    }
    if request.method == Method::Invite
        && let Err(refusal) = request.head.session_description()
    {
        refuse(world, transaction, refusal.status());
        return false;
    }
    true
}
