//! The session state machine: eight states and one matrix. [`OperationKind::legal_in`] says which operation is legal in
//! which state.

use crate::edge::OperationKind;
use crate::record::Record;
use std::fmt;

/// The state of a session.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionState {
    /// It exists; nothing was sent and nothing decided.
    Initializing,
    /// We have sent an INVITE and received nothing but 100.
    Dialing,
    /// The called party is being alerted (180), by us or by the peer.
    Ringing,
    /// A 2xx was sent or received; media flow.
    Connected,
    /// One side holds the other; see RFC 3264 section 8.4.
    OnHold,
    /// A transfer is under way.
    Transferring,
    /// It is ending: we wait for the end of a BYE or CANCEL transaction.
    Terminating,
    /// It has ended and is about to be despawned.
    Terminated,
}

use SessionState::{Connected, Dialing, Initializing, OnHold, Ringing, Terminated, Terminating, Transferring};

impl SessionState {
    /// All states, in the order of the matrix.
    pub const ALL: [SessionState; 8] =
        [Initializing, Dialing, Ringing, Connected, OnHold, Transferring, Terminating, Terminated];

    /// Whether a session may go from this state to `to`.
    ///
    /// ```
    /// use ringworld_components::call::SessionState::*;
    /// assert!(Ringing.can_transition_to(Connected));
    /// assert!(!Terminated.can_transition_to(Ringing));
    /// ```
    pub fn can_transition_to(self, to: SessionState) -> bool {
        MATRIX[self as usize][to as usize] == 1
    }

    /// Whether an operation of this kind is legal in this state.
    pub fn allows(self, operation: OperationKind) -> bool {
        operation.legal_in().contains(&self)
    }

    /// Whether the session has ended or is ending.
    pub fn is_over(self) -> bool {
        matches!(self, Terminating | Terminated)
    }
}

/// `MATRIX[from][to]`; a state never changes to itself.
const MATRIX: [[u8; 8]; 8] = [
    // Initializing
    [0, 1, 1, 1, 0, 0, 1, 1],
    // Dialing
    [0, 0, 1, 1, 0, 0, 1, 1],
    // Ringing
    [0, 0, 0, 1, 0, 0, 1, 1],
    // Connected
    [0, 0, 0, 0, 1, 1, 1, 1],
    // OnHold
    [0, 0, 0, 1, 0, 1, 1, 1],
    // Transferring
    [0, 0, 0, 1, 1, 0, 1, 1],
    // Terminating
    [0, 0, 0, 0, 0, 0, 0, 1],
    // Terminated
    [0, 0, 0, 0, 0, 0, 0, 0],
];

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The matrix as a Mermaid state diagram; `docs/session-states.md` holds it and a test compares the two.
pub fn diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> Initializing\n");
    for from in SessionState::ALL {
        for to in SessionState::ALL {
            if from.can_transition_to(to) {
                text.push_str(&format!("    {from} --> {to}\n"));
            }
        }
    }
    text.push_str("    Terminated --> [*]\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_terminated_and_everything_can_reach_it() {
        for state in SessionState::ALL {
            assert!(!Terminated.can_transition_to(state));
            assert_eq!(state.can_transition_to(Terminated), state != Terminated);
            assert!(!state.can_transition_to(state));
        }
    }

    #[test]
    fn a_session_never_returns_to_its_setup() {
        for from in [Connected, OnHold, Transferring, Terminating] {
            for to in [Initializing, Dialing, Ringing] {
                assert!(!from.can_transition_to(to));
            }
        }
    }
}
