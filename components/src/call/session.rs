//! Sessions, and how they are related to usages and streams.

use super::SessionState;
use crate::kernel::Now;
use crate::record::Record;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;

/// One party's part in a call: its state machine. Changed through [`Session::change`] alone. The other parts of a
/// session are components of the same entity ([`Parties`](super::Parties), [`SipIdentity`](super::SipIdentity),
/// [`PendingInvite`](super::PendingInvite), [`SelectedUsage`], [`Service`](super::Service)), its INVITE usages
/// ([`InviteUsages`]) and its streams ([`Streams`]).
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
#[component(on_add = enter, on_remove = leave)]
pub struct Session {
    state: SessionState,
    since: Now,
    /// When it was created.
    pub created: Now,
    /// Which side started it.
    pub role: Role,
    /// Why it is ending, once it is.
    pub ending: Option<Ending>,
}

/// The INVITE usage that a session goes on in: of an incoming call the only one, of forks the first that was answered;
/// none while a placed call has no answer.
#[derive(Component, Record, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelectedUsage(pub Option<Entity>);

/// How many sessions there are. Follows from the components by hooks.
#[derive(Resource, Default, Debug)]
pub struct SessionCount {
    /// Now.
    pub sessions: u32,
    /// The most at a time.
    pub peak: u32,
}

fn enter(mut world: DeferredWorld, _: HookContext) {
    if let Some(mut living) = world.get_resource_mut::<SessionCount>() {
        living.sessions += 1;
        living.peak = living.peak.max(living.sessions);
    }
}

fn leave(mut world: DeferredWorld, _: HookContext) {
    if let Some(mut living) = world.get_resource_mut::<SessionCount>() {
        living.sessions = living.sessions.saturating_sub(1);
    }
}

/// Sessions that have ended. They stay to the end of the next tick, so that every system can read them.
#[derive(Resource, Record, Default, Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// In this tick.
    pub fresh: Vec<Entity>,
    /// In the tick before: to be despawned.
    pub stale: Vec<Entity>,
}

/// Whether new calls are refused because the switch is shutting down.
#[derive(Resource, Record, Default, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draining(pub bool);

/// Which side placed the call.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The peer did: we are the user agent server of the first INVITE.
    Incoming,
    /// We did.
    Outgoing,
}

/// How a session ended.
#[derive(Record, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// The cause.
    pub cause: EndCause,
    /// The SIP status that went with it, 0 if none.
    pub status: u16,
}

/// Why a session ended.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndCause {
    /// The peer sent BYE.
    PeerHungUp,
    /// We did, by request of a behaviour or the API.
    HungUp,
    /// The caller sent CANCEL.
    Cancelled,
    /// A final response refused the call.
    Rejected,
    /// The call was not answered within the ringing time.
    RingTimeout,
    /// The call was not decided about within the deferral time.
    DeferralTimeout,
    /// The call reached its maximum duration.
    DurationLimit,
    /// The peer's RTP stopped for too long.
    MediaTimeout,
    /// A transaction timed out (RFC 3261 timers B, F, H) or the 200 was never acknowledged.
    SignallingTimeout,
    /// A message could not be sent.
    TransportFailure,
    /// The peer no longer knows the dialog (481 or 408).
    DialogLost,
    /// The switch is shutting down.
    Drained,
    /// The answer that the peer sent can't be used.
    NegotiationFailed,
    /// The work for it panicked: a defect of the switch or of a plugin.
    InternalError,
    /// Its parent ended, and it depends on it.
    ParentEnded,
    /// The other leg of its sequence ended.
    OtherLegEnded,
}

impl EndCause {
    /// In words, as summaries show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PeerHungUp => "peer hung up",
            Self::HungUp => "hung up",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::RingTimeout => "not answered in time",
            Self::DeferralTimeout => "not decided in time",
            Self::DurationLimit => "maximum duration reached",
            Self::MediaTimeout => "no RTP for too long",
            Self::SignallingTimeout => "signalling timed out",
            Self::TransportFailure => "transport failed",
            Self::DialogLost => "peer lost the dialog",
            Self::Drained => "drained",
            Self::NegotiationFailed => "no usable answer",
            Self::InternalError => "internal error",
            Self::ParentEnded => "parent ended",
            Self::OtherLegEnded => "other leg ended",
        }
    }
}

/// The change that a state machine refused. Nothing was changed.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
pub struct IllegalTransition {
    /// The state it is in.
    pub from: SessionState,
    /// The state it can't go to from there.
    pub to: SessionState,
}

impl std::fmt::Display for IllegalTransition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a session can't go from {} to {}", self.from, self.to)
    }
}

impl std::error::Error for IllegalTransition {}

impl Session {
    /// A session that was just created.
    pub fn new(role: Role, now: Now) -> Self {
        Self { state: SessionState::Initializing, since: now, created: now, role, ending: None }
    }

    /// The state it is in.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// Since when it is in this state.
    pub fn since(&self) -> Now {
        self.since
    }

    /// Goes to another state, or refuses and changes nothing. Returns the state that was left.
    pub fn change(&mut self, to: SessionState, now: Now) -> Result<SessionState, IllegalTransition> {
        let from = self.state;
        if !from.can_transition_to(to) {
            return Err(IllegalTransition { from, to });
        }
        self.state = to;
        self.since = now;
        Ok(from)
    }
}

/// An INVITE usage belongs to a session; usages go when the session goes.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = InviteUsages)]
pub struct InviteUsageOf(pub Entity);

/// The INVITE usages of a session; several of them if its INVITE was forked.
#[derive(Component, Debug)]
#[relationship_target(relationship = InviteUsageOf, linked_spawn)]
pub struct InviteUsages(Vec<Entity>);

/// A media stream belongs to a session.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = Streams)]
pub struct StreamOf(pub Entity);

/// The media streams of a session.
#[derive(Component, Debug)]
#[relationship_target(relationship = StreamOf, linked_spawn)]
pub struct Streams(Vec<Entity>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_illegal_change_is_refused_and_changes_nothing() {
        let mut session = Session::new(Role::Incoming, Now(3));
        let before = session.clone();
        let refused = session.change(SessionState::OnHold, Now(9));
        assert_eq!(refused, Err(IllegalTransition { from: SessionState::Initializing, to: SessionState::OnHold }));
        assert_eq!(session, before);
        assert_eq!(session.change(SessionState::Ringing, Now(9)), Ok(SessionState::Initializing));
        assert_eq!((session.state(), session.since()), (SessionState::Ringing, Now(9)));
    }

    /// A session that came to `state` by legal changes.
    fn in_state(state: SessionState) -> Session {
        let mut reached = vec![Session::new(Role::Incoming, Now(0))];
        let mut at = 0;
        while reached[at].state() != state {
            for to in SessionState::ALL {
                let mut next = reached[at].clone();
                if next.change(to, Now(1)).is_ok() && !reached.iter().any(|session| session.state() == to) {
                    reached.push(next);
                }
            }
            at += 1;
        }
        reached.swap_remove(at)
    }

    #[test]
    fn all_sixty_four_changes_do_what_the_matrix_says() {
        for from in SessionState::ALL {
            for to in SessionState::ALL {
                let before = in_state(from);
                let mut session = before.clone();
                let changed = session.change(to, Now(9));
                if from.can_transition_to(to) {
                    assert_eq!((changed, session.state(), session.since()), (Ok(from), to, Now(9)));
                } else {
                    assert_eq!((changed, session), (Err(IllegalTransition { from, to }), before));
                }
            }
        }
    }
}
