//! What is sent and received: bytes to types and back.
//!
//! Pure functions on one value: no ECS, no clock, no socket, and no panic whatever the bytes are. The parsers of `sipx`
//! and `rtp-types` stay behind the types of this module; no signature names them.

pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod telephone_event;
pub(crate) mod text;
