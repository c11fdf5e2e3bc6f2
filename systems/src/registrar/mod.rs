//! Registration (RFC 3261 section 10).

mod plugin;
mod register;

pub use plugin::RegistrarPlugin;
