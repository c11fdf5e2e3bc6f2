//! The priority of sessions, and the marks of their packets.

mod marks;
mod operations;
mod plugin;

pub use marks::marks_of_calls;
pub use plugin::PriorityPlugin;
