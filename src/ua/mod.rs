//! A SIP user agent without sockets, threads or a clock (sans-IO), independent of the switch.
//!
//! The callers and the answerer of `load`, the softphone, the agents of the simulator and the phones of the testkit are
//! this user agent: each of them feeds it messages and the time, and sends what it puts into its [`Outbox`]. Nothing in
//! this folder uses a type or a function of the switch: SIP, SDP, RTP and G.711 are read and written here a second
//! time, and transactions and dialogs are its own, so that one error cannot hide on both sides of a call.
//!
//! - [`Call`] is one call from either side, from its INVITE to its end.
//! - [`inquiry::Inquiry`] is a request outside of any call.
//! - [`Message`], [`Request`](write::Request) and [`Reply`] read and write SIP; [`sdp`], [`rtp`], [`digits`] and [`tone`]
//!   serve the media.
//!
//! Times are in nanoseconds of a clock that the owner chooses.

pub mod call;
pub mod codec;
pub mod digits;
pub mod frame;
pub mod g711;
pub mod inquiry;
pub mod message;
pub mod rtp;
pub mod sdp;
pub mod tone;
pub mod transaction;
pub mod write;

pub use call::{Call, End, Happened, Signalling, Start, State};
pub use codec::Codec;
pub use g711::G711;
pub use message::Message;
pub use transaction::{Outbox, Transaction};
pub use write::{Identity, Reply};

/// A millisecond.
pub const MS: u64 = 1_000_000;
/// A second.
pub const SECOND: u64 = 1_000 * MS;
