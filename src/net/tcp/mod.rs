//! SIP over TCP: one thread with a tokio runtime of its own.
//!
//! The hub owns the table of connections; each connection has a task that reads and writes. Told to, all of them stop
//! where they are and leave their sockets open, with what they had read and not written, for others to go on with.

mod connection;
mod distrust;
mod hub;
mod keep;
mod outlet;
mod table;
mod thread;

pub(super) use outlet::{TcpOrder, TcpOutlet};
pub use table::Outgoing;
pub(super) use thread::{TcpEnd, TcpRest, TcpStart, spawn_tcp};
