//! The requests of RFC 3261 outside any dialog (section 8.2), and OPTIONS, which is the same within one (section 11.2).

use super::send::{refuse_contact, respond, tell};
use bevy_ecs::prelude::*;
use ringworld_components::call::CallEvent;
use ringworld_components::sip::{Capabilities, IncomingRequest, ResponseParts};

/// The INVITE of a new call.
pub(super) fn receive_invite(world: &mut World, incoming: IncomingRequest) {
    let IncomingRequest { transaction, flow, request, .. } = incoming;
    if !request.head.has_one_target() {
        return refuse_contact(world, transaction);
    }
    tell(world, CallEvent::Invited { transaction, flow, request });
}

/// Tells the peer what is understood.
pub(super) fn receive_options(world: &mut World, incoming: IncomingRequest) {
    let capabilities = world.resource::<Capabilities>();
    let mut parts = ResponseParts::default();
    for (name, value) in capabilities.headers() {
        parts.add(name.to_owned(), value.into_owned());
    }
    parts.add("Accept", capabilities.accept(None));
    respond(world, incoming.transaction, 200, &parts);
}
