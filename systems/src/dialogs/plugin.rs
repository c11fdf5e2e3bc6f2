//! Assembles dialogs, and registers the methods of RFC 3261 that belong to them.

use super::{events, in_dialog, messages, out_of_dialog, raised, timers};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::{CallEvent, Queue, SessionMessage};
use ringworld_components::kernel::{Phase, RecordApp, Step, Tick, TimerApp};
use ringworld_components::sip::{
    AckWait, AnswerRetransmit, Dialog, DialogTable, InviteUsage, MethodScope, ResponseWait, SipApp, SipMethod, UsageOf,
    Usages,
};
use ringworld_components::wire::info_digit::DIGIT_BODIES;
use ringworld_components::wire::sip::{Method, SESSION_BODIES};

/// Dialogs and INVITE usages.
#[derive(Clone, Copy, Debug, Default)]
pub struct DialogsPlugin;

impl Plugin for DialogsPlugin {
    fn build(&self, app: &mut App) {
        app.unrecorded_resource(DialogTable::default())
            .record::<Dialog>("sip.dialog")
            .record::<UsageOf>("sip.usage_of")
            .derived::<Usages>()
            .record::<InviteUsage>("sip.invite_usage")
            .scratch::<Queue<CallEvent>>(Queue::is_empty)
            .scratch::<Queue<SessionMessage>>(Queue::is_empty);
        app.add_timer::<AnswerRetransmit>("sip.answer_retransmit")
            .add_timer::<AckWait>("sip.ack_wait")
            .add_timer::<ResponseWait>("sip.response_wait");
        let invite = SipMethod::new(Method::Invite, MethodScope::InviteUsage)
            .accepting(SESSION_BODIES)
            .out_of_dialog(out_of_dialog::receive_invite)
            .in_dialog(in_dialog::receive_reinvite);
        let options = SipMethod::new(Method::Options, MethodScope::Dialog)
            .out_of_dialog(out_of_dialog::receive_options)
            .in_dialog(out_of_dialog::receive_options);
        let info = SipMethod::new(Method::Info, MethodScope::InviteUsage)
            .accepting(DIGIT_BODIES)
            .in_dialog(in_dialog::receive_info);
        app.add_sip_method(invite)
            .add_sip_method(SipMethod::new(Method::Ack, MethodScope::InviteUsage))
            .add_sip_method(SipMethod::new(Method::Bye, MethodScope::InviteUsage).in_dialog(in_dialog::receive_bye))
            .add_sip_method(SipMethod::new(Method::Cancel, MethodScope::InviteUsage))
            .add_sip_method(options)
            .add_sip_method(info);
        app.add_systems(
            Tick,
            (
                (events::take_transaction_events, timers::run_dialog_timers, raised::refuse_unanswered)
                    .chain()
                    .in_set(Phase::Dialogs),
                messages::write_session_messages.in_set(Step::Compose),
            ),
        );
    }
}
