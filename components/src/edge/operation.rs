//! What can be done to a world and to its calls: one type for the API, for behaviours, for HTTP and for the simulator.

use crate::call::{DependencyKind, EndingRule, GroupChoice, PriorityLevel, QosClass, SessionState};
use crate::kernel::{StableId, WallTime};
use crate::record::Record;
use crate::wire::sip::Method;
use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// One thing to be done. It is carried out in `Phase::Admission`, in one place, whoever asks for it: a command from outside
/// ([`Command`](super::Command)) or a system ([`Operations`](crate::call::Operations)).
///
/// An operation that is illegal in the session's state, or that loses against another one of the same tick, changes nothing
/// and returns an error.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Place a call. The result is the id of the new session.
    Place(PlaceCall),
    /// Send 180 for an offered call.
    Ring {
        /// The session.
        session: StableId,
    },
    /// Answer an offered or ringing call with 200 and connect it to a service, named as the user part of a request URI
    /// names it (`echo`, `conf-NAME` ...).
    Answer {
        /// The session.
        session: StableId,
        /// The service.
        service: String,
    },
    /// Refuse an offered or ringing call with a final response.
    Reject {
        /// The session.
        session: StableId,
        /// The SIP status, 300-699.
        status: u16,
    },
    /// Put a connected call on hold by re-INVITE.
    Hold {
        /// The session.
        session: StableId,
    },
    /// Take a held call back by re-INVITE.
    Resume {
        /// The session.
        session: StableId,
    },
    /// Send digits by RFC 4733.
    SendDtmf {
        /// The session.
        session: StableId,
        /// `0-9 * # A-D`.
        digits: String,
    },
    /// Play a clip to the peer, over whatever it hears. Clips are short signals: two beeps for every name, until files can
    /// be played.
    Announce {
        /// The session.
        session: StableId,
        /// The name of the clip.
        clip: String,
    },
    /// End a call in whatever state it is: BYE, CANCEL or a final response.
    HangUp {
        /// The session.
        session: StableId,
    },
    /// Take the decision about an offered or ringing call away from default routing, for a limited time.
    Claim {
        /// The session.
        session: StableId,
        /// The name of the plugin that claims it.
        by: String,
        /// How long the claim lasts, in milliseconds. Then [`ClaimEnded`](crate::call::ClaimEnded) is raised and default
        /// routing decides; without it the call is refused with 480 after the time for a decision.
        lasts_ms: u32,
    },
    /// Give a claimed call back to default routing.
    Release {
        /// The session.
        session: StableId,
        /// The name of the plugin that claimed it.
        by: String,
    },
    /// Answer a request that came as a [`RequestReceived`](crate::call::RequestReceived).
    Respond {
        /// Its transaction, as the fact names it.
        transaction: StableId,
        /// The status, 200-699.
        status: u16,
        /// Further header fields.
        headers: Vec<(String, String)>,
        /// Content type and octets.
        body: Option<(String, Bytes)>,
    },
    /// Send a request. The result names it, and so do the [`ResponseReceived`](crate::call::ResponseReceived) that follow.
    SendRequest(SendRequest),
    /// Refuse new calls from now on, and end those that there are.
    Drain,
    /// Set the time of day, where the clock outside and the ticks have parted.
    Reanchor {
        /// The time.
        time: WallTime,
    },
    /// Make one session the child of another one, or change the kind of a child of that parent.
    Link {
        /// The parent.
        parent: StableId,
        /// The child.
        child: StableId,
        /// What the end of the parent does to the child.
        kind: DependencyKind,
    },
    /// Make a child a session without a parent.
    Unlink {
        /// The child.
        child: StableId,
    },
    /// Put two sessions in sequence, or change the rule of their sequence. The reply names the sequence.
    Sequence {
        /// The A-leg.
        a: StableId,
        /// The B-leg.
        b: StableId,
        /// Which ending ends the other leg.
        rule: EndingRule,
    },
    /// Let a session enter a group. The reply names the group.
    EnterGroup {
        /// The session.
        session: StableId,
        /// Which group.
        group: GroupChoice,
    },
    /// Let a session leave a group.
    LeaveGroup {
        /// The session.
        session: StableId,
        /// The group.
        group: StableId,
    },
    /// Let all members leave a group.
    EndGroup {
        /// The group.
        group: StableId,
    },
    /// Tell the load that was measured outside.
    ReportLoad {
        /// The load of the processor, in thousandths.
        cpu_permille: u32,
    },
    /// Set the priority of a session.
    SetPriority {
        /// The session.
        session: StableId,
        /// How urgent it is.
        level: PriorityLevel,
        /// How its packets are marked.
        class: QosClass,
    },
}

