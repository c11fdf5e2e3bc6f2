//! What *happens* in a Ringworld world: one plugin per concern, a folder each. The folders do not import each other;
//! they meet through the components, queues, facts and phases of `ringworld-components`.
//!
//! Nothing here has a socket, a thread, a file, a clock or a global.
#![forbid(unsafe_code)]

pub mod callengine;
pub mod conference;
pub mod dialogs;
pub mod edge;
pub mod facts;
pub mod priority;
pub mod registrar;
pub mod relations;
pub mod resources;
pub mod session;
pub mod streams;
pub mod subscriptions;
pub mod transactions;
