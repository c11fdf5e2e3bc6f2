//! What leaves the world for its observers.

use crate::call::{EndCause, SessionState};
use crate::kernel::StableId;
use crate::record::Record;
use crate::wire::sdp::Codec;
use std::net::SocketAddr;

/// A fact about a session, for subscribers outside.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call came in and waits for a decision of the handler outside.
    Incoming {
        /// The session.
        session: StableId,
        /// The caller's URI.
        from: String,
        /// The request URI.
        to: String,
        /// The Call-ID, which names the call in all logs.
        call_id: String,
    },
    /// A session changed its state.
    StateChanged {
        /// The session.
        session: StableId,
        /// The state it left.
        from: SessionState,
        /// The state it entered.
        to: SessionState,
    },
    /// A call was answered with a 2xx.
    Answered {
        /// The session.
        session: StableId,
    },
    /// Offer and answer agreed on the audio of a session for the first time.
    MediaEstablished {
        /// The session.
        session: StableId,
        /// The codec.
        codec: Codec,
        /// The peer's address for RTP, as described.
        remote: SocketAddr,
    },
    /// A digit was heard.
    Digit {
        /// The session.
        session: StableId,
        /// `0-9 * # A-D`.
        digit: char,
        /// How long it was pressed, in milliseconds.
        duration_ms: u32,
    },
    /// A session ended.
    Ended {
        /// The session.
        session: StableId,
        /// Why.
        cause: EndCause,
        /// The SIP status that ended it, 0 if none did.
        status: u16,
    },
}