/// A call to place.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct PlaceCall {
    /// The caller: a SIP URI.
    pub from: String,
    /// The callee: a SIP URI.
    pub to: String,
    /// Where to send the request: the address that `to` resolved to.
    pub remote: SocketAddr,
    /// Over TCP rather than UDP.
    pub over_tcp: bool,
    /// Our address towards that peer.
    pub local: SocketAddr,
    /// The service that the call is connected to once it is answered.
    pub service: String,
    /// A session description to offer instead of our own; its media are then not handled here.
    pub sdp: Option<String>,
}

/// A request to send, of a method that does not itself begin or end a call.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct SendRequest {
    /// Where it is sent.
    pub target: RequestTarget,
    /// The method. INVITE, ACK, BYE and CANCEL are refused.
    pub method: Method,
    /// Further header fields. Those that the switch writes itself are refused.
    pub headers: Vec<(String, String)>,
    /// Content type and octets.
    pub body: Option<(String, Bytes)>,
}

/// Where a request is sent.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum RequestTarget {
    /// To the peer of this session, in the dialog of its selected usage.
    Session(StableId),
    /// In this dialog, outside its usages.
    Dialog(StableId),
    /// In the dialog of this subscription and as its request, so that a failure can end it (RFC 5057 section 5.1).
    Subscription(StableId),
    /// Outside any dialog.
    Address {
        /// The URI of From.
        from: String,
        /// The Request-URI and the URI of To.
        to: String,
        /// Where to send it: the address that `to` resolved to.
        remote: SocketAddr,
        /// Over TCP rather than UDP.
        over_tcp: bool,
        /// Our address towards that peer.
        local: SocketAddr,
    },
}

/// The kinds of [`Operation`], for tables.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationKind {
    /// [`Operation::Place`].
    Place,
    /// [`Operation::Ring`].
    Ring,
    /// [`Operation::Answer`].
    Answer,
    /// [`Operation::Reject`].
    Reject,
    /// [`Operation::Hold`].
    Hold,
    /// [`Operation::Resume`].
    Resume,
    /// [`Operation::SendDtmf`].
    SendDtmf,
    /// [`Operation::Announce`].
    Announce,
    /// [`Operation::HangUp`].
    HangUp,
    /// [`Operation::Claim`].
    Claim,
    /// [`Operation::Release`].
    Release,
    /// [`Operation::Respond`].
    Respond,
    /// [`Operation::SendRequest`].
    SendRequest,
    /// [`Operation::Drain`].
    Drain,
    /// [`Operation::Reanchor`].
    Reanchor,
    /// [`Operation::Link`].
    Link,
    /// [`Operation::Unlink`].
    Unlink,
    /// [`Operation::Sequence`].
    Sequence,
    /// [`Operation::EnterGroup`].
    EnterGroup,
    /// [`Operation::LeaveGroup`].
    LeaveGroup,
    /// [`Operation::EndGroup`].
    EndGroup,
    /// [`Operation::ReportLoad`].
    ReportLoad,
    /// [`Operation::SetPriority`].
    SetPriority,
}

/// Which operations of a tick come first. Those of the same priority come in the order of the plugins, of their systems,
/// and of writing.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationPriority {
    /// Default routing: dropped if the call is claimed.
    Fallback,
    /// After the others.
    Low,
    /// What a plugin's operation has unless it says otherwise.
    #[default]
    Normal,
    /// Before the others.
    High,
    /// Commands from outside: they come first, and are bound by no claim.
    Command,
}

