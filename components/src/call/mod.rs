//! What a call is: sessions with their parts, their state, and the messages about them.

mod carry_out;
mod claim;
mod counters;
mod deadlines;
mod dependency;
mod error;
mod facts;
mod fault;
mod group;
mod invite;
mod negotiation;
mod operations;
mod parties;
mod priority;
mod priority_rules;
mod queues;
mod relation;
mod resources;
mod sequence;
mod service;
mod session;
mod settings;
mod state;

pub use carry_out::{CarryOut, OperationApp, OperationTable};
pub use claim::Claim;
pub use counters::Counters;
pub use deadlines::{CancelDeadline, ClaimDeadline, DurationDeadline, InviteExpiry, RingDeadline, RingThenAnswer};
pub use dependency::{ChildSessions, Dependency, DependencyError, DependencyKind, DependencyState, ParentSession};
pub use error::{CallError, CallErrorCause, DialogStanding, ErrorContext, MediaStanding};
pub use facts::{
    AboutCall, Answered, CallEnded, CallOffered, ChildEnded, ClaimEnded, DigitHeard, Fact, FactQueue, GroupEnded,
    GroupEntered, GroupLeft, MediaEstablished, OperationDone, PriorityChanged, RequestReceived, ResponseReceived,
    SequenceChanged, SourceChanged, StateChanged,
};
pub use fault::{Fault, Faults, contain, contain_item};
pub use group::{
    GROUP_NAME_BYTES_MAX, Group, GroupChoice, GroupCount, GroupError, GroupKind, LeftGroups, MemberOf, Members,
    Membership, MembershipOf, Memberships,
};
pub use invite::{Glare, GlareWait, InviteAim, PendingInvite, SentInvite, SipIdentity};
pub use negotiation::{Agreement, Carrier, Described, Negotiation, OfferAnswerError, OfferState, Part, Received, Side};
pub use operations::{
    OperationQueue, Operations, Ticket, WriteBuffer, WrittenBuffers, WrittenOperation, merge_written,
};
pub use parties::{KeptHeaders, Parties};
pub use priority::{Priority, PriorityLevel, PrioritySource, QosClass, priority_of_headers};
pub use priority_rules::{PriorityRule, PrioritySettings, RuleField};
pub use queues::{CallEvent, Queue, SessionMessage};
pub use relation::{EndFollower, StateEntered};
pub use resources::{Account, Accounts, AdmissionRefusal, Amounts, Charge, MeasuredLoad, ResourceSettings};
pub use sequence::{ALeg, ALegOf, BLeg, BLegOf, EndingRule, Sequence, SequenceError, SequenceState};
pub use service::{ROOM_NAME_BYTES_MAX, Service, is_refusal};
pub use session::{
    Draining, EndCause, Ended, Ending, IllegalTransition, InviteUsageOf, InviteUsages, Role, SelectedUsage, Session,
    SessionCount, StreamOf, Streams,
};
pub use settings::{LimitSettings, MediaSettings, ServiceSettings, Settings, SipSettings, TimerSettings};
pub use state::{SessionState, diagram};
