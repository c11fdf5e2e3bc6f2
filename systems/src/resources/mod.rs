//! What calls use and may use. The gate in front of new calls stands where calls arrive, in `session`.

mod load;
mod plugin;

pub use plugin::ResourcesPlugin;
