//! `Phase::Ingress` and `Phase::Egress`: inputs become queues, queues become outputs. Nothing else enters or leaves.

mod egress;
mod ingress;
mod plugin;

pub use plugin::EdgePlugin;
