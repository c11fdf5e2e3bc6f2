//! Ringworld: a soft-switch engine whose calls live in an Entity-Component-System world.
//!
//! The default feature `cli` adds what only the `ringworld` command needs: the simulator, the load generator, the
//! benchmarks, traces and imports of captures. A crate with a plugin writes `default-features = false` and compiles
//! without them.
#![forbid(unsafe_code)]

pub mod api;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod bench;
#[cfg(feature = "cli")]
pub(crate) mod capture;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod config;
pub mod engine;
#[cfg(feature = "cli")]
pub mod import;
pub mod inspect;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod load;
pub mod net;
pub mod prelude;
pub mod replay;
#[cfg(feature = "cli")]
pub mod sim;
pub mod state;
pub mod testkit;
#[cfg(feature = "cli")]
pub mod trace;
#[doc(hidden)]
pub mod ua;

pub use ringworld_components as components;
pub use ringworld_systems as systems;

/// The examples of the README are compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So are those of the page about plugins.
#[cfg(doctest)]
#[doc = include_str!("../docs/plugins.md")]
struct PluginsPage;
