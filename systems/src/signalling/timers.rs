//! What the timers of transactions and dialogs do (RFC 3261 sections 17 and 13.3.1.4).

use super::send::{count, send, send_again, start_timer};
use bevy_ecs::message::Messages;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    AckWait, AnswerRetransmit, CallEvent, Dialog, DialogState, Dialogs, Lifetime, Queue, Retransmit, Settings,
    Transaction, TransactionEvent, TransactionKind, TransactionState, UnackedAnswer, contain,
};
use ringworld_components::kernel::{StableId, TimerFired, TimerWheel};
use ringworld_components::planted;

pub(super) fn run_transaction_timers(world: &mut World) {
    // What has ended while ticks were skipped is not sent again.
    for transaction in fired::<Lifetime>(world) {
        contain(world, "run_transaction_timers", Some(transaction), |world| {
            // If it runs again, a message of this very tick was in time.
            if world.resource::<TimerWheel<Lifetime>>().deadline(transaction).is_none() {
                end(world, transaction);
            }
        });
    }
    for transaction in fired::<Retransmit>(world) {
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
    start_timer::<Retransmit>(world, transaction, u64::from(next));
    count(world, |counters| counters.retransmissions_sent += 1);
    send_again(world, transaction);
}

/// Timers B, F and H, and that of a cancelled INVITE: give up. D, I, J, K, L and M: it has lingered long enough.
fn end(world: &mut World, transaction: Entity) {
    let Some(state) = world.get::<Transaction>(transaction) else { return };
    // The first 2xx is 64*T1 old: forks that only rang never answer (RFC 3261 section 13.2.2.4).
    let answered = (state.kind, state.state) == (TransactionKind::InviteClient, TransactionState::Accepted);
    if let Some(leg) = state.owner.filter(|_| answered) {
        forget_early_dialogs(world, leg);
    }
    let Some(state) = world.get::<Transaction>(transaction) else { return };
    let gave_up = matches!(
        (state.kind, state.state),
        (TransactionKind::InviteClient, TransactionState::Calling | TransactionState::Proceeding)
            | (TransactionKind::NonInviteClient, TransactionState::Trying | TransactionState::Proceeding)
    );
    if gave_up {
        let is_invite = state.kind == TransactionKind::InviteClient;
        let failed = TransactionEvent::Failed { is_invite, owner: state.owner, by_transport: false };
        world.resource_mut::<Queue<TransactionEvent>>().push(failed);
    }
    world.despawn(transaction);
}

fn forget_early_dialogs(world: &mut World, leg: Entity) {
    let dialogs = world.get::<Dialogs>(leg).map(|dialogs| dialogs.iter().collect::<Vec<_>>()).unwrap_or_default();
    for dialog in dialogs {
        if world.get::<Dialog>(dialog).is_some_and(|dialog| dialog.state == DialogState::Early) {
            world.despawn(dialog);
        }
    }
}

pub(super) fn run_dialog_timers(world: &mut World) {
    for dialog in fired::<AckWait>(world) {
        if let Ok(mut entity) = world.get_entity_mut(dialog)
            && entity.take::<UnackedAnswer>().is_some()
        {
            super::send::cancel_timer::<AnswerRetransmit>(world, dialog);
            world.resource_mut::<Queue<CallEvent>>().push(CallEvent::NeverAcked { dialog });
        }
    }
    for dialog in fired::<AnswerRetransmit>(world) {
        contain(world, "run_dialog_timers", Some(dialog), |world| answer_again(world, dialog));
    }
}

/// Section 13.3.1.4.
fn answer_again(world: &mut World, dialog: Entity) {
    let t2_ms = world.resource::<Settings>().sip.t2_ms;
    let Some(mut answer) = world.get_mut::<UnackedAnswer>(dialog) else { return };
    answer.interval_ms = answer.interval_ms.saturating_mul(2).min(t2_ms);
    let (interval_ms, bytes, target) = (answer.interval_ms, answer.bytes.clone(), answer.target);
    start_timer::<AnswerRetransmit>(world, dialog, u64::from(interval_ms));
    count(world, |counters| counters.retransmissions_sent += 1);
    send(world, target, bytes, StableId(0));
}

fn fired<T: Send + Sync + 'static>(world: &mut World) -> Vec<Entity> {
    world.resource_mut::<Messages<TimerFired<T>>>().drain().map(|fired| fired.owner).collect()
}
