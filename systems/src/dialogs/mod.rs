//! Dialogs and their usages (RFC 3261 sections 12 to 15, RFC 5057): between transactions and sessions.
//!
//! The systems here are exclusive and take one message after the other, in the order of arrival.

mod events;
mod failures;
mod in_dialog;
mod messages;
mod out_of_dialog;
mod plugin;
mod raised;
mod requests;
mod responses;
mod send;
mod timers;

pub use plugin::DialogsPlugin;
