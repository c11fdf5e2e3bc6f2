//! Business rules, built only on the primitives below and removable as a whole.

mod plugin;
mod services;

pub use plugin::CallEnginePlugin;
