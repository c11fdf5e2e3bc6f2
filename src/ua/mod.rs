//! A SIP user agent without sockets, threads or a clock (sans-IO), written apart from the switch.
//!
//! The callers and the answerer of `load`, the softphone, the agents of the simulator and the phones of the testkit are this
//! user agent: each of them feeds it messages and the time, and sends what it puts into its [`Outbox`]. Nothing in this folder
//! uses a type or a function of the switch: SIP, SDP, RTP and G.711 are read and written here a second time, and transactions
//! and dialogs are its own, so that one error cannot hide on both sides of a call.
//!
//! - [`Call`] is one call from either side, from its INVITE to its end.
//! - [`inquiry::Inquiry`] is a request outside of any call.
//! - [`Message`], [`Request`] and [`Reply`] read and write SIP; [`sdp`], [`rtp`], [`digits`] and [`tone`] serve the media.
//!
//! Times are in nanoseconds of a clock that the owner chooses.

pub(crate) mod call;
pub(crate) mod digits;
pub(crate) mod frame;
pub(crate) mod g711;
pub(crate) mod inquiry;
pub(crate) mod message;
pub(crate) mod rtp;
pub(crate) mod sdp;
pub(crate) mod tone;
pub(crate) mod transaction;
pub(crate) mod write;

pub(crate) use call::{Call, Start, State};
#[cfg(feature = "cli")]
pub(crate) use call::{End, Happened, Signalling};
pub use g711::G711;
pub(crate) use message::Message;
pub(crate) use transaction::{Outbox, Transaction};
pub(crate) use write::{Identity, Reply};

/// A millisecond.
pub(crate) const MS: u64 = 1_000_000;
/// A second.
pub(crate) const SECOND: u64 = 1_000 * MS;
