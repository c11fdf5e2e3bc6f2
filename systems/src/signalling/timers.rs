//! What the timers of transactions and dialogs do (RFC 3261 sections 17 and 13.3.1.4).

use super::send::{count, send, send_again, start_timer};
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    AckWait, AnswerRetransmit, CallEvent, Lifetime, Queue, Retransmit, Settings, Transaction, TransactionEvent,
    TransactionKind, TransactionState, UnackedAnswer,
};
use ringworld_components::kernel::{StableId, TimerFired, TimerWheel};
use ringworld_components::planted;

pub(super) fn run_transaction_timers(world: &mut World) {
    for transaction in fired::<Retransmit>(world) {
        retransmit(world, transaction);
    }
    for transaction in fired::<Lifetime>(world) {
        // If it runs again, a message of this very tick was in time.
        if world.resource::<TimerWheel<Lifetime>>().deadline(transaction).is_none() {
            end(world, transaction);
        }
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
        (TransactionKind::Client, TransactionState::Trying) => doubled.min(t2_ms),
        (TransactionKind::Client, TransactionState::Proceeding) => t2_ms,
        (TransactionKind::InviteServer, TransactionState::Completed) => doubled.min(t2_ms),
        _ => return,
    };
    state.interval_ms = next;
    start_timer::<Retransmit>(world, transaction, u64::from(next));
    count(world, |counters| counters.retransmissions_sent += 1);
    send_again(world, transaction);
}

/// Timers B, F and H: give up. D, I, J, K, L and M: it has lingered long enough.
fn end(world: &mut World, transaction: Entity) {
    let Some(state) = world.get::<Transaction>(transaction) else { return };
    let gave_up = matches!(
        (state.kind, state.state),
        (TransactionKind::InviteClient, TransactionState::Calling)
            | (TransactionKind::Client, TransactionState::Trying | TransactionState::Proceeding)
    );
    if gave_up {
        let is_invite = state.kind == TransactionKind::InviteClient;
        let failed = TransactionEvent::Failed { is_invite, owner: state.owner, by_transport: false };
        world.resource_mut::<Queue<TransactionEvent>>().push(failed);
    }
    world.despawn(transaction);
}

pub(super) fn run_dialog_timers(world: &mut World) {
    for dialog in fired::<AnswerRetransmit>(world) {
        let t2_ms = world.resource::<Settings>().sip.t2_ms;
        let Some(mut answer) = world.get_mut::<UnackedAnswer>(dialog) else { continue };
        answer.interval_ms = answer.interval_ms.saturating_mul(2).min(t2_ms);
        let (interval_ms, bytes, target) = (answer.interval_ms, answer.bytes.clone(), answer.target);
        start_timer::<AnswerRetransmit>(world, dialog, u64::from(interval_ms));
        count(world, |counters| counters.retransmissions_sent += 1);
        send(world, target, bytes, StableId(0));
    }
    for dialog in fired::<AckWait>(world) {
        if let Ok(mut entity) = world.get_entity_mut(dialog)
            && entity.take::<UnackedAnswer>().is_some()
        {
            super::send::cancel_timer::<AnswerRetransmit>(world, dialog);
            world.resource_mut::<Queue<CallEvent>>().push(CallEvent::NeverAcked { dialog });
        }
    }
}

fn fired<T: Send + Sync + 'static>(world: &mut World) -> Vec<Entity> {
    world.resource_mut::<Messages<TimerFired<T>>>().drain().map(|fired| fired.owner).collect()
}
