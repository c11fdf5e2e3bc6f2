//! SIP state: transactions (RFC 3261 section 17), dialogs (section 12), their usages (RFC 5057), registration.

mod capabilities;
mod dialog;
mod events;
mod header_names;
mod ident;
mod outgoing;
mod registration;
mod subscription;
mod transaction;
mod usage;

pub use capabilities::{Capabilities, IncomingRequest, MethodScope, RequestHandler, SipApp, SipMethod};
pub use dialog::{Dialog, DialogState, DialogTable};
pub use events::{SipReceived, TransactionEvent};
pub use header_names::may_add_header;
pub use ident::{mint_branch, mint_call_id, mint_tag, world_of};
pub use outgoing::{ClientRequest, ResponseParts, TransactionRequest, contact, tagged};
pub use registration::{Binding, Registrations};
pub use subscription::{Subscription, SubscriptionExpiry, SubscriptionRole, SubscriptionState};
pub use transaction::{
    Lifetime, ResponseWait, Retransmit, Transaction, TransactionKind, TransactionState, TransactionTable,
    TransactionUser,
};
pub use usage::{AckWait, AnswerRetransmit, FailureScope, InviteUsage, SentAck, UnackedAnswer, UsageOf, Usages};
