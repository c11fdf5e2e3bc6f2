//! Dialogs (RFC 3261 section 12).

use crate::edge::{Flow, Target, Transport};
use crate::kernel::Table;
use crate::record::Record;
use crate::wire::sip::{Head, Method, NameAddr, Request, Response, Uri, dialog_key};
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;
use bytes::Bytes;
use std::borrow::Cow;
use std::net::SocketAddr;

/// A peer-to-peer relationship between two user agents, from our point of view (section 12). It belongs to its usages
/// ([`UsageOf`](super::UsageOf)) and is despawned with the last of them.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
#[component(on_add = index, on_remove = forget)]
pub struct Dialog {
    /// Early until a 2xx (section 12).
    pub state: DialogState,
    /// What requests and responses are matched by: Call-ID and both tags.
    pub key: u128,
    /// The Call-ID.
    pub call_id: Bytes,
    /// The tag we chose.
    pub local_tag: Bytes,
    /// The tag the peer chose; empty if it speaks RFC 2543.
    pub remote_tag: Bytes,
    /// Our From (To) header field, without its tag.
    pub local: Bytes,
    /// The peer's, without its tag.
    pub remote: Bytes,
    /// The sequence number of our last request.
    pub local_cseq: u32,
    /// The sequence number of the peer's last request, once there was one.
    pub remote_cseq: Option<u32>,
    /// Where requests go to, in the end: the peer's Contact.
    pub remote_target: Uri,
    /// The proxies on the way, in the order in which we send to them.
    pub route_set: Vec<Bytes>,
    /// Our own address in Contact and Via.
    pub local_address: SocketAddr,
    /// Where the next request is sent.
    pub target: Target,
    /// Whether we sent the INVITE that made it.
    pub is_caller: bool,
}

/// The state of a dialog.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DialogState {
    /// A provisional response with a tag was sent or received.
    Early,
    /// A 2xx was sent or received.
    Confirmed,
}

impl Dialog {
    /// The dialog that an INVITE from a peer makes (section 12.1.1), with the tag that we chose.
    pub fn as_uas(request: &Request, flow: &Flow, local_tag: Bytes, local_address: SocketAddr, seed: u64) -> Self {
        let head = &request.head;
        let remote_tag = head.from.tag.clone().unwrap_or_default();
        let mut dialog = Self {
            state: DialogState::Early,
            key: dialog_key(&head.call_id, &local_tag, &remote_tag, seed),
            call_id: copy(&head.call_id),
            local_tag,
            remote_tag: copy(&remote_tag),
            local: copy(&head.to.to_text()),
            remote: copy(&head.from.to_text()),
            local_cseq: 0,
            remote_cseq: Some(head.cseq),
            remote_target: contact_of(head, !head.record_route().is_empty())
                .unwrap_or_else(|| head.from.uri.detached()),
            route_set: head.record_route().iter().map(copy).collect(),
            local_address,
            target: flow.back(),
            is_caller: false,
        };
        dialog.aim(flow);
        dialog
    }

    /// The dialog that a response to our INVITE makes (section 12.1.2). Where its Contact is missing, or no SIP URI, the
    /// remote target is the URI that the INVITE was sent to.
    pub fn as_uac(response: &Response, flow: &Flow, local_address: SocketAddr, seed: u64) -> Self {
        let head = &response.head;
        let local_tag = head.from.tag.clone().unwrap_or_default();
        let remote_tag = head.to.tag.clone().unwrap_or_default();
        let route_set: Vec<Bytes> = head.record_route().iter().rev().map(copy).collect();
        let has_route = !route_set.is_empty();
        let mut dialog = Self {
            state: if response.status >= 200 { DialogState::Confirmed } else { DialogState::Early },
            key: dialog_key(&head.call_id, &local_tag, &remote_tag, seed),
            call_id: copy(&head.call_id),
            local_tag: copy(&local_tag),
            remote_tag: copy(&remote_tag),
            local: copy(&head.from.to_text()),
            remote: copy(&head.to.to_text()),
            local_cseq: head.cseq,
            remote_cseq: None,
            remote_target: contact_of(head, has_route).unwrap_or_else(|| head.to.uri.detached()),
            route_set,
            local_address,
            target: flow.back(),
            is_caller: true,
        };
        if dialog.is_shown_the_way(head) {
            dialog.aim(flow);
        }
        dialog
    }

    /// Confirms it by a 2xx of the callee, whose route set counts, whatever the provisional responses before it said
    /// (section 13.2.2.4). Of one that is confirmed already the target alone is refreshed.
    pub fn confirm(&mut self, head: &Head, flow: &Flow) {
        if self.state == DialogState::Early {
            self.state = DialogState::Confirmed;
            self.route_set = head.record_route().iter().rev().map(copy).collect();
        }
        if self.is_shown_the_way(head) {
            self.refresh_target(head, flow);
        }
    }

