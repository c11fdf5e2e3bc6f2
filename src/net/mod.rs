//! Threads, sockets and rings: the only place with sockets.
//!
//! [`Net::start`] binds everything and starts three kinds of threads: one for SIP over UDP, one for SIP over TCP, and
//! those for RTP. Each world's tick thread owns a [`WorldEdge`], which gives it [`Input`]s and takes its [`Output`]s;
//! it sleeps with a [`Pacer`] and publishes its next deadline, so that the network threads have everything gathered in
//! time.
//!
//! Nothing here blocks a world and nothing grows without bounds: what does not fit is dropped, and [`NetCounters`] says
//! how much and why.
//!
//! Threads that end can leave all sockets open for their successors ([`Net::halt`], [`Net::prepare`]).
//!
//! [`Input`]: ringworld_components::edge::Input
//! [`Output`]: ringworld_components::edge::Output

mod address;
mod bound;
mod clock;
mod config;
mod counters;
mod descriptors;
mod edge;
mod error;
mod given;
mod inlet;
mod mark;
mod pace;
mod rtp;
mod sockets;
mod start;
mod tcp;
mod udp;
mod wake;

pub use clock::{Epoch, monotonic_ns};
pub use config::{NetConfig, RingSizes, TcpLimits};
pub use counters::{NetCounters, NetSnapshot};
pub(crate) use descriptors::raise_descriptors;
pub use edge::WorldEdge;
pub use error::NetError;
pub use given::{Held, Leftovers, RtpPair, SipSocket, Sockets, TcpConnection, Untaken};
pub use inlet::Router;
pub use mark::Marks;
pub use pace::{CATCH_UP_TICKS_MAX, Due, Pacer};
pub use start::Net;
pub use tcp::Outgoing;
