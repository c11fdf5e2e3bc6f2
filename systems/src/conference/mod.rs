//! Rooms: their participants, and what each of them hears.

mod linear;
mod membership;
mod mix;
mod plugin;

pub use plugin::ConferencePlugin;
