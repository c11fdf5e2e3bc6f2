//! Requests that operations ask for, within dialogs and outside of them (RFC 3261 sections 8.1.1 and 12.2.1.1).

use super::send::{begin_named, fresh_branch};
use bevy_ecs::prelude::*;
use ringworld_components::call::Settings;
use ringworld_components::edge::{ConnId, RequestTarget, SendRequest, Target, Transport};
use ringworld_components::kernel::{Now, Secret, StableId};
use ringworld_components::sip::{
    ClientRequest, Dialog, TransactionUser, UsageOf, contact, mint_call_id, mint_tag, tagged,
};
use ringworld_components::wire::sip::{Method, OutgoingRequest};

/// Writes the request and begins its transaction under the name that it was given.
pub(super) fn send_request(world: &mut World, id: StableId, user: TransactionUser, request: SendRequest) {
    let written = match user {
        TransactionUser::InviteUsage(usage) | TransactionUser::Subscription(usage) => {
            let dialog = world.get::<UsageOf>(usage).map(|of| of.0);
            dialog.and_then(|dialog| write_in_dialog(world, dialog, &request))
        }
        TransactionUser::InDialog(dialog) => write_in_dialog(world, dialog, &request),
        _ => write_out_of_dialog(world, id, &request),
    };
    if let Some(written) = written {
        begin_named(world, id, written, user);
    }
}

fn write_in_dialog(world: &mut World, dialog: Entity, request: &SendRequest) -> Option<ClientRequest> {
    let branch = fresh_branch(world);
    let mut state = world.get_mut::<Dialog>(dialog)?;
    let cseq = state.next_cseq();
    let headers = borrowed(request);
    Some(state.request(request.method.clone(), branch, cseq, &headers, body(request)))
}

fn write_out_of_dialog(world: &mut World, id: StableId, request: &SendRequest) -> Option<ClientRequest> {
    let RequestTarget::Address { from, to, remote, over_tcp, local } = &request.target else { return None };
    let branch = fresh_branch(world);
    let (secret, now) = (world.resource::<Secret>(), *world.resource::<Now>());
    let (tag, call_id) = (mint_tag(secret, id, now), mint_call_id(secret, id, now));
    let transport = if *over_tcp { Transport::Tcp } else { Transport::Udp };
    let target = Target { transport, remote: *remote, conn: ConnId::NONE };
    let local = world.resource::<Settings>().sip.advertised(*local);
    let own_contact = contact(local, transport);
    // RFC 3428 section 4: a MESSAGE has no Contact.
    let has_contact = request.method != Method::Message;
    let bytes = OutgoingRequest {
        method: &request.method,
        uri: to.as_bytes(),
        via_transport: transport.as_str(),
        via_sent_by: &local.to_string(),
        branch: &branch,
        from: &tagged(format!("<{from}>").as_bytes(), &tag),
        to: format!("<{to}>").as_bytes(),
        call_id: &call_id,
        cseq: 1,
        max_forwards: 70,
        route: &[],
        contact: has_contact.then_some(own_contact.as_str()),
        extra: &borrowed(request),
        body: body(request),
    }
    .write();
    Some(ClientRequest { method: request.method.clone(), branch, target, cseq: 1, bytes })
}

fn borrowed(request: &SendRequest) -> Vec<(&str, &str)> {
    request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn body(request: &SendRequest) -> Option<(&str, &[u8])> {
    request.body.as_ref().map(|(kind, octets)| (kind.as_str(), octets.as_ref()))
}
