//! What a call is: sessions, their legs, dialogs and transactions, their state, and the messages about them.

mod counters;
mod dialog;
mod error;
mod fault;
mod ident;
mod leg;
mod messages;
mod negotiation;
mod queues;
mod registration;
mod service;
mod session;
mod settings;
mod state;
mod transaction;

pub use counters::Counters;
pub use dialog::{AckWait, AnswerRetransmit, Dialog, DialogState, DialogTable, SentAck, UnackedAnswer};
pub use error::{CallError, CallErrorCause, DialogStanding, ErrorContext, MediaStanding};
pub use fault::{Fault, Faults, contain, contain_item};
pub use ident::{mint_branch, mint_call_id, mint_tag, world_of};
pub use leg::{Glare, GlareWait, InviteAim, Leg, OutgoingInvite};
pub use messages::{
    Announce, CallAction, CallEnded, CallOffered, CallRequest, CancelDeadline, DigitHeard, DurationDeadline,
    RingDeadline, RingThenAnswer, ServiceName, StateChanged,
};
pub use negotiation::{Agreement, Carrier, Described, Negotiation, OfferAnswerError, OfferState, Part, Received, Side};
pub use queues::{CallEvent, Queue, Signal, SipReceived, TransactionEvent};
pub use registration::{Binding, Registrations};
pub use service::{ROOM_NAME_BYTES_MAX, Service};
pub use session::{
    DialogOf, Dialogs, Draining, EndCause, Ended, Ending, IllegalTransition, LegOf, Legs, Role, Session, SessionCount,
    StreamOf, Streams,
};
pub use settings::{LimitSettings, MediaSettings, ServiceSettings, Settings, SipSettings, TimerSettings};
pub use state::{SessionOperation, SessionState, diagram};
pub use transaction::{Lifetime, Retransmit, Transaction, TransactionKind, TransactionState, TransactionTable};
