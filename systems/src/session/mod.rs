//! Calls: they arrive, are placed, answered, held, resumed and ended; every change of state goes through one function.

mod answer;
mod arrive;
mod claims;
mod deadlines;
mod ending;
mod facts;
mod faults;
mod gate;
mod hold;
mod media;
mod negotiate;
mod operations;
mod place;
mod plugin;
mod progress;
mod reinvite;
mod requests;
mod send;
mod state;

pub use plugin::SessionPlugin;