use OperationKind::{Announce, Answer, Claim, HangUp, Hold, Reject, Release, Resume, Ring, SendDtmf};
use SessionState::{Connected, Dialing, Initializing, OnHold, Ringing, Transferring};

impl Operation {
    /// Its kind.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Place(_) => OperationKind::Place,
            Self::Ring { .. } => Ring,
            Self::Answer { .. } => Answer,
            Self::Reject { .. } => Reject,
            Self::Hold { .. } => Hold,
            Self::Resume { .. } => Resume,
            Self::SendDtmf { .. } => SendDtmf,
            Self::Announce { .. } => Announce,
            Self::HangUp { .. } => HangUp,
            Self::Claim { .. } => Claim,
            Self::Release { .. } => Release,
            Self::Respond { .. } => OperationKind::Respond,
            Self::SendRequest(_) => OperationKind::SendRequest,
            Self::Drain => OperationKind::Drain,
            Self::Reanchor { .. } => OperationKind::Reanchor,
            Self::Link { .. } => OperationKind::Link,
            Self::Unlink { .. } => OperationKind::Unlink,
            Self::Sequence { .. } => OperationKind::Sequence,
            Self::EnterGroup { .. } => OperationKind::EnterGroup,
            Self::LeaveGroup { .. } => OperationKind::LeaveGroup,
            Self::EndGroup { .. } => OperationKind::EndGroup,
            Self::ReportLoad { .. } => OperationKind::ReportLoad,
            Self::SetPriority { .. } => OperationKind::SetPriority,
        }
    }

    /// The session that it is about.
    pub fn session(&self) -> Option<StableId> {
        match self {
            Self::SendRequest(request) => match request.target {
                RequestTarget::Session(session) => Some(session),
                _ => None,
            },
            Self::Place(_)
            | Self::Respond { .. }
            | Self::Drain
            | Self::Reanchor { .. }
            | Self::EndGroup { .. }
            | Self::ReportLoad { .. } => None,
            Self::Link { child, .. } | Self::Unlink { child } => Some(*child),
            Self::Sequence { a, .. } => Some(*a),
            Self::Answer { session, .. }
            | Self::Ring { session }
            | Self::Reject { session, .. }
            | Self::HangUp { session }
            | Self::Hold { session }
            | Self::Resume { session }
            | Self::SendDtmf { session, .. }
            | Self::Announce { session, .. }
            | Self::Claim { session, .. }
            | Self::Release { session, .. }
            | Self::EnterGroup { session, .. }
            | Self::LeaveGroup { session, .. }
            | Self::SetPriority { session, .. } => Some(*session),
        }
    }

    /// Sends 180.
    pub fn ring(session: StableId) -> Self {
        Self::Ring { session }
    }

    /// Answers and connects to the service of that name.
    pub fn answer(session: StableId, service: impl Into<String>) -> Self {
        Self::Answer { session, service: service.into() }
    }

    /// Refuses with a status of 300 to 699.
    pub fn reject(session: StableId, status: u16) -> Self {
        Self::Reject { session, status }
    }

    /// Ends the call.
    pub fn hang_up(session: StableId) -> Self {
        Self::HangUp { session }
    }

    /// Puts the peer on hold.
    pub fn hold(session: StableId) -> Self {
        Self::Hold { session }
    }

    /// Takes the peer back.
    pub fn resume(session: StableId) -> Self {
        Self::Resume { session }
    }

    /// Sends digits.
    pub fn send_dtmf(session: StableId, digits: impl Into<String>) -> Self {
        Self::SendDtmf { session, digits: digits.into() }
    }

    /// Plays the clip of that name.
    pub fn announce(session: StableId, clip: impl Into<String>) -> Self {
        Self::Announce { session, clip: clip.into() }
    }

    /// Claims a call for the plugin of that name.
    pub fn claim(session: StableId, by: impl Into<String>, lasts: Duration) -> Self {
        let lasts_ms = u32::try_from(lasts.as_millis()).unwrap_or(u32::MAX);
        Self::Claim { session, by: by.into(), lasts_ms }
    }

    /// Answers a request with a status and nothing else.
    pub fn respond(transaction: StableId, status: u16) -> Self {
        Self::Respond { transaction, status, headers: Vec::new(), body: None }
    }

    /// Sends a request to the peer of a session, in its dialog.
    pub fn send_in_session(session: StableId, method: Method, headers: Vec<(String, String)>) -> Self {
        Self::SendRequest(SendRequest { target: RequestTarget::Session(session), method, headers, body: None })
    }

    /// Gives a claimed call back.
    pub fn release(session: StableId, by: impl Into<String>) -> Self {
        Self::Release { session, by: by.into() }
    }
}

