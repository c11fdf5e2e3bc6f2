//! The kinds of operations, and the tables about them: in which state each is legal, and which exclude each other.

use crate::call::SessionState;
use crate::record::Record;
use std::fmt;

/// The kinds of [`Operation`](super::Operation), for tables.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationKind {
    /// [`Operation::Place`](super::Operation::Place).
    Place,
    /// [`Operation::Ring`](super::Operation::Ring).
    Ring,
    /// [`Operation::Answer`](super::Operation::Answer).
    Answer,
    /// [`Operation::Reject`](super::Operation::Reject).
    Reject,
    /// [`Operation::Hold`](super::Operation::Hold).
    Hold,
    /// [`Operation::Resume`](super::Operation::Resume).
    Resume,
    /// [`Operation::SendDtmf`](super::Operation::SendDtmf).
    SendDtmf,
    /// [`Operation::Announce`](super::Operation::Announce).
    Announce,
    /// [`Operation::HangUp`](super::Operation::HangUp).
    HangUp,
    /// [`Operation::Claim`](super::Operation::Claim).
    Claim,
    /// [`Operation::Release`](super::Operation::Release).
    Release,
    /// [`Operation::Respond`](super::Operation::Respond).
    Respond,
    /// [`Operation::SendRequest`](super::Operation::SendRequest).
    SendRequest,
    /// [`Operation::Drain`](super::Operation::Drain).
    Drain,
    /// [`Operation::Reanchor`](super::Operation::Reanchor).
    Reanchor,
    /// [`Operation::Link`](super::Operation::Link).
    Link,
    /// [`Operation::Unlink`](super::Operation::Unlink).
    Unlink,
    /// [`Operation::Sequence`](super::Operation::Sequence).
    Sequence,
    /// [`Operation::EnterGroup`](super::Operation::EnterGroup).
    EnterGroup,
    /// [`Operation::LeaveGroup`](super::Operation::LeaveGroup).
    LeaveGroup,
    /// [`Operation::EndGroup`](super::Operation::EndGroup).
    EndGroup,
    /// [`Operation::ReportLoad`](super::Operation::ReportLoad).
    ReportLoad,
    /// [`Operation::SetPriority`](super::Operation::SetPriority).
    SetPriority,
}

/// Which operations of a tick come first. Those of the same priority come in the order of the plugins, of their
/// systems, and of writing.
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

    /// The kinds of operation that exclude this one if they were carried out on the same session earlier in the same
    /// tick.
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
