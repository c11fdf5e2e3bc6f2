//! What a call is: sessions, their legs, dialogs and transactions, their state, and the messages about them.

mod carry_out;
mod claim;
mod counters;
mod deadlines;
mod dependency;
mod dialog;
mod error;
mod facts;
mod fault;
mod group;
mod ident;
mod leg;
mod operations;
mod priority;
mod priority_rules;
mod queues;
mod registration;
mod relation;
mod resources;
mod sequence;
mod service;
mod session;
mod settings;
mod state;
mod transaction;

pub use carry_out::{CarryOut, OperationApp, OperationTable};
pub use claim::Claim;
pub use counters::Counters;
pub use deadlines::{CancelDeadline, ClaimDeadline, DurationDeadline, RingDeadline, RingThenAnswer};
pub use dependency::{ChildSessions, Dependency, DependencyError, DependencyKind, DependencyState, ParentSession};
pub use dialog::{AckWait, AnswerRetransmit, Dialog, DialogState, DialogTable, SentAck, UnackedAnswer};
pub use error::{CallError, CallErrorCause, DialogStanding, ErrorContext, MediaStanding};
pub use facts::{
    AboutCall, Answered, CallEnded, CallOffered, ChildEnded, ClaimEnded, DigitHeard, Fact, FactQueue, GroupEnded,
    GroupEntered, GroupLeft, MediaEstablished, OperationDone, PriorityChanged, SequenceChanged, StateChanged,
};
pub use fault::{Fault, Faults, contain, contain_item};
pub use group::{
    GROUP_NAME_BYTES_MAX, Group, GroupChoice, GroupCount, GroupError, GroupKind, LeftGroups, MemberOf, Members,
    Membership, MembershipOf, Memberships,
};
pub use ident::{mint_branch, mint_call_id, mint_tag, world_of};
pub use leg::{Glare, GlareWait, InviteAim, Leg, OutgoingInvite};
pub use operations::{
    OperationQueue, Operations, Ticket, WriteBuffer, WrittenBuffers, WrittenOperation, merge_written,
};
pub use priority::{Priority, PriorityLevel, PrioritySource, QosClass, priority_of_headers};
pub use priority_rules::{PriorityRule, PrioritySettings, RuleField};
pub use queues::{CallEvent, Queue, Signal, SipReceived, TransactionEvent};
pub use registration::{Binding, Registrations};
pub use relation::{EndFollower, StateEntered};
pub use resources::{Account, Accounts, AdmissionRefusal, Amounts, Charge, MeasuredLoad, ResourceSettings};
pub use sequence::{ALeg, ALegOf, BLeg, BLegOf, EndingRule, Sequence, SequenceError, SequenceState};
pub use service::{ROOM_NAME_BYTES_MAX, Service};
pub use session::{
    DialogOf, Dialogs, Draining, EndCause, Ended, Ending, IllegalTransition, LegOf, Legs, Role, Session, SessionCount,
    StreamOf, Streams,
};
pub use settings::{LimitSettings, MediaSettings, ServiceSettings, Settings, SipSettings, TimerSettings};
pub use state::{SessionState, diagram};
pub use transaction::{Lifetime, Retransmit, Transaction, TransactionKind, TransactionState, TransactionTable};
