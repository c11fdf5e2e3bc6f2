//! Assembles sessions.

use super::{deadlines, ending, facts, faults, operations, progress};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    Account, Accounts, CancelDeadline, Charge, Claim, ClaimDeadline, Draining, DurationDeadline, EndFollower, Ended,
    Faults, Glare, GlareWait, InviteExpiry, InviteUsageOf, InviteUsages, KeptHeaders, Negotiation, Parties,
    PendingInvite, Priority, Queue, RingDeadline, SelectedUsage, Service, Session, SessionCount, SipIdentity, StreamOf,
    Streams,
};
use ringworld_components::edge::Command;
use ringworld_components::kernel::{Phase, QuietApp, RecordApp, Step, Tick, TimerApp};

/// Sessions, and what can be done to them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionPlugin;

impl Plugin for SessionPlugin {
    fn build(&self, app: &mut App) {
        app.record::<Session>("call.session")
            .record::<Parties>("call.parties")
            .record::<SipIdentity>("call.sip_identity")
            .record::<PendingInvite>("call.pending_invite")
            .record::<SelectedUsage>("call.selected_usage")
            .record::<Service>("call.service")
            .record::<Negotiation>("call.negotiation")
            .record::<InviteUsageOf>("call.invite_usage_of")
            .derived::<InviteUsages>()
            .record::<StreamOf>("call.stream_of")
            .derived::<Streams>()
            .record::<Glare>("call.glare")
            .record::<Claim>("call.claim")
            .record::<Charge>("call.charge")
            .record::<Account>("call.account")
            .record::<Priority>("call.priority")
            .record_resource(Ended::default(), "call.ended")
            .record_resource(Draining::default(), "call.draining")
            .record_resource(Faults::default(), "call.faults")
            .unrecorded_resource(SessionCount::default())
            .unrecorded_resource(Accounts::default())
            .unrecorded_resource(KeptHeaders::default())
            .scratch::<Queue<Command>>(Queue::is_empty)
            .scratch::<Queue<EndFollower>>(Queue::is_empty);
        app.awake_while(|world| {
            let ended = world.resource::<Ended>();
            !ended.fresh.is_empty() || !ended.stale.is_empty() || !world.resource::<Faults>().0.is_empty()
        });
        app.add_timer::<RingDeadline>("call.ring_deadline")
            .add_timer::<InviteExpiry>("call.invite_expiry")
            .add_timer::<DurationDeadline>("call.duration_deadline")
            .add_timer::<CancelDeadline>("call.cancel_deadline")
            .add_timer::<ClaimDeadline>("call.claim_deadline")
            .add_timer::<GlareWait>("call.glare_wait");
        app.add_systems(
            Tick,
            (
                (
                    faults::end_faulty_calls,
                    facts::take_media_facts,
                    progress::take_call_events,
                    deadlines::run_deadlines,
                )
                    .chain()
                    .in_set(Phase::Sessions),
                operations::carry_out_operations.in_set(Phase::Admission),
                (ending::end_followers, ending::reap_ended_sessions).chain().in_set(Step::Reap),
            ),
        );
    }
}