impl OperationKind {
    /// The kinds of operations on a session, in the order of the tables.
    pub const ON_SESSIONS: [OperationKind; 11] =
        [Ring, Answer, Reject, Hold, Resume, SendDtmf, Announce, HangUp, Claim, Release, Self::SendRequest];

    /// The states of a session in which the operation is legal. Operations that are about no session are always legal.
    pub fn legal_in(self) -> &'static [SessionState] {
        match self {
            Ring => &[Initializing],
            Answer | Reject | Claim | Release => &[Initializing, Ringing],
            Hold | SendDtmf => &[Connected],
            Resume => &[OnHold],
            Announce => &[Connected, OnHold],
            HangUp => &[Initializing, Dialing, Ringing, Connected, OnHold, Transferring],
            Self::SendRequest => &[Ringing, Connected, OnHold, Transferring],
            // What a plugin carries out it checks itself.
            Self::Place
            | Self::Respond
            | Self::Drain
            | Self::Reanchor
            | Self::Link
            | Self::Unlink
            | Self::Sequence
            | Self::EnterGroup
            | Self::LeaveGroup
            | Self::EndGroup
            | Self::ReportLoad
            | Self::SetPriority => &SessionState::ALL,
        }
    }

    /// The kinds of operation that exclude this one if they were carried out on the same session earlier in the same tick.
    pub fn loses_to(self) -> &'static [OperationKind] {
        match self {
            Ring => &[Ring, Answer, Reject, HangUp],
            Answer | Reject => &[Answer, Reject, HangUp],
            Hold | Resume => &[Hold, Resume, HangUp],
            SendDtmf | Announce | Self::SendRequest => &[Reject, HangUp],
            HangUp => &[Reject, HangUp],
            Claim | Release => &[Answer, Reject, HangUp, Claim, Release],
            Self::Place
            | Self::Respond
            | Self::Drain
            | Self::Reanchor
            | Self::Link
            | Self::Unlink
            | Self::Sequence
            | Self::EnterGroup
            | Self::LeaveGroup
            | Self::EndGroup
            | Self::ReportLoad
            | Self::SetPriority => &[],
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Place => "place a call",
            Ring => "ring",
            Answer => "answer",
            Reject => "reject",
            Hold => "hold",
            Resume => "resume",
            SendDtmf => "send DTMF",
            Announce => "announce",
            HangUp => "hang up",
            Claim => "claim",
            Release => "release",
            Self::Respond => "respond",
            Self::SendRequest => "send a request",
            Self::Drain => "drain",
            Self::Reanchor => "set the time of day",
            Self::Link => "link to a parent",
            Self::Unlink => "unlink from its parent",
            Self::Sequence => "put in sequence",
            Self::EnterGroup => "enter a group",
            Self::LeaveGroup => "leave a group",
            Self::EndGroup => "end a group",
            Self::ReportLoad => "report a load",
            Self::SetPriority => "set the priority",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_over_allows_nothing() {
        for kind in OperationKind::ON_SESSIONS {
            for state in SessionState::ALL {
                assert!(!(state.is_over() && kind.legal_in().contains(&state)), "{kind} in {state}");
            }
        }
    }

    #[test]
    fn a_hang_up_excludes_whatever_comes_after_it() {
        for kind in OperationKind::ON_SESSIONS {
            assert!(kind.loses_to().contains(&HangUp), "{kind}");
        }
    }
}
