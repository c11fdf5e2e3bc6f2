//! What a call is: sessions, their legs, dialogs and transactions, their state, and the messages about them.

mod claim;
mod counters;
mod deadlines;
mod dialog;
mod error;
mod facts;
mod fault;
mod ident;
mod leg;
mod negotiation;
mod operations;
mod queues;
mod registration;
mod service;
mod session;
mod settings;
mod state;
mod transaction;

pub use claim::Claim;
pub use counters::Counters;
pub use deadlines::{CancelDeadline, ClaimDeadline, DurationDeadline, RingDeadline, RingThenAnswer};
pub use dialog::{AckWait, AnswerRetransmit, Dialog, DialogState, DialogTable, SentAck, UnackedAnswer};
pub use error::{CallError, CallErrorCause, DialogStanding, ErrorContext, MediaStanding};
pub use facts::{
    AboutCall, Answered, CallEnded, CallOffered, ClaimEnded, DigitHeard, Fact, FactQueue, MediaEstablished,
    OperationDone, StateChanged,
};
pub use fault::{Fault, Faults, contain, contain_item};
pub use ident::{mint_branch, mint_call_id, mint_tag, world_of};
pub use leg::{Glare, GlareWait, InviteAim, Leg, OutgoingInvite};
pub use negotiation::{Agreement, Carrier, Described, Negotiation, OfferAnswerError, OfferState, Part, Received, Side};
pub use operations::{
    OperationQueue, Operations, Ticket, WriteBuffer, WrittenBuffers, WrittenOperation, merge_written,
};
pub use queues::{CallEvent, Queue, Signal, SipReceived, TransactionEvent};
pub use registration::{Binding, Registrations};
pub use service::{ROOM_NAME_BYTES_MAX, Service};
pub use session::{
    DialogOf, Dialogs, Draining, EndCause, Ended, Ending, IllegalTransition, LegOf, Legs, Role, Session, SessionCount,
    StreamOf, Streams,
};
pub use settings::{LimitSettings, MediaSettings, ServiceSettings, Settings, SipSettings, TimerSettings};
pub use state::{SessionState, diagram};
pub use transaction::{Lifetime, Retransmit, Transaction, TransactionKind, TransactionState, TransactionTable};
