//! SIP over TCP: one thread with a tokio runtime of its own.
//!
//! The hub owns the table of connections; each connection has a task that reads and one that writes.

mod connection;
mod distrust;
mod hub;
mod outlet;
mod table;
mod thread;

pub(super) use outlet::{TcpOrder, TcpOutlet};
pub(super) use thread::{TcpStart, spawn_tcp};
