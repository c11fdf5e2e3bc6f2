//! The process of the switch is killed and started again on its state folder, and the calls go on.
//!
//! Without `sipp` on the machine the tests that need it say so and pass; with `RINGWORLD_REQUIRE_PEERS` set they fail.

#[path = "../common/mod.rs"]
mod common;
mod handlers;
mod kill;
mod members;
#[path = "../interop_sipp/peer.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod peer;
#[path = "../interop_sipp/ports.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod ports;
mod process;
mod take_over;
mod tcp;
mod tcp_peer;
mod trouble;
