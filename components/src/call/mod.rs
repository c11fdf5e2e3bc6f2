//! What a call is: sessions with their parts, their state, and the messages about them.

mod claim;
mod counters;
mod deadlines;
mod error;
mod facts;
mod fault;
mod invite;
mod negotiation;
mod operations;
mod parties;
mod queues;
mod service;
mod session;
mod settings;
mod state;

pub use claim::Claim;
pub use counters::Counters;
pub use deadlines::{CancelDeadline, ClaimDeadline, DurationDeadline, RingDeadline, RingThenAnswer};
pub use error::{CallError, CallErrorCause, DialogStanding, ErrorContext, MediaStanding};
pub use facts::{
    AboutCall, Answered, CallEnded, CallOffered, ClaimEnded, DigitHeard, Fact, FactQueue, MediaEstablished,
    OperationDone, StateChanged,
};
pub use fault::{Fault, Faults, contain, contain_item};
pub use invite::{Glare, GlareWait, InviteAim, PendingInvite, SentInvite, SipIdentity};
pub use negotiation::{Agreement, Carrier, Described, Negotiation, OfferAnswerError, OfferState, Part, Received, Side};
pub use operations::{
    OperationQueue, Operations, Ticket, WriteBuffer, WrittenBuffers, WrittenOperation, merge_written,
};
pub use parties::{KeptHeaders, Parties};
pub use queues::{CallEvent, Queue, SessionMessage};
pub use service::{ROOM_NAME_BYTES_MAX, Service};
pub use session::{
    Draining, EndCause, Ended, Ending, IllegalTransition, InviteUsageOf, InviteUsages, Role, SelectedUsage, Session,
    SessionCount, StreamOf, Streams,
};
pub use settings::{LimitSettings, MediaSettings, ServiceSettings, Settings, SipSettings, TimerSettings};
pub use state::{SessionState, diagram};
