//! Transactions (RFC 3261 section 17, RFC 6026).

use crate::edge::Target;
use crate::kernel::Table;
use crate::record::Record;
use crate::wire::sip::{Method, ResponseTemplate};
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;
use bytes::Bytes;

/// One transaction, client or server. What it waits for are timers of the kinds below.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
#[component(on_add = index, on_remove = forget)]
pub struct Transaction {
    /// Which of the four state machines it is.
    pub kind: TransactionKind,
    /// Its state.
    pub state: TransactionState,
    /// What messages are matched by (section 17.1.3, 17.2.3).
    pub key: u128,
    /// Of a server transaction of an initial request: recognises the same request by another path (section 8.2.2.2).
    pub merge_key: Option<u128>,
    /// Where its messages go.
    pub target: Target,
    /// The current interval of retransmission.
    pub interval_ms: u32,
    /// The last message sent, for retransmission. Empty where none can be asked for again.
    pub last: Bytes,
    /// Of a server transaction without a final response: what a response is made of.
    pub head: Option<ResponseTemplate>,
    /// The method of its request.
    pub method: Method,
    /// The transaction user (section 5), until it has its final response.
    pub user: TransactionUser,
}

impl Transaction {
    /// Whether it has seen a final response.
    pub fn is_finished(&self) -> bool {
        use TransactionState::{Accepted, Completed, Confirmed};
        matches!(self.state, Completed | Confirmed | Accepted)
    }
}

/// The transaction user: what a request belongs to, and so what its outcome is told to.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionUser {
    /// None: the outcome is of no interest, or not known yet.
    #[default]
    None,
    /// The first INVITE of this session, and its CANCEL: a client transaction without a dialog.
    Session(Entity),
    /// This INVITE usage: INVITE, BYE and what else changes or ends it.
    InviteUsage(Entity),
    /// This subscription: SUBSCRIBE and NOTIFY.
    Subscription(Entity),
    /// This dialog, but none of its usages (RFC 5057 section 5.3): OPTIONS, MESSAGE.
    InDialog(Entity),
    /// A binding of a registered address.
    Registration,
    /// A request outside any dialog that makes none.
    OutOfDialog,
}

impl TransactionUser {
    /// The session, usage or dialog, if it is one.
    pub fn entity(self) -> Option<Entity> {
        match self {
            Self::None | Self::Registration | Self::OutOfDialog => None,
            Self::Session(entity) | Self::InviteUsage(entity) | Self::Subscription(entity) | Self::InDialog(entity) => {
                Some(entity)
            }
        }
    }
}

/// The four state machines of section 17.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionKind {
    /// Section 17.1.1.
    InviteClient,
    /// Section 17.1.2.
    NonInviteClient,
    /// Section 17.2.1.
    InviteServer,
    /// Section 17.2.2.
    NonInviteServer,
}

impl TransactionKind {
    /// Whether it receives a request, rather than sending one.
    pub fn is_server(self) -> bool {
        matches!(self, Self::InviteServer | Self::NonInviteServer)
    }
}

/// The states of section 17 and RFC 6026. There is no "Terminated": such a transaction is despawned.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionState {
    /// An INVITE was sent.
    Calling,
    /// A request other than INVITE was sent or received.
    Trying,
    /// A provisional response was sent or received.
    Proceeding,
    /// A final response was sent or received (an INVITE: other than 2xx).
    Completed,
    /// The ACK for it has come.
    Confirmed,
    /// A 2xx to an INVITE was sent or received (RFC 6026).
    Accepted,
}

/// Timers A, E and G: send the last message again.
pub struct Retransmit;

/// Timers B, F and H (give up) and D, I, J, K, L and M (linger); never two at a time.
pub struct Lifetime;

/// Timer of a server transaction whose request was raised as a fact: nothing has answered it.
pub struct ResponseWait;

/// Finds transactions. Follows from the components by hooks.
#[derive(Resource, Default, Debug)]
pub struct TransactionTable {
    by_key: Table<u128, Entity>,
    by_merge_key: Table<u128, Entity>,
}

impl TransactionTable {
    /// The transaction that a message matches.
    pub fn find(&self, key: u128) -> Option<Entity> {
        self.by_key.get(&key).copied()
    }

    /// The server transaction of the same request that came by another path.
    pub fn find_merged(&self, key: u128) -> Option<Entity> {
        self.by_merge_key.get(&key).copied()
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

fn index(mut world: DeferredWorld, context: HookContext) {
    let keys = world.get::<Transaction>(context.entity).map(|transaction| (transaction.key, transaction.merge_key));
    if let (Some((key, merge_key)), Some(mut table)) = (keys, world.get_resource_mut::<TransactionTable>()) {
        table.by_key.insert(key, context.entity);
        if let Some(merge_key) = merge_key {
            table.by_merge_key.insert(merge_key, context.entity);
        }
    }
}

fn forget(mut world: DeferredWorld, context: HookContext) {
    let keys = world.get::<Transaction>(context.entity).map(|transaction| (transaction.key, transaction.merge_key));
    if let (Some((key, merge_key)), Some(mut table)) = (keys, world.get_resource_mut::<TransactionTable>()) {
        table.by_key.remove(&key);
        if let Some(merge_key) = merge_key {
            table.by_merge_key.remove(&merge_key);
        }
    }
}
