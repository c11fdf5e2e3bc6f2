//! The single place where output leaves.

use bevy_ecs::prelude::*;
use ringworld_components::call::Queue;
use ringworld_components::edge::{Output, Outputs};
use ringworld_components::media::PortPool;

/// Ports first, so that the network thread can prepare; then messages, replies and events in the order they came up.
pub(super) fn flush_outputs(
    mut queue: ResMut<Queue<Output>>,
    mut ports: ResMut<PortPool>,
    mut outputs: ResMut<Outputs>,
) {
    let changes = ports.changes();
    outputs.control.extend(changes.taken.into_iter().map(Output::PortTaken));
    outputs.control.extend(changes.marked.into_iter().map(|(port, class)| Output::PortMarked(port, class)));
    outputs.control.extend(changes.released.into_iter().map(Output::PortReleased));
    outputs.control.append(&mut queue.0);
}