    /// Whether a response says where requests go. If not, they go back the way that it came.
    fn is_shown_the_way(&self, head: &Head) -> bool {
        !self.route_set.is_empty() || contact_of(head, false).is_some()
    }

    /// The Request-URI and the Route of our requests (section 12.2.1.1): a first proxy that routes strictly, one
    /// without `lr`, takes the place of the remote target, which then ends the route.
    pub fn request_line(&self) -> (Bytes, Cow<'_, [Bytes]>) {
        let target = self.remote_target.as_bytes().clone();
        let first = self.route_set.first().and_then(|route| NameAddr::parse(route.clone()).ok());
        match first {
            Some(strict) if !strict.uri.has_lr() => {
                let bracketed = [b"<", target.as_ref(), b">"].concat();
                let rest = self.route_set.iter().skip(1).cloned().chain([Bytes::from(bracketed)]);
                (strict.uri.as_bytes().clone(), rest.collect())
            }
            _ => (target, Cow::Borrowed(&self.route_set)),
        }
    }

    /// Takes the peer's new Contact from a target refresh request or response (section 12.2).
    pub fn refresh_target(&mut self, head: &Head, flow: &Flow) {
        if let Some(contact) = contact_of(head, !self.route_set.is_empty()) {
            self.remote_target = contact;
        }
        self.aim(flow);
    }

    /// The sequence number of our next request.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.wrapping_add(1) & 0x7fff_ffff;
        self.local_cseq
    }

    /// Whether a request of the peer is in order (section 12.2.2); remembers its number if so.
    pub fn accepts_cseq(&mut self, method: &Method, cseq: u32) -> bool {
        if *method == Method::Ack {
            return true;
        }
        let in_order = self.remote_cseq.is_none_or(|last| cseq > last);
        if in_order {
            self.remote_cseq = Some(cseq);
        }
        in_order
    }

    /// Where requests go: the first route, else the remote target, if that names an address we can send to. A name, or
    /// a private address behind a NAT that we can tell (the peer did not come from it), leaves the way it came.
    fn aim(&mut self, flow: &Flow) {
        let first_route =
            self.route_set.first().and_then(|route| NameAddr::parse(route.clone()).ok()).map(|route| route.uri);
        let has_route = first_route.is_some();
        let uri = first_route.unwrap_or_else(|| self.remote_target.clone());
        self.target = flow.back();
        let Some(ip) = uri.ip() else { return };
        let wants_tcp = uri.transport().is_some_and(|transport| transport.eq_ignore_ascii_case(b"tcp"));
        let transport = if wants_tcp { Transport::Tcp } else { Transport::Udp };
        let remote = SocketAddr::new(ip, uri.port().unwrap_or(5060));
        if transport == Transport::Udp && flow.transport == Transport::Tcp && !has_route && uri.transport().is_none() {
            return;
        }
        if ip == flow.remote.ip() || has_route || !is_behind_nat(ip, flow.remote.ip()) {
            let conn =
                if transport == flow.transport && transport == Transport::Tcp { flow.conn } else { Default::default() };
            self.target = Target { transport, remote, conn };
        }
    }
}

/// A private address in a Contact whose message came from elsewhere: the address is of no use to us.
fn is_behind_nat(contact: std::net::IpAddr, source: std::net::IpAddr) -> bool {
    match (contact, source) {
        (std::net::IpAddr::V4(contact), std::net::IpAddr::V4(source)) => contact.is_private() && !source.is_private(),
        _ => false,
    }
}

/// The peer's Contact. What is no SIP URI, or asks for TLS, does not count: no request could be sent to it, not even a
/// BYE. Where there is a route, the transport is for its last proxy to speak.
fn contact_of(head: &Head, has_route: bool) -> Option<Uri> {
    let may_be_sent_to = |uri: &&Uri| !uri.is_sips() && (has_route || uri.is_in_the_clear());
    head.remote_target().filter(may_be_sent_to).map(Uri::detached)
}

/// A copy that does not keep the datagram alive.
fn copy(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Finds dialogs. Follows from the components by hooks.
#[derive(Resource, Default, Debug)]
pub struct DialogTable {
    by_key: Table<u128, Entity>,
}

impl DialogTable {
    /// The dialog that a message belongs to.
    pub fn find(&self, key: u128) -> Option<Entity> {
        self.by_key.get(&key).copied()
    }

    /// How many dialogs there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

fn index(mut world: DeferredWorld, context: HookContext) {
    let key = world.get::<Dialog>(context.entity).map(|dialog| dialog.key);
    if let (Some(key), Some(mut table)) = (key, world.get_resource_mut::<DialogTable>()) {
        table.by_key.insert(key, context.entity);
    }
}

fn forget(mut world: DeferredWorld, context: HookContext) {
    let key = world.get::<Dialog>(context.entity).map(|dialog| dialog.key);
    if let (Some(key), Some(mut table)) = (key, world.get_resource_mut::<DialogTable>()) {
        table.by_key.remove(&key);
    }
}
