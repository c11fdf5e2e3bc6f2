//! The queues between the phases of signalling. Each has one kind of reader, is filled and emptied within a tick, and
//! keeps the order of arrival: an INVITE and its CANCEL may come in the same tick.

use crate::edge::Flow;
use crate::wire::sip::{Malformed, Message, Request, Response};
use bevy_ecs::prelude::*;
use bytes::Bytes;

/// A queue that is empty between ticks.
#[derive(Resource, Debug)]
pub struct Queue<T: Send + Sync + 'static>(pub Vec<T>);

impl<T: Send + Sync + 'static> Default for Queue<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Send + Sync + 'static> Queue<T> {
    /// Puts one in.
    pub fn push(&mut self, item: T) {
        self.0.push(item);
    }

    /// Takes all out.
    pub fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0)
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

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
        /// The method of the request.
        is_invite: bool,
        /// Whom the transaction served, if it still lives.
        owner: Option<Entity>,
        /// The way it came.
        flow: Flow,
        /// The response.
        response: Box<Response>,
    },
    /// A client transaction ended without a final response, or a server transaction without an ACK.
    Failed {
        /// The transaction's INVITE is meant.
        is_invite: bool,
        /// Whom it served.
        owner: Option<Entity>,
        /// Whether a message could not be sent, rather than time running out.
        by_transport: bool,
    },
}

impl TransactionEvent {
    /// The transaction, dialog or leg whose call is to blame if the work for this panics; none if it is nobody's.
    pub fn culprit(&self) -> Option<Entity> {
        match self {
            Self::Request { transaction, .. } => Some(*transaction),
            Self::Cancelled { invite } => Some(*invite),
            Self::Ack { .. } => None,
            Self::Response { owner, .. } | Self::Failed { owner, .. } => *owner,
        }
    }
}

/// From `Phase::Dialogs` to `Phase::Sessions`.
#[derive(Debug)]
pub enum CallEvent {
    /// An INVITE outside any dialog.
    Invited {
        /// Its transaction.
        transaction: Entity,
        /// The way it came.
        flow: Flow,
        /// The request.
        request: Box<Request>,
    },
    /// A re-INVITE.
    Reinvited {
        /// The dialog.
        dialog: Entity,
        /// Its transaction.
        transaction: Entity,
        /// The request.
        request: Box<Request>,
    },
    /// Our 2xx was acknowledged.
    Acked {
        /// The dialog.
        dialog: Entity,
        /// What came with it: the answer to our offer, if we made one.
        body: Bytes,
        /// Whether to send BYE now.
        then_bye: bool,
        /// Whether an answer was due.
        expects_answer: bool,
    },
    /// Our 2xx was never acknowledged.
    NeverAcked {
        /// The dialog.
        dialog: Entity,
    },
    /// An INVITE was cancelled. Its call may have arrived in this very tick.
    Cancelled {
        /// The transaction of the INVITE.
        invite: Entity,
    },
    /// The peer ended the dialog. The BYE was answered already.
    ByeReceived {
        /// The dialog.
        dialog: Entity,
    },
    /// A provisional response to our INVITE.
    Progressed {
        /// The leg.
        leg: Entity,
        /// The response.
        response: Box<Response>,
    },
    /// A 2xx to our INVITE made or confirmed this dialog, and the ACK is sent.
    Accepted {
        /// The leg.
        leg: Entity,
        /// The dialog.
        dialog: Entity,
        /// The response.
        response: Box<Response>,
    },
    /// A final response other than 2xx to our INVITE, or none at all (status 408 or 503).
    Refused {
        /// The leg.
        leg: Entity,
        /// The status.
        status: u16,
        /// The transport failed.
        by_transport: bool,
    },
    /// Our BYE was answered, or never will be.
    ByeDone {
        /// The dialog.
        dialog: Entity,
    },
}

impl CallEvent {
    /// The transaction, dialog or leg whose call is to blame if the work for this panics.
    pub fn culprit(&self) -> Entity {
        match self {
            Self::Invited { transaction, .. } => *transaction,
            Self::Cancelled { invite } => *invite,
            Self::Reinvited { dialog, .. }
            | Self::Acked { dialog, .. }
            | Self::NeverAcked { dialog }
            | Self::ByeReceived { dialog }
            | Self::ByeDone { dialog } => *dialog,
            Self::Progressed { leg, .. } | Self::Accepted { leg, .. } | Self::Refused { leg, .. } => *leg,
        }
    }
}

/// From `Phase::Sessions`, `Phase::Admission` and `Phase::Cleanup` to `Phase::Egress`: what signalling is to send.
#[derive(Debug)]
pub enum Signal {
    /// A response.
    Respond {
        /// To this server transaction.
        transaction: Entity,
        /// In this dialog (its tag, its Contact), if there is one.
        dialog: Option<Entity>,
        /// The status.
        status: u16,
        /// A session description.
        body: Option<Bytes>,
        /// Whether an answer to it must come in the ACK.
        expects_answer: bool,
    },
    /// An INVITE: the first of a leg, or within its dialog.
    Invite {
        /// The leg.
        leg: Entity,
        /// A session description.
        body: Option<Bytes>,
    },
    /// A CANCEL of the leg's INVITE.
    Cancel {
        /// The leg.
        leg: Entity,
    },
    /// A BYE.
    Bye {
        /// The dialog.
        dialog: Entity,
    },
    /// Nothing: the call is over, and nobody waits for the final response to this INVITE of ours any more.
    Abandon {
        /// Its transaction.
        invite: Entity,
    },
}

impl Signal {
    /// The transaction, dialog or leg whose call is to blame if the work for this panics.
    pub fn culprit(&self) -> Entity {
        match self {
            Self::Respond { transaction, dialog, .. } => dialog.unwrap_or(*transaction),
            Self::Invite { leg, .. } | Self::Cancel { leg } => *leg,
            Self::Abandon { invite } => *invite,
            Self::Bye { dialog } => *dialog,
        }
    }
}
