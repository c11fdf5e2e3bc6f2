//! A call comes in.

use super::answer::start_deadline;
use super::state::raise;
use super::{gate, negotiate};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    Account, CallOffered, Carrier, Counters, InviteUsageOf, KeptHeaders, Parties, PendingInvite, Priority, Queue,
    RingDeadline, Role, SelectedUsage, Service, Session, SessionMessage, Settings, SipIdentity,
};
use ringworld_components::edge::Flow;
use ringworld_components::kernel::{Now, Secret, StableIds};
use ringworld_components::sip::{Dialog, InviteUsage, Transaction, TransactionUser, UsageOf, mint_tag};
use ringworld_components::wire::sip::Request;

/// Makes session, early dialog and usage of an INVITE; one that the gate does not admit is refused, and nothing is
/// made.
pub(super) fn receive_invite(world: &mut World, transaction: Entity, flow: &Flow, request: &Request) {
    let account = Account::of(&request.head.from.uri, flow.remote.ip());
    if let Err(refusal) = gate::admit(world, &account, false) {
        let refusal = SessionMessage::Respond { transaction, usage: None, status: refusal.status(), body: None };
        world.resource_mut::<Queue<SessionMessage>>().push(refusal);
        return;
    }
    let now = *world.resource::<Now>();
    let local_address = world.resource::<Settings>().sip.advertised(flow.local);
    let mut ids = world.resource_mut::<StableIds>();
    let (session_id, dialog_id, usage_id) = (ids.mint(), ids.mint(), ids.mint());
    let local_tag = mint_tag(world.resource::<Secret>(), session_id, now);
    let seed = world.resource::<Secret>().table_seed();
    let head = &request.head;
    let identity = SipIdentity {
        call_id: Bytes::copy_from_slice(&head.call_id),
        local_tag: local_tag.clone(),
        local_address,
        target: flow.back(),
    };
    let (parties, is_cut) = Parties::of(request, world.resource::<KeptHeaders>());
    if is_cut {
        world.resource_mut::<Counters>().hit_limit("kept header fields");
    }
    let mut negotiation = negotiate::begin(world, session_id);
    let offer = head.session_description().unwrap_or_default();
    if let Err(error) = negotiation.receive(Carrier::Invite, offer.as_deref()) {
        tracing::debug!(%error, "the offer of a first INVITE was not taken");
    }
    let (from, to, call_id) = (parties.from.clone(), parties.request_uri.clone(), identity.call_id.clone());
    let priority = world.resource::<Settings>().priority.of_call(&from, &to, Some(head));
    let charge = gate::charge_of_session(world);
    let session = Session::new(Role::Incoming, now);
    let pending = PendingInvite::Received { transaction };
    let parts = (session, parties, identity, pending, SelectedUsage(None), Service::Echo, charge, account);
    let session = world.spawn((session_id, parts)).id();
    give_priority(world, session, priority);
    let dialog = world.spawn((dialog_id, Dialog::as_uas(request, flow, local_tag, local_address, seed))).id();
    let usage = (usage_id, InviteUsage::default(), negotiation, UsageOf(dialog), InviteUsageOf(session));
    let usage = world.spawn(usage).id();
    if let Some(mut selected) = world.get_mut::<SelectedUsage>(session) {
        selected.0 = Some(usage);
    }
    if let Some(mut transaction) = world.get_mut::<Transaction>(transaction) {
        transaction.user = TransactionUser::InviteUsage(usage);
    }
    world.resource_mut::<Counters>().calls_in += 1;
    let deferral_s = world.resource::<Settings>().timers.deferral_s;
    start_deadline::<RingDeadline>(world, session, deferral_s);
    raise(world, session, |id| CallOffered::of(id, session, from, to, call_id, priority));
}

/// Gives a new session its priority, unless that is the usual one.
pub(super) fn give_priority(world: &mut World, session: Entity, priority: Priority) {
    if priority != Priority::default() {
        world.entity_mut(session).insert(priority);
    }
}
