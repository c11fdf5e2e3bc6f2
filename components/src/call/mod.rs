//! What a call is: sessions with their parts, their state, and the messages about them.

mod counters;
mod description;
mod error;
mod fault;
mod invite;
mod messages;
mod parties;
mod queues;
mod service;
mod session;
mod settings;
mod state;

pub use counters::Counters;
pub use description::LocalDescription;
pub use error::{CallError, CallErrorCause, DialogStanding, ErrorContext, MediaStanding};
pub use fault::{Fault, Faults, contain, contain_item};
pub use invite::{Glare, GlareWait, InviteAim, PendingInvite, SentInvite, SipIdentity};
pub use messages::{
    Announce, CallAction, CallEnded, CallOffered, CallRequest, CancelDeadline, DigitHeard, DurationDeadline,
    RingDeadline, RingThenAnswer, ServiceName, StateChanged,
};
pub use parties::{KeptHeaders, Parties};
pub use queues::{CallEvent, Queue, SessionMessage};
pub use service::{ROOM_NAME_BYTES_MAX, Service};
pub use session::{
    Draining, EndCause, Ended, Ending, IllegalTransition, InviteUsageOf, InviteUsages, Role, SelectedUsage, Session,
    SessionCount, StreamOf, Streams,
};
pub use settings::{LimitSettings, MediaSettings, ServiceSettings, Settings, SipSettings, TimerSettings};
pub use state::{SessionOperation, SessionState, diagram};
