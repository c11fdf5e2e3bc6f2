//! The queues between the phases of signalling. Each has one kind of reader, is filled and emptied within a tick, and
//! keeps the order of arrival: an INVITE and its CANCEL may come in the same tick.

use crate::edge::{Flow, SendRequest};
use crate::kernel::StableId;
use crate::sip::TransactionUser;
use crate::wire::sip::{Request, Response, Warning};
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
        /// The usage.
        usage: Entity,
        /// Its transaction.
        transaction: Entity,
        /// The way it came.
        flow: Flow,
        /// The request.
        request: Box<Request>,
    },
    /// Our 2xx was acknowledged.
    Acked {
        /// The usage.
        usage: Entity,
        /// The session description in it: the answer to our offer, if we made one.
        body: Option<Bytes>,
        /// Whether to send BYE now.
        then_bye: bool,
    },
    /// Our 2xx was never acknowledged.
    NeverAcked {
        /// The usage.
        usage: Entity,
    },
    /// An INVITE was cancelled. Its call may have arrived in this very tick.
    Cancelled {
        /// The transaction of the INVITE.
        invite: Entity,
    },
    /// The peer ended the usage. The BYE was answered already.
    ByeReceived {
        /// The usage.
        usage: Entity,
    },
    /// The peer pressed a key, by INFO.
    DigitReceived {
        /// The usage.
        usage: Entity,
        /// `0-9 * # A-D`.
        digit: char,
        /// How long it was pressed, in milliseconds; 0 if the peer did not say.
        duration_ms: u32,
    },
    /// A provisional response to our INVITE.
    Progressed {
        /// The session.
        session: Entity,
        /// The usage of its early dialog, if it made or belongs to one.
        usage: Option<Entity>,
        /// The response.
        response: Box<Response>,
    },
    /// A 2xx to our INVITE made or confirmed the dialog of this usage, and the ACK is sent.
    Accepted {
        /// The session.
        session: Entity,
        /// The usage.
        usage: Entity,
        /// The response.
        response: Box<Response>,
    },
    /// A final response other than 2xx to our INVITE, or none at all (status 408 or 503).
    Refused {
        /// The session.
        session: Entity,
        /// The status.
        status: u16,
        /// The transport failed.
        by_transport: bool,
    },
    /// Our BYE was answered, or never will be.
    ByeDone {
        /// The usage.
        usage: Entity,
    },
    /// A request of ours within the usage failed in a way that ends it (RFC 5057 section 5).
    UsageLost {
        /// The usage.
        usage: Entity,
        /// The status.
        status: u16,
    },
}

impl CallEvent {
    /// The transaction, usage or session whose call is ended if the work for this panics.
    pub fn culprit(&self) -> Entity {
        match self {
            Self::Invited { transaction, .. } => *transaction,
            Self::Cancelled { invite } => *invite,
            Self::Reinvited { usage, .. }
            | Self::Acked { usage, .. }
            | Self::NeverAcked { usage }
            | Self::ByeReceived { usage }
            | Self::DigitReceived { usage, .. }
            | Self::ByeDone { usage }
            | Self::UsageLost { usage, .. } => *usage,
            Self::Progressed { session, .. } | Self::Accepted { session, .. } | Self::Refused { session, .. } => {
                *session
            }
        }
    }
}

/// From `Phase::Sessions`, `Phase::Admission` and `Phase::Cleanup` to `Phase::Egress`: the messages that sessions, and
/// plugins by their operations, want sent.
#[derive(Debug)]
pub enum SessionMessage {
    /// A response to the peer's INVITE.
    Respond {
        /// To this server transaction.
        transaction: Entity,
        /// In this usage's dialog (its tag, its Contact), if there is one.
        usage: Option<Entity>,
        /// The status.
        status: u16,
        /// Why the request is refused, if the peer is told.
        warning: Option<Warning>,
        /// A session description.
        body: Option<Bytes>,
    },
    /// An INVITE: the first of a session, or within its selected usage.
    Invite {
        /// The session.
        session: Entity,
        /// A session description.
        body: Option<Bytes>,
    },
    /// A CANCEL of the session's INVITE.
    Cancel {
        /// The session.
        session: Entity,
    },
    /// A BYE.
    Bye {
        /// The usage.
        usage: Entity,
    },
    /// A request that an operation asked for.
    Request {
        /// The name that its transaction gets.
        id: StableId,
        /// What it belongs to.
        user: TransactionUser,
        /// The request.
        request: Box<SendRequest>,
    },
}

impl SessionMessage {
    /// The transaction, usage or session whose call is ended if the work for this panics, if there is one.
    pub fn culprit(&self) -> Option<Entity> {
        match self {
            Self::Respond { transaction, usage, .. } => Some(usage.unwrap_or(*transaction)),
            Self::Invite { session, .. } | Self::Cancel { session } => Some(*session),
            Self::Bye { usage } => Some(*usage),
            Self::Request { user, .. } => user.entity(),
        }
    }
}
