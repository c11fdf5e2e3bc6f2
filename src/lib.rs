//! Ringworld: a soft-switch engine whose calls live in an Entity-Component-System world.
#![forbid(unsafe_code)]

pub mod config;
pub mod engine;
#[doc(hidden)]
pub mod load;
pub mod net;
pub mod replay;

pub use ringworld_components as components;
pub use ringworld_systems as systems;
