//! Placing a call.

use super::answer::start_deadline;
use super::state::{change, error, error_without_session};
use super::{arrive, ending, gate, negotiate};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    Account, CallError, CallErrorCause, Carrier, Counters, EndCause, InviteAim, Parties, PendingInvite, Queue,
    RingDeadline, Role, SelectedUsage, Service, Session, SessionMessage, SessionState, Settings, SipIdentity,
};
use ringworld_components::edge::{ConnId, PlaceCall, Target, Transport};
use ringworld_components::kernel::{Now, Secret, StableId, StableIds};
use ringworld_components::sip::{mint_call_id, mint_tag};
use ringworld_components::wire::sip::Uri;

/// Makes the session of a call and sends its INVITE. On an error nothing is left of it.
pub(super) fn place(world: &mut World, call: &PlaceCall) -> Result<StableId, CallError> {
    let refused = |world: &World, cause| Err(error_without_session(world, StableId(0), cause));
    let invalid = |uri: &str| CallErrorCause::Invalid(format!("{uri:?} is not a SIP URI"));
    let Ok(to) = Uri::parse(Bytes::from(call.to.clone())) else { return refused(world, invalid(&call.to)) };
    let account = Account::of(&to, call.remote.ip());
    if let Err(refusal) = gate::admit(world, &account, true) {
        return refused(world, CallErrorCause::Limit(refusal.limit().to_owned()));
    }
    let service = match (&call.sdp, Service::named(&call.service)) {
        (Some(_), _) => Service::ExternalMedia,
        (None, Some(service)) => service,
        (None, None) => return refused(world, CallErrorCause::NoSuchService(call.service.clone())),
    };
    for uri in [&call.from, &call.to] {
        let is_sip = uri.starts_with("sip:") || uri.starts_with("sips:");
        let is_legal = is_sip && !uri.contains(|c: char| c.is_control() || " <>\"".contains(c));
        if !is_legal {
            return refused(world, invalid(uri));
        }
        if Uri::parse(Bytes::copy_from_slice(uri.as_bytes())).is_ok_and(|uri| uri.needs_tls()) {
            return refused(world, CallErrorCause::Invalid(format!("{uri:?} asks for TLS, which is not supported")));
        }
    }
    let now = *world.resource::<Now>();
    let local_address = world.resource::<Settings>().sip.advertised(call.local);
    let session_id = world.resource_mut::<StableIds>().mint();
    let secret = world.resource::<Secret>();
    let (local_tag, call_id) = (mint_tag(secret, session_id, now), mint_call_id(secret, session_id, now));
    let transport = if call.over_tcp { Transport::Tcp } else { Transport::Udp };
    let target = Target { transport, remote: call.remote, conn: ConnId::NONE };
    let identity = SipIdentity { call_id, local_tag, local_address, target };
    let (from, to) = (Bytes::from(call.from.clone()), Bytes::from(call.to.clone()));
    let priority = world.resource::<Settings>().priority.of_call(&from, &to, None);
    let charge = gate::charge_of_session(world);
    let parties = Parties { from, to: to.clone(), request_uri: to, ..Parties::default() };
    let negotiation = negotiate::begin(world, session_id);
    let session = Session::new(Role::Outgoing, now);
    let pending = PendingInvite::to_send(InviteAim::Call);
    let parts = (session, parties, identity, pending, SelectedUsage(None), service, negotiation, charge, account);
    let session = world.spawn((session_id, parts)).id();
    arrive::give_priority(world, session, priority);
    let body = match &call.sdp {
        Some(sdp) => {
            let offer = Bytes::from(sdp.clone());
            negotiate::offer_foreign(world, session, offer.clone()).map(|()| Some(offer))
        }
        None => negotiate::describe(world, session, Carrier::Invite, false).map(|described| described.body),
    };
    world.resource_mut::<Counters>().calls_out += 1;
    match body {
        Ok(body) => {
            world.resource_mut::<Queue<SessionMessage>>().push(SessionMessage::Invite { session, body });
            let _ = change(world, session, SessionState::Dialing);
            let ringing_s = world.resource::<Settings>().timers.ringing_s;
            start_deadline::<RingDeadline>(world, session, ringing_s);
            Ok(session_id)
        }
        Err(cause) => {
            let error = error(world, session, cause);
            ending::end(world, session, EndCause::NegotiationFailed, 0);
            Err(error)
        }
    }
}
