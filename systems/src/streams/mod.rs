//! Media streams: packets in, latching, digits, echo, players, packets out.

mod echo;
mod pause;
mod play;
mod plugin;
mod receive;
mod silence;

pub use plugin::StreamsPlugin;
