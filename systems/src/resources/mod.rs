//! The load that is measured outside. The gate in front of new calls is where calls arrive, in `session`.

mod load;
mod plugin;

pub use plugin::ResourcesPlugin;
