//! Assembles signalling.

use super::{dialogs, server, signals, timers};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    AckWait, AnswerRetransmit, CallEvent, Counters, Dialog, DialogOf, DialogTable, Dialogs, Lifetime, Queue,
    Registrations, Retransmit, SentAck, Signal, SipReceived, Transaction, TransactionEvent, TransactionTable,
    UnackedAnswer,
};
use ringworld_components::edge::Output;
use ringworld_components::kernel::{Phase, RecordApp, Step, Tick, TimerApp};

/// Transactions, dialogs, registration.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignallingPlugin;

impl Plugin for SignallingPlugin {
    fn build(&self, app: &mut App) {
        app.record_resource(Counters::default(), "call.counters")
            .record_resource(Registrations::default(), "signalling.registrations")
            .unrecorded_resource(TransactionTable::default())
            .unrecorded_resource(DialogTable::default())
            .record::<Transaction>("signalling.transaction")
            .record::<Dialog>("signalling.dialog")
            .record::<DialogOf>("signalling.dialog_of")
            .derived::<Dialogs>()
            .record::<UnackedAnswer>("signalling.unacked_answer")
            .record::<SentAck>("signalling.sent_ack")
            .scratch::<Queue<SipReceived>>(Queue::is_empty)
            .scratch::<Queue<TransactionEvent>>(Queue::is_empty)
            .scratch::<Queue<CallEvent>>(Queue::is_empty)
            .scratch::<Queue<Signal>>(Queue::is_empty)
            .scratch::<Queue<signals::FreshInvite>>(Queue::is_empty)
            .scratch::<Queue<Output>>(Queue::is_empty);
        app.add_timer::<Retransmit>("signalling.retransmit")
            .add_timer::<Lifetime>("signalling.lifetime")
            .add_timer::<AnswerRetransmit>("signalling.answer_retransmit")
            .add_timer::<AckWait>("signalling.ack_wait");
        app.add_systems(
            Tick,
            (
                (server::receive_messages, timers::run_transaction_timers).chain().in_set(Phase::Transactions),
                (dialogs::take_transaction_events, timers::run_dialog_timers).chain().in_set(Phase::Dialogs),
                signals::carry_out_signals.in_set(Step::Write),
            ),
        );
    }
}
