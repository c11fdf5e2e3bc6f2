//! The priority of sessions, and the marks of their packets.

mod marks;
mod operations;
mod plugin;

pub use marks::mark_all_ports;
pub use plugin::PriorityPlugin;
