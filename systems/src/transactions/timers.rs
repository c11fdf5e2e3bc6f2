//! What the timers of transactions do (RFC 3261 section 17).

use super::send::{count, send_again, start};
use bevy_ecs::prelude::*;
use ringworld_components::call::{Queue, Settings, contain};
use ringworld_components::kernel::{StableId, TimerWheel, take_fired};
use ringworld_components::planted;
use ringworld_components::sip::{
    Lifetime, Retransmit, Transaction, TransactionEvent, TransactionKind, TransactionState, TransactionUser,
};

pub(super) fn run_transaction_timers(world: &mut World) {
    // What has ended while ticks were skipped is not sent again.
    for transaction in take_fired::<Lifetime>(world) {
        contain(world, "run_transaction_timers", Some(transaction), |world| {
            // If it runs again, a message of this very tick was in time.
            if world.resource::<TimerWheel<Lifetime>>().deadline(transaction).is_none() {
                end(world, transaction);
            }
        });
    }
    for transaction in take_fired::<Retransmit>(world) {
        contain(world, "run_transaction_timers", Some(transaction), |world| retransmit(world, transaction));
    }
}

/// Timers A, E and G.
fn retransmit(world: &mut World, transaction: Entity) {
    let t2_ms = world.resource::<Settings>().sip.t2_ms;
    let Some(mut state) = world.get_mut::<Transaction>(transaction) else { return };
    let doubled = state.interval_ms.saturating_mul(2);
    let next = match (state.kind, state.state) {
        (TransactionKind::InviteClient, TransactionState::Calling) => doubled,
        (TransactionKind::InviteClient, TransactionState::Proceeding) if planted!(RetransmitsOn) => doubled,
        (TransactionKind::NonInviteClient, TransactionState::Trying) => doubled.min(t2_ms),
        (TransactionKind::NonInviteClient, TransactionState::Proceeding) => t2_ms,
        (TransactionKind::InviteServer, TransactionState::Completed) => doubled.min(t2_ms),
        _ => return,
    };
    state.interval_ms = next;
    start::<Retransmit>(world, transaction, u64::from(next));
    count(world, |counters| counters.retransmissions_sent += 1);
    send_again(world, transaction);
}

/// Timers B, F and H, and that of a cancelled INVITE: give up. D, I, J, K, L and M: it has lingered long enough.
fn end(world: &mut World, transaction: Entity) {
    let Some(state) = world.get::<Transaction>(transaction) else { return };
    let gave_up = matches!(
        (state.kind, state.state),
        (TransactionKind::InviteClient, TransactionState::Calling | TransactionState::Proceeding)
            | (TransactionKind::NonInviteClient, TransactionState::Trying | TransactionState::Proceeding)
    );
    let event = match (state.kind, state.state, state.user) {
        _ if gave_up => {
            let (method, user) = (state.method.clone(), state.user);
            let transaction = world.get::<StableId>(transaction).copied().unwrap_or(StableId(0));
            Some(TransactionEvent::Failed { transaction, method, user, by_transport: false })
        }
        // The first 2xx is 64*T1 old (RFC 3261 section 13.2.2.4).
        (TransactionKind::InviteClient, TransactionState::Accepted, TransactionUser::Session(session)) => {
            Some(TransactionEvent::ForkingOver { session })
        }
        _ => None,
    };
    if let Some(event) = event {
        world.resource_mut::<Queue<TransactionEvent>>().push(event);
    }
    world.despawn(transaction);
}
