//! Facts on their way: to the systems of `Phase::Behaviour`, and as events to the outside.

mod deliver;
mod plugin;

pub use plugin::FactsPlugin;
