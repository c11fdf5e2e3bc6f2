//! The tick and its phases.

use bevy_ecs::schedule::{ScheduleLabel, SystemSet};

/// The one schedule: `App::update` runs it exactly once.
#[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tick;

/// The phases of a tick, strictly in this order.
///
/// A message is read in a later phase of the tick it was written in, or in a later system of the same phase.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The single place where input enters. Time advances, inputs become messages. Nothing else happens.
    Ingress,
    /// Timers that are due fire, in the order of their deadlines, as `TimerFired` messages.
    Timers,
    /// SIP messages are matched to transactions (RFC 3261 section 17): retransmissions end here, the rest is passed on.
    Transactions,
    /// What transactions pass on is matched to dialogs (RFC 3261 section 12).
    Dialogs,
    /// Calls arrive, are answered, change state and end.
    Sessions,
    /// Users' systems and the call engine: they read facts and write operations.
    Behaviour,
    /// The operations asked for so far (by behaviours, by the API) are checked, arbitrated and carried out.
    Admission,
    /// Received packets reach their streams; rooms are mixed; packets to send are made. The results reach other phases
    /// only as recorded facts, in the next tick.
    Media,
    /// What ended is despawned and what it held is returned. The stock systems are exclusive: a system of a plugin is
    /// ordered after [`Step::Close`].
    Cleanup,
    /// The single place where output leaves: SIP is written, packets are handed over. A system of a plugin is ordered
    /// after [`Step::Flush`].
    Egress,
    /// Counters and digests. Changes nothing that another phase reads.
    Observe,
}

/// The steps between phases, and of those phases in which several plugins take part, in this order.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Between `Sessions` and `Behaviour`: the facts that wait become messages.
    Deliver,
    /// Between `Behaviour` and `Admission`: these messages are removed, and what systems have written is merged.
    Merge,
    /// In `Media`: packets reach their streams.
    Receive,
    /// In `Media`: rooms are mixed.
    Mix,
    /// In `Cleanup`: what has ended in this tick ends what depends on it.
    Relate,
    /// In `Cleanup`: sessions are despawned, with all that they own.
    Reap,
    /// In `Cleanup`: what was related to them comes up to date.
    Settle,
    /// In `Cleanup`: what they shared is looked at.
    Close,
    /// In `Egress`: the network is told how packets are to be marked.
    Mark,
    /// In `Egress`: dialogs write what sessions want sent.
    Compose,
    /// In `Egress`: transactions send what was written.
    Write,
    /// In `Egress`: facts become events.
    Publish,
    /// In `Egress`: what was written leaves.
    Flush,
    /// After `Observe`: what systems have written since `Merge` is merged; its operations wait for the next tick.
    MergeLate,
}
