//! Transactions, dialogs and registration: RFC 3261 between the border of the world and its sessions.
//!
//! The systems here are exclusive and take one message after the other: an INVITE, its retransmission and its CANCEL may
//! come in the same tick, and each must see what the one before it did.

mod client;
mod dialogs;
mod in_dialog;
mod out_of_dialog;
mod plugin;
mod registration;
mod respond;
mod send;
mod server;
mod signals;
mod timers;

pub use plugin::SignallingPlugin;
