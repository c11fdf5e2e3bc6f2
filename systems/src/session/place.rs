//! Placing a call.

use super::state::{change, error, error_without_session};
use super::{arrive, ending, gate, media};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    Account, CallError, CallErrorCause, Counters, EndCause, InviteAim, Leg, LegOf, OutgoingInvite, Queue, Role,
    Service, Session, SessionState, Settings, Signal, mint_call_id, mint_tag,
};
use ringworld_components::edge::{ConnId, PlaceCall, Target, Transport};
use ringworld_components::kernel::{Now, Secret, StableId, StableIds};
use std::net::SocketAddr;

/// Makes session and leg of a call and sends its INVITE. On an error nothing is left of it.
pub(super) fn place(world: &mut World, call: &PlaceCall) -> Result<StableId, CallError> {
    let refused = |world: &World, cause| Err(error_without_session(world, StableId(0), cause));
    let account = Account::of(call.to.as_bytes(), call.remote.ip());
    if let Err(refusal) = gate::admit(world, &account, true) {
        return refused(world, CallErrorCause::Limit(refusal.limit().to_owned()));
    }
    let service = match (&call.sdp, Service::named(&call.service)) {
        (Some(_), _) => Service::ExternalMedia,
        (None, Some(service)) => service,
        (None, None) => return refused(world, CallErrorCause::NoSuchService(call.service.clone())),
    };
    for uri in [&call.from, &call.to] {
        let is_legal = uri.starts_with("sip:") && !uri.contains(|c: char| c.is_control() || " <>\"".contains(c));
        if !is_legal {
            return refused(world, CallErrorCause::Invalid(format!("{uri:?} is not a SIP URI")));
        }
    }
    let now = *world.resource::<Now>();
    let advertised = world.resource::<Settings>().sip.advertised_address;
    let local_address = SocketAddr::new(advertised.unwrap_or(call.local.ip()), call.local.port());
    let mut ids = world.resource_mut::<StableIds>();
    let (session_id, leg_id) = (ids.mint(), ids.mint());
    let secret = world.resource::<Secret>();
    let (tag, call_id) = (mint_tag(secret, leg_id, now), mint_call_id(secret, leg_id, now));
    let transport = if call.over_tcp { Transport::Tcp } else { Transport::Udp };
    let target = Target { transport, remote: call.remote, conn: ConnId::NONE };
    let (from, to) = (Bytes::from(call.from.clone()), Bytes::from(call.to.clone()));
    let priority = world.resource::<Settings>().priority.of_call(&from, &to, None);
    let charge = gate::charge_of_session(world);
    let session = world.spawn((session_id, Session::new(Role::Outgoing, from, to, now), charge, account)).id();
    arrive::give_priority(world, session, priority);
    let mut leg = Leg::new(call_id, tag, target, local_address, media::sdp_session(world, leg_id));
    leg.service = service;
    leg.outgoing = Some(OutgoingInvite { aim: InviteAim::Call, provisional: false, cancel: false, cseq: 1 });
    let leg = world.spawn((leg_id, leg, LegOf(session))).id();
    let body = match &call.sdp {
        Some(sdp) => Ok(Bytes::from(sdp.clone())),
        None => media::make_offer(world, leg),
    };
    world.resource_mut::<Counters>().calls_out += 1;
    match body {
        Ok(body) => {
            world.resource_mut::<Queue<Signal>>().push(Signal::Invite { leg, body: Some(body) });
            let _ = change(world, session, SessionState::Dialing);
            let ringing_s = world.resource::<Settings>().timers.ringing_s;
            super::answer::start_deadline::<ringworld_components::call::RingDeadline>(world, session, ringing_s);
            Ok(session_id)
        }
        Err(cause) => {
            let error = error(world, session, cause);
            ending::end(world, session, EndCause::NegotiationFailed, 0);
            Err(error)
        }
    }
}
