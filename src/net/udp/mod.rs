//! SIP over UDP.

mod outlet;
mod peers;
mod receive;
mod refusals;
mod send;
mod thread;

pub(super) use outlet::{Datagram, UdpOutlet};
pub(super) use thread::{UdpSocketSet, UdpThread};
