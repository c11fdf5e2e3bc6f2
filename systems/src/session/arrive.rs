//! A call comes in.

use super::answer::start_deadline;
use super::state::raise;
use super::{gate, media};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    Account, CallOffered, Counters, Dialog, DialogOf, Leg, LegOf, Priority, Queue, RingDeadline, Role, Session,
    Settings, Signal, Transaction, mint_tag,
};
use ringworld_components::edge::Flow;
use ringworld_components::kernel::{Now, Secret, StableIds};
use ringworld_components::wire::sip::Request;
use std::net::SocketAddr;

/// Makes session, leg and early dialog of an INVITE; one that the gate does not admit is refused, and nothing is made.
pub(super) fn receive_invite(world: &mut World, transaction: Entity, flow: &Flow, request: &Request) {
    let account = Account::of(request.head.from.uri.as_bytes(), flow.remote.ip());
    if let Err(refusal) = gate::admit(world, &account, false) {
        let status = refusal.status();
        let refusal = Signal::Respond { transaction, dialog: None, status, body: None, expects_answer: false };
        world.resource_mut::<Queue<Signal>>().push(refusal);
        return;
    }
    let now = *world.resource::<Now>();
    let advertised = world.resource::<Settings>().sip.advertised_address;
    let local_address = SocketAddr::new(advertised.unwrap_or(flow.local.ip()), flow.local.port());
    let mut ids = world.resource_mut::<StableIds>();
    let (session_id, leg_id, dialog_id) = (ids.mint(), ids.mint(), ids.mint());
    let local_tag = mint_tag(world.resource::<Secret>(), leg_id, now);
    let seed = world.resource::<Secret>().table_seed();
    let head = &request.head;
    let from = Bytes::copy_from_slice(head.from.uri.as_bytes());
    let to = Bytes::copy_from_slice(request.uri.as_bytes());
    let priority = world.resource::<Settings>().priority.of_call(&from, &to, Some(head));
    let charge = gate::charge_of_session(world);
    let parties = Session::new(Role::Incoming, from.clone(), to.clone(), now);
    let session = world.spawn((session_id, parties, charge, account)).id();
    give_priority(world, session, priority);
    let call_id = Bytes::copy_from_slice(&head.call_id);
    let mut leg =
        Leg::new(call_id.clone(), local_tag.clone(), flow.back(), local_address, media::sdp_session(world, leg_id));
    leg.invite = Some(transaction);
    leg.offer = (!head.body.is_empty()).then(|| Bytes::copy_from_slice(&head.body));
    let leg = world.spawn((leg_id, leg, LegOf(session))).id();
    let dialog = Dialog::as_uas(request, flow, local_tag, local_address, seed);
    let dialog = world.spawn((dialog_id, dialog, DialogOf(leg))).id();
    if let Some(mut leg) = world.get_mut::<Leg>(leg) {
        leg.dialog = Some(dialog);
    }
    if let Some(mut transaction) = world.get_mut::<Transaction>(transaction) {
        transaction.owner = Some(leg);
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
