//! RTP and RTCP: port pairs, and packets between their sockets and the worlds.

mod gather;
mod idle;
mod link;
mod pair;
mod pool;
mod ports;
mod send;
mod thread;

pub(super) use link::{RtpEdge, link};
pub(super) use pair::Pair;
pub(super) use ports::Ports;
pub(super) use thread::{RtpShared, RtpThread};
