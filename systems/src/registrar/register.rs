//! REGISTER, answered from memory and without credentials (RFC 3261 section 10.3), for peers on loopback and private
//! networks only, so that any phone can be tried.

use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{Counters, Queue, Settings};
use ringworld_components::edge::Flow;
use ringworld_components::kernel::Now;
use ringworld_components::sip::{
    Binding, IncomingRequest, Registrations, ResponseParts, Transaction, TransactionRequest, TransactionUser,
};
use ringworld_components::wire::sip::{NameAddr, Request, Scheme, Uri, Warning};
use std::net::IpAddr;
use std::time::Duration;

pub(super) fn receive(world: &mut World, incoming: IncomingRequest) {
    let IncomingRequest { transaction, flow, request, .. } = incoming;
    if let Some(mut state) = world.get_mut::<Transaction>(transaction) {
        state.user = TransactionUser::Registration;
    }
    let response = match register(world, &flow, &request) {
        Ok(contacts) => {
            let mut parts = ResponseParts::default();
            for contact in contacts {
                parts.add("Contact", contact);
            }
            TransactionRequest::response(world, transaction, 200, &parts)
        }
        Err(Refused { status, why }) => {
            let warning = (!why.is_empty()).then(|| Warning::miscellaneous(why));
            TransactionRequest::refusal(world, transaction, status, warning.as_ref())
        }
    };
    if let Some(response) = response {
        world.resource_mut::<Queue<TransactionRequest>>().push(response);
    }
}

/// Why nothing was changed.
struct Refused {
    status: u16,
    /// In words, where the status does not say it.
    why: &'static str,
}

impl Refused {
    fn with(status: u16, why: &'static str) -> Self {
        Self { status, why }
    }
}

/// Changes the bindings. Returns the values of Contact that are in force.
fn register(world: &mut World, flow: &Flow, request: &Request) -> Result<Vec<String>, Refused> {
    if !is_near(flow.remote.ip()) {
        return Err(Refused::with(403, "only loopback and private networks are served"));
    }
    if request.head.to.uri.scheme() == Scheme::Other {
        // Section 10.3, step 5: no address of ours.
        return Err(Refused::with(404, ""));
    }
    let address = address_of_record(request);
    let now = *world.resource::<Now>();
    let settings = world.resource::<Settings>();
    let (limit, seconds_max) = (settings.limits.registrations as usize, settings.sip.registration_s_max);
    world.resource_mut::<Registrations>().0.retain(|_, bindings| {
        bindings.retain(|binding| binding.expires > now);
        !bindings.is_empty()
    });
    let head = &request.head;
    let out_of_order = || Refused::with(500, "the CSeq is not above that of the last REGISTER");
    let is_late = |one: &Binding| one.call_id == head.call_id && one.cseq >= head.cseq;
    let registrations = world.resource::<Registrations>();
    let known = registrations.0.get(&address).map(Vec::as_slice).unwrap_or_default();
    if head.contact_is_star {
        if head.expires() != Some(0) {
            return Err(Refused::with(400, "Contact: * needs Expires: 0"));
        }
        // Section 10.3, step 6.
        if known.iter().any(is_late) {
            return Err(out_of_order());
        }
        world.resource_mut::<Registrations>().0.remove(&address);
    } else {
        let contacts = head.contacts();
        let contacts = contacts.ok_or(Refused::with(400, "a Contact is no address, or * is not the only one"))?;
        // All of them or, if one can't be, none (section 10.3, step 7).
        let mut bindings = known.to_vec();
        for contact in contacts {
            let seconds = expires_of(&contact).or(head.expires()).unwrap_or(seconds_max).min(seconds_max);
            if known.iter().any(|binding| is_late(binding) && is_of(binding, &contact.uri)) {
                return Err(out_of_order());
            }
            bindings.retain(|binding| !is_of(binding, &contact.uri));
            if seconds > 0 {
                let contact = String::from_utf8_lossy(contact.uri.as_bytes()).into_owned();
                let expires = now.after(Duration::from_secs(u64::from(seconds)));
                let (target, call_id) = (flow.back(), head.call_id.to_vec());
                bindings.push(Binding { contact, target, expires, call_id, cseq: head.cseq });
            }
        }
        if bindings.len() > known.len() && registrations.bindings() + bindings.len() - known.len() > limit {
            world.resource_mut::<Counters>().hit_limit("registrations");
            return Err(Refused::with(503, ""));
        }
        let mut registrations = world.resource_mut::<Registrations>();
        if bindings.is_empty() {
            registrations.0.remove(&address);
        } else {
            registrations.0.insert(address.clone(), bindings);
        }
    }
    let bindings = world.resource::<Registrations>().0.get(&address).cloned().unwrap_or_default();
    let contact = |binding: &Binding| format!("<{}>;expires={}", binding.contact, binding.expires.since(now).as_secs());
    Ok(bindings.iter().map(contact).collect())
}

/// Section 10.3, step 7: bindings are compared as URIs, not as text.
fn is_of(binding: &Binding, contact: &Uri) -> bool {
    let bound = Uri::parse(Bytes::copy_from_slice(binding.contact.as_bytes()));
    bound.is_ok_and(|bound| bound.is_equivalent(contact))
}

/// Section 10.3: the user and host of To.
fn address_of_record(request: &Request) -> String {
    let uri = &request.head.to.uri;
    let user = uri.user().unwrap_or_default();
    format!("{}@{}", String::from_utf8_lossy(&user), String::from_utf8_lossy(&uri.host()).to_ascii_lowercase())
}

/// The `expires` parameter of a Contact.
fn expires_of(contact: &NameAddr) -> Option<u32> {
    let value = contact.param("expires")?;
    std::str::from_utf8(&value).ok()?.trim().parse().ok()
}

fn is_near(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
