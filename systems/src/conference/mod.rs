//! Rooms: who is in them, and what everybody hears.

mod membership;
mod mix;
mod plugin;

pub use plugin::ConferencePlugin;
