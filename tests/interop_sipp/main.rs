//! Interop with SIPp: a switch on loopback sockets, and scenarios of `tests/sipp/` (or SIPp's own) against it.
//!
//! Without `sipp` on the machine these tests say so and pass; with `RINGWORLD_REQUIRE_PEERS` set they fail.

mod bench;
mod callee;
mod caller;
mod dialogs;
mod hold;
mod loss;
mod peer;
mod ports;
mod requests;
mod worlds;
