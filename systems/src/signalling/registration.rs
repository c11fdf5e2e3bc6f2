//! REGISTER, answered from memory and without credentials (RFC 3261 section 10.3), for peers on loopback and private
//! networks only, so that any phone can be tried.

use super::respond::{Extras, refuse, respond};
use super::send::count;
use bevy_ecs::prelude::*;
use ringworld_components::call::{Binding, Registrations, Settings};
use ringworld_components::edge::Flow;
use ringworld_components::kernel::Now;
use ringworld_components::wire::sip::{Request, Scheme};
use std::net::IpAddr;
use std::time::Duration;

pub(super) fn receive(world: &mut World, transaction: Entity, flow: &Flow, request: &Request) {
    if !is_near(flow.remote.ip()) {
        return refuse(world, transaction, 403);
    }
    if request.head.to.uri.scheme() == Scheme::Other {
        // Section 10.3, step 5: no address of ours.
        return refuse(world, transaction, 404);
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
    let seconds = expires_of(request).unwrap_or(seconds_max).min(seconds_max);
    if head.contact_is_star {
        if seconds != 0 {
            return refuse(world, transaction, 400);
        }
        world.resource_mut::<Registrations>().0.remove(&address);
    } else if let Some(contact) = &head.contact {
        let contact = String::from_utf8_lossy(contact.uri.as_bytes()).into_owned();
        let is_full = world.resource::<Registrations>().bindings() >= limit;
        let mut registrations = world.resource_mut::<Registrations>();
        let known = registrations.0.get(&address).and_then(|all| all.iter().find(|one| one.contact == contact));
        let is_out_of_order = known.is_some_and(|one| one.call_id == head.call_id && one.cseq >= head.cseq);
        let is_new = known.is_none();
        if is_out_of_order {
            return refuse(world, transaction, 500);
        }
        if is_new && seconds > 0 && is_full {
            count(world, |counters| counters.hit_limit("registrations"));
            return refuse(world, transaction, 503);
        }
        let bindings = registrations.0.entry(address.clone()).or_default();
        bindings.retain(|binding| binding.contact != contact);
        if seconds > 0 {
            let expires = now.after(Duration::from_secs(u64::from(seconds)));
            bindings.push(Binding {
                contact,
                target: flow.back(),
                expires,
                call_id: head.call_id.to_vec(),
                cseq: head.cseq,
            });
        }
        if bindings.is_empty() {
            registrations.0.remove(&address);
        }
    }
    let bindings = world.resource::<Registrations>().0.get(&address).cloned().unwrap_or_default();
    let headers = bindings
        .iter()
        .map(|binding| ("Contact", format!("<{}>;expires={}", binding.contact, binding.expires.since(now).as_secs())))
        .collect();
    respond(world, transaction, 200, &Extras { headers, ..Extras::default() });
}

/// Section 10.3: the user and host of To.
fn address_of_record(request: &Request) -> String {
    let uri = &request.head.to.uri;
    let user = uri.user().unwrap_or_default();
    format!("{}@{}", String::from_utf8_lossy(&user), String::from_utf8_lossy(&uri.host()).to_ascii_lowercase())
}

/// The `expires` parameter of Contact, else the Expires header field.
fn expires_of(request: &Request) -> Option<u32> {
    let parameter = request.head.contact.as_ref().and_then(|contact| contact.param("expires"));
    let seconds =
        parameter.and_then(|value| std::str::from_utf8(&value).ok().and_then(|text| text.trim().parse().ok()));
    seconds.or_else(|| request.head.expires())
}

fn is_near(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
