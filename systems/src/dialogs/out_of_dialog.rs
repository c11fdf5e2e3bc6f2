//! The requests of RFC 3261 outside any dialog (section 8.2), and OPTIONS, which is the same within one (section 11.2).

use super::send::{has_target, may_describe, respond, tell};
use bevy_ecs::prelude::*;
use ringworld_components::call::CallEvent;
use ringworld_components::sip::{Capabilities, IncomingRequest, ResponseParts};

/// The INVITE of a new call.
pub(super) fn receive_invite(world: &mut World, incoming: IncomingRequest) {
    let IncomingRequest { transaction, flow, request, .. } = incoming;
    let route = request.head.record_route().into_iter().next();
    if !has_target(world, transaction, &request, route.as_ref()) || !may_describe(world, transaction, &request) {
        return;
    }
    tell(world, CallEvent::Invited { transaction, flow, request });
}

/// Tells the peer what is understood (section 11.2): also that there is no option tag, and no encoding but identity.
pub(super) fn receive_options(world: &mut World, incoming: IncomingRequest) {
    let capabilities = world.resource::<Capabilities>();
    let mut parts = ResponseParts::default();
    for (name, value) in capabilities.headers() {
        parts.add(name.to_owned(), value.into_owned());
    }
    if capabilities.supported().is_empty() {
        parts.add("Supported", "");
    }
    parts.add("Accept", capabilities.accept(None));
    parts.add("Accept-Encoding", "identity");
    respond(world, incoming.transaction, 200, &parts);
}
