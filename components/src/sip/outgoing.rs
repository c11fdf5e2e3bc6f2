//! Responses and requests of ours, written from transactions and dialogs, and what transactions are asked to do with
//! them.

use super::{Capabilities, Dialog, Transaction, TransactionKind, TransactionState, TransactionUser};
use crate::call::Settings;
use crate::edge::{Target, Transport};
use crate::kernel::StableId;
use crate::wire::sip::{Method, OutgoingRequest, client_key, reason_phrase};
use crate::wire::text::PushText;
use bevy_ecs::prelude::*;
use bytes::Bytes;
use std::borrow::Cow;
use std::net::SocketAddr;

/// From dialogs, sessions and the registrar to transactions, which carry it out in `Phase::Egress`, in this order.
#[derive(Debug)]
pub enum TransactionRequest {
    /// Send a response. Nothing happens if the transaction has had its final response.
    Respond {
        /// To this server transaction.
        transaction: Entity,
        /// The status.
        status: u16,
        /// The response, see [`Transaction::response`].
        bytes: Bytes,
    },
    /// Send the request of a client transaction that was just made, see [`Transaction::client`].
    Begin {
        /// The transaction.
        transaction: Entity,
    },
    /// Send a CANCEL for an INVITE of ours that got a provisional response (section 9.1).
    Cancel {
        /// The transaction of the INVITE.
        invite: Entity,
    },
    /// The final response to this INVITE of ours is of no interest any more: wait for it no longer than 64*T1.
    Abandon {
        /// The transaction of the INVITE.
        invite: Entity,
    },
}

impl TransactionRequest {
    /// The transaction whose call is ended if the work for this panics.
    pub fn culprit(&self) -> Entity {
        match self {
            Self::Respond { transaction, .. } | Self::Begin { transaction } => *transaction,
            Self::Cancel { invite } | Self::Abandon { invite } => *invite,
        }
    }

    /// A response through a server transaction; none if it has had its final response.
    pub fn response(world: &World, transaction: Entity, status: u16, parts: &ResponseParts<'_>) -> Option<Self> {
        let id = *world.get::<StableId>(transaction)?;
        let bytes = world.get::<Transaction>(transaction)?.response(id, status, parts)?;
        Some(Self::Respond { transaction, status, bytes })
    }

    /// A response without dialog or body, with the header fields that RFC 3261 asks for with that status.
    pub fn refusal(world: &World, transaction: Entity, status: u16) -> Option<Self> {
        let capabilities = world.resource::<Capabilities>();
        let mut parts = ResponseParts::default();
        match status {
            405 | 501 => parts.add("Allow", capabilities.allow()),
            415 => {
                let method = world.get::<Transaction>(transaction).map(|transaction| &transaction.method);
                parts.add("Accept", capabilities.accept(method));
            }
            503 => parts.add("Retry-After", world.resource::<Settings>().limits.retry_after_s.to_string()),
            _ => {}
        }
        Self::response(world, transaction, status, &parts)
    }
}

/// What a response holds beside what its request dictates.
#[derive(Clone, Debug, Default)]
pub struct ResponseParts<'a> {
    /// Our tag. Without one a tag is made for final responses: the transaction's stable id names it well enough.
    pub to_tag: Option<Bytes>,
    /// Contact and the like.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether Record-Route is copied (section 12.1.1).
    pub makes_dialog: bool,
    /// Content type and body.
    pub body: Option<(&'a str, &'a [u8])>,
}

impl<'a> ResponseParts<'a> {
    /// Adds a header field.
    pub fn add(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        self.headers.push((name.into(), value.into()));
    }

    /// Those with one header field.
    pub fn with(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        Self { headers: vec![(name.into(), value.into())], ..Self::default() }
    }
}

impl Transaction {
    /// The response of that status; none if it is a client transaction, or has had its final response.
    pub fn response(&self, id: StableId, status: u16, parts: &ResponseParts<'_>) -> Option<Bytes> {
        let head = self.head.as_ref().filter(|_| self.kind.is_server())?;
        let made;
        let tag = match &parts.to_tag {
            Some(tag) => std::str::from_utf8(tag).ok(),
            None if status == 100 => None,
            None => {
                made = format!("rw{:02x}{:x}", id.world(), id.0 & 0x00ff_ffff_ffff_ffff);
                Some(made.as_str())
            }
        };
        let headers: Vec<(&str, &str)> = parts.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        Some(head.write(status, reason_phrase(status), tag, parts.makes_dialog, &headers, parts.body))
    }

    /// A client transaction for a request, to be spawned and begun by [`TransactionRequest::Begin`].
    pub fn client(request: ClientRequest, user: TransactionUser, t1_ms: u32, seed: u64) -> Self {
        let ClientRequest { method, branch, target, bytes, .. } = request;
        let is_invite = method == Method::Invite;
        Self {
            kind: if is_invite { TransactionKind::InviteClient } else { TransactionKind::NonInviteClient },
            state: if is_invite { TransactionState::Calling } else { TransactionState::Trying },
            key: client_key(branch.as_bytes(), &method, seed),
            merge_key: None,
            target,
            interval_ms: t1_ms,
            last: bytes,
            head: None,
            method,
            user,
        }
    }
}

/// A request of ours, written.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    /// The method.
    pub method: Method,
    /// The branch in its Via.
    pub branch: String,
    /// Where it goes.
    pub target: Target,
    /// The CSeq number.
    pub cseq: u32,
    /// The request.
    pub bytes: Bytes,
}

impl Dialog {
    /// A request within the dialog (section 12.2.1.1). `extra` are further header fields, the body is content type and
    /// octets.
    pub fn request(
        &self,
        method: Method,
        branch: String,
        cseq: u32,
        extra: &[(&str, &str)],
        body: Option<(&str, &[u8])>,
    ) -> ClientRequest {
        let own_contact = contact(self.local_address, self.target.transport);
        let is_target_refresh = matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify);
        let (uri, route) = self.request_line();
        let bytes = OutgoingRequest {
            method: &method,
            uri: &uri,
            via_transport: self.target.transport.as_str(),
            via_sent_by: &self.local_address.to_string(),
            branch: &branch,
            from: &tagged(&self.local, &self.local_tag),
            to: &tagged(&self.remote, &self.remote_tag),
            call_id: &self.call_id,
            cseq,
            max_forwards: 70,
            route: &route,
            contact: is_target_refresh.then_some(own_contact.as_str()),
            extra,
            body,
        }
        .write();
        ClientRequest { method, branch, target: self.target, cseq, bytes }
    }
}

/// A Contact header field's value.
pub fn contact(address: SocketAddr, transport: Transport) -> String {
    let mut contact = String::with_capacity(64);
    contact.push_str("<sip:");
    contact.push_socket(address);
    contact.push_str(match transport {
        Transport::Udp => ">",
        Transport::Tcp => ";transport=tcp>",
    });
    contact
}

/// A From or To value of its text and a tag, which may be empty.
pub fn tagged(text: &[u8], tag: &[u8]) -> Vec<u8> {
    let mut value = text.to_vec();
    if !tag.is_empty() {
        value.extend_from_slice(b";tag=");
        value.extend_from_slice(tag);
    }
    value
}
