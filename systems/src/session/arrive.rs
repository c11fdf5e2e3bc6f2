//! A call comes in.

use super::answer::start_deadline;
use super::media;
use super::state::raise;
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    CallOffered, Counters, Dialog, DialogOf, DialogTable, Draining, Leg, LegOf, Queue, RingDeadline, Role, Session,
    SessionCount, Settings, Signal, Transaction, mint_tag,
};
use ringworld_components::edge::Flow;
use ringworld_components::kernel::{Now, Secret, StableIds};
use ringworld_components::wire::sip::Request;
use std::net::SocketAddr;

/// Makes session, leg and early dialog of an INVITE; past a limit it is refused with 503 and nothing is made.
pub(super) fn receive_invite(world: &mut World, transaction: Entity, flow: &Flow, request: &Request) {
    if let Some(limit) = limit_reached(world) {
        let mut counters = world.resource_mut::<Counters>();
        counters.hit_limit(limit);
        let refusal = Signal::Respond { transaction, dialog: None, status: 503, body: None, expects_answer: false };
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
    let session = world.spawn((session_id, Session::new(Role::Incoming, from.clone(), to.clone(), now))).id();
    let call_id = Bytes::copy_from_slice(&head.call_id);
    let mut leg =
        Leg::new(call_id.clone(), local_tag.clone(), flow.back(), local_address, media::sdp_session(world, leg_id));
    leg.invite = Some(transaction);
    let offer = super::progress::description_in(head);
    leg.offer = (!offer.is_empty()).then(|| Bytes::copy_from_slice(&offer));
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
    raise(world, session, |id| CallOffered::of(id, session, from, to, call_id));
}

/// The limit that is reached, if one is.
pub(super) fn limit_reached(world: &World) -> Option<&'static str> {
    let limits = &world.resource::<Settings>().limits;
    if world.resource::<Draining>().0 {
        Some("draining")
    } else if world.resource::<SessionCount>().sessions >= limits.sessions {
        Some("sessions")
    } else if world.resource::<DialogTable>().len() >= limits.dialogs as usize {
        Some("dialogs")
    } else {
        None
    }
}
