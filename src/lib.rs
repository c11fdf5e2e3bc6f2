//! Ringworld: a soft-switch engine whose calls live in an Entity-Component-System world.
#![forbid(unsafe_code)]

pub mod api;
#[doc(hidden)]
pub mod bench;
pub(crate) mod capture;
#[doc(hidden)]
pub mod cli;
pub mod config;
pub mod engine;
pub mod import;
pub mod inspect;
#[doc(hidden)]
pub mod load;
pub mod net;
pub mod prelude;
pub mod replay;
pub mod sim;
pub mod state;
pub mod testkit;
pub mod trace;
pub(crate) mod ua;

pub use ringworld_components as components;
pub use ringworld_systems as systems;

/// The examples of the README are compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
