//! How sessions are related: parents and children, sequences, groups. No relation has a business rule of its own.

mod dependencies;
mod endings;
mod groups;
mod plugin;
mod sequences;
mod sessions;

pub use plugin::RelationsPlugin;
