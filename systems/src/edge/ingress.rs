//! The single place where input enters.

use bevy_ecs::prelude::*;
use ringworld_components::call::{Counters, Queue};
use ringworld_components::edge::{Command, Input, Inputs, PacketHandle, SendFailure};
use ringworld_components::kernel::{StableId, StableIds};
use ringworld_components::media::PortPool;
use ringworld_components::sip::{SipReceived, Transaction, TransactionEvent};

/// Puts each input into the queue of the systems that handle it.
pub(super) fn take_inputs(world: &mut World) {
    for input in std::mem::take(&mut world.resource_mut::<Inputs>().0) {
        match input {
            Input::Sip { flow, message, .. } => {
                world.resource_mut::<Queue<SipReceived>>().push(SipReceived { flow, message });
            }
            // Flows carry their connection; a message to one that is gone opens another.
            Input::ConnOpened(_) | Input::ConnClosed(_) => {}
            Input::SendFailed { transaction, failure } => send_failed(world, transaction, failure),
            Input::PortOpened(port) => world.resource_mut::<PortPool>().offer(port),
            Input::Rtp(packet) => world.resource_mut::<Queue<PacketHandle>>().push(packet),
            Input::Command(command) => world.resource_mut::<Queue<Command>>().push(command),
        }
    }
}

/// A client transaction whose request can't be sent ends (RFC 3261 section 17.1.4). Server transactions stay: the peer
/// may ask again.
fn send_failed(world: &mut World, id: StableId, failure: SendFailure) {
    let reason = match failure {
        SendFailure::Connection => "not sent: no connection",
        SendFailure::Unreachable => "not sent: unreachable",
        SendFailure::Full => "not sent: queue full",
    };
    world.resource_mut::<Counters>().drop_message(reason);
    let Some(transaction) = world.resource::<StableIds>().find(id) else { return };
    let Some(state) = world.get::<Transaction>(transaction) else { return };
    if state.kind.is_server() || state.is_finished() {
        return;
    }
    let (method, user) = (state.method.clone(), state.user);
    let event = TransactionEvent::Failed { transaction: id, method, user, by_transport: true };
    world.despawn(transaction);
    world.resource_mut::<Queue<TransactionEvent>>().push(event);
}
