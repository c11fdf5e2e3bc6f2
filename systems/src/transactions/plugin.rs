//! Assembles transactions.

use super::{requests, server, timers};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::{Counters, Queue};
use ringworld_components::edge::Output;
use ringworld_components::kernel::{Phase, RecordApp, Step, Tick, TimerApp};
use ringworld_components::sip::{
    Lifetime, Retransmit, SipReceived, Transaction, TransactionEvent, TransactionRequest, TransactionTable,
};

/// Transactions, with the counters of the world.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransactionsPlugin;

impl Plugin for TransactionsPlugin {
    fn build(&self, app: &mut App) {
        app.record_resource(Counters::default(), "call.counters")
            .unrecorded_resource(TransactionTable::default())
            .record::<Transaction>("sip.transaction")
            .scratch::<Queue<SipReceived>>(Queue::is_empty)
            .scratch::<Queue<TransactionEvent>>(Queue::is_empty)
            .scratch::<Queue<TransactionRequest>>(Queue::is_empty)
            .scratch::<Queue<requests::FreshInvite>>(Queue::is_empty)
            .scratch::<Queue<Output>>(Queue::is_empty);
        app.add_timer::<Retransmit>("sip.retransmit").add_timer::<Lifetime>("sip.lifetime");
        app.add_systems(
            Tick,
            (
                (server::receive_messages, timers::run_transaction_timers).chain().in_set(Phase::Transactions),
                requests::carry_out_transaction_requests.in_set(Step::Write),
            ),
        );
    }
}
