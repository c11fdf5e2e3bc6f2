//! Whole-process measurements: a switch in a process of its own on one core, the callers on another.
//!
//! Each of [`calls`], [`rtp`], [`rooms`], [`idle`], [`state`] and [`sim`] starts what it measures, measures it, and
//! returns [`Figures`]: values with their units, the targets that they are held against, and the conditions under which
//! they were taken. The `ringworld bench` command prints them. [`quiet`] fills a world without sockets;
//! `benches/world.rs` uses it too.

pub mod calls;
mod drops;
mod figures;
mod flight;
pub mod idle;
mod machine;
mod observe;
pub mod quiet;
pub mod rooms;
pub mod rtp;
mod server;
pub mod sim;
mod sipp;
pub mod state;
mod ticks;
mod usage;

pub use figures::{Bound, Figure, Figures};
pub use machine::{Conditions, Cores};
pub use server::{serve_echo, serve_switch};

use std::fmt;

/// Why something could not be measured, in a sentence.
#[derive(Debug)]
pub struct BenchError(String);

impl BenchError {
    fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }

    /// For `map_err`: what was being done when it failed.
    fn while_doing<E: fmt::Display>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BenchError {}
