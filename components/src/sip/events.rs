//! What passes from the network to transactions, and from there to dialogs. Each has one kind of reader and keeps the
//! order of arrival.

use super::TransactionUser;
use crate::edge::Flow;
use crate::kernel::StableId;
use crate::wire::sip::{Malformed, Message, Method, Request, Response};
use bevy_ecs::prelude::*;

/// From `Phase::Ingress` to `Phase::Transactions`.
#[derive(Debug)]
pub struct SipReceived {
    /// The way it came.
    pub flow: Flow,
    /// The message, or why it is none.
    pub message: Box<Result<Message, Malformed>>,
}

/// From `Phase::Transactions` to `Phase::Dialogs`.
#[derive(Debug)]
pub enum TransactionEvent {
    /// A request that began a server transaction.
    Request {
        /// The transaction.
        transaction: Entity,
        /// The way it came.
        flow: Flow,
        /// The request.
        request: Box<Request>,
    },
    /// An ACK that belongs to no transaction: to a 2xx, that is.
    Ack {
        /// The way it came.
        flow: Flow,
        /// The request.
        request: Box<Request>,
    },
    /// A CANCEL whose INVITE is still open. It was answered already.
    Cancelled {
        /// The transaction of the INVITE.
        invite: Entity,
    },
    /// A response that its transaction let through.
    Response {
        /// The client transaction.
        transaction: Entity,
        /// The method of the request.
        method: Method,
        /// The transaction user.
        user: TransactionUser,
        /// The way it came.
        flow: Flow,
        /// The response.
        response: Box<Response>,
    },
    /// A client transaction ended without a final response.
    Failed {
        /// The name of the transaction, which is despawned.
        transaction: StableId,
        /// The method of the request.
        method: Method,
        /// The transaction user.
        user: TransactionUser,
        /// Whether the request could not be sent, rather than time running out.
        by_transport: bool,
    },
    /// The INVITE client transaction of a session ended 64*T1 after its first 2xx: no further fork can answer (RFC 3261
    /// section 13.2.2.4).
    ForkingOver {
        /// The session.
        session: Entity,
    },
}

impl TransactionEvent {
    /// The entity whose call is ended if the work for this panics, if there is one.
    pub fn culprit(&self) -> Option<Entity> {
        match self {
            Self::Request { transaction, .. } => Some(*transaction),
            Self::Cancelled { invite } => Some(*invite),
            Self::Ack { .. } => None,
            Self::Response { user, .. } | Self::Failed { user, .. } => user.entity(),
            Self::ForkingOver { session } => Some(*session),
        }
    }
}
