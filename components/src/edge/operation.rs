//! What can be done to a world and to its calls: one type for the API, for behaviours, for HTTP and for the simulator.

use super::{OperationKind, PlaceCall, RequestTarget, SendRequest};
use crate::call::{DependencyKind, EndingRule, GroupChoice, PriorityLevel, QosClass};
use crate::kernel::{StableId, WallTime};
use crate::record::Record;
use crate::wire::sip::Method;
use bytes::Bytes;
use std::time::Duration;

/// One thing to be done. It is carried out in `Phase::Admission`, in one place, whatever its source: a command from
/// outside ([`Command`](super::Command)) or a system ([`Operations`](crate::call::Operations)).
///
/// An operation that is illegal in the session's state, or that loses against another one of the same tick, changes
/// nothing and returns an error.
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
        /// The SIP status, 400-699.
        status: u16,
    },
    /// Put a connected call on hold by re-INVITE.
    Hold {
        /// The session.
        session: StableId,
    },
    /// Resume a held call by re-INVITE.
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
    /// Play a clip to the peer, over whatever it hears. Clips are short signals: two beeps for every name, until files
    /// can be played.
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
        /// How long the claim lasts, in milliseconds. Then [`ClaimEnded`](crate::call::ClaimEnded) is raised and
        /// default routing decides; without it the call is refused with 480 after the time for a decision.
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
    /// Send a request. The result names it, and so do the [`ResponseReceived`](crate::call::ResponseReceived) that
    /// follow.
    SendRequest(Box<SendRequest>),
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

use OperationKind::{Announce, Answer, Claim, HangUp, Hold, Reject, Release, Resume, Ring, SendDtmf};

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

    /// Refuses with a status of 400 to 699.
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

    /// Resumes the peer.
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
        Self::send_request(SendRequest { target: RequestTarget::Session(session), method, headers, body: None })
    }

    /// Sends a request.
    pub fn send_request(request: SendRequest) -> Self {
        Self::SendRequest(Box::new(request))
    }

    /// Gives a claimed call back.
    pub fn release(session: StableId, by: impl Into<String>) -> Self {
        Self::Release { session, by: by.into() }
    }
}
