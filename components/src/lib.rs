//! What things *are* in a Ringworld world: data, and pure functions on one value.
//!
//! Nothing here has a socket, a thread, a file, a clock or a global. What *happens* is in `ringworld-systems`; where
//! the world meets the outside is in `ringworld`.
#![forbid(unsafe_code)]

// The derive of `Record` names this crate by its name, inside it too.
extern crate self as ringworld_components;

pub mod audio;
pub mod call;
pub mod edge;
pub mod kernel;
pub mod media;
pub mod planted;
pub mod record;
pub mod sip;
pub mod wire;
