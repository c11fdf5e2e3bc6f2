//! Transactions (RFC 3261 section 17): between the border of the world and dialogs.
//!
//! The systems here are exclusive and take one message after the other: an INVITE, its retransmission and its CANCEL
//! may come in the same tick, and each must see what the one before it did.

mod client;
mod plugin;
mod requests;
mod send;
mod server;
mod timers;

pub use plugin::TransactionsPlugin;
