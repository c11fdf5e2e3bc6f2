//! Offer and answer (RFC 3264) within the INVITE usages of a session: descriptions are written and taken, and the
//! session's stream follows what is agreed.

use super::gate::affords;
use super::media;
use super::state::{selected_usage, stream_of};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    CallErrorCause, Carrier, Counters, Described, Negotiation, Part, Service, Settings, SipIdentity,
};
use ringworld_components::kernel::{Now, Purpose, Secret, StableId};
use ringworld_components::media::Stream;
use ringworld_components::wire::sdp::{Direction, LocalMedia};

/// A negotiation with nothing agreed, of the session with this id.
pub(super) fn begin(world: &World, session: StableId) -> Negotiation {
    let now = *world.resource::<Now>();
    Negotiation::new((world.resource::<Secret>().bits(session, now, Purpose::SdpSession, 0) as u64) >> 16)
}

/// The negotiation of the usage that a session goes on in; before there is one, that of its first INVITE.
pub(super) fn negotiation(world: &World, session: Entity) -> Option<&Negotiation> {
    world.get::<Negotiation>(holder(world, session))
}

fn negotiation_mut(world: &mut World, session: Entity) -> Option<Mut<'_, Negotiation>> {
    let holder = holder(world, session);
    world.get_mut::<Negotiation>(holder)
}

fn holder(world: &World, session: Entity) -> Entity {
    selected_usage(world, session).unwrap_or(session)
}

/// Whether we hold the peer.
pub(super) fn we_hold(world: &World, session: Entity) -> bool {
    negotiation(world, session).is_some_and(Negotiation::we_hold)
}

/// Writes our description for a message: the answer to the peer's offer, else an offer; with `holds` one that holds the
/// peer. A stream is there to receive what is agreed, and after an answer it is set up. On an error nothing has
/// changed.
pub(super) fn describe(
    world: &mut World,
    session: Entity,
    carrier: Carrier,
    holds: bool,
) -> Result<Described, CallErrorCause> {
    let stream = media::prepare_stream(world, session)?;
    let described = describe_stream(world, session, stream, carrier, holds);
    match &described {
        Ok(described) => {
            count_version(world, described.version_is_wrong);
            if described.part == Part::Answer {
                follow(world, session);
            }
        }
        // A stream that the peer has turned off for a while keeps its port.
        Err(_) if negotiation(world, session).is_some_and(|it| it.agreed().is_some()) => {}
        Err(_) => media::discard_unused(world, stream),
    }
    described
}

fn describe_stream(
    world: &mut World,
    session: Entity,
    stream: Entity,
    carrier: Carrier,
    holds: bool,
) -> Result<Described, CallErrorCause> {
    let mut media = world.resource::<Settings>().media.clone();
    media.codecs.retain(|codec| affords(world, stream, *codec));
    let address = world.get::<SipIdentity>(session).map(|identity| identity.local_address.ip());
    let port = world.get::<Stream>(stream).map(|stream| stream.port);
    let (Some(address), Some(port)) = (address, port) else { return Err(CallErrorCause::NoSuchSession) };
    let local = LocalMedia {
        address,
        port,
        codecs: &media.codecs,
        offered: media.offered(),
        direction: if holds { Direction::SendOnly } else { Direction::SendRecv },
        ptime_ms: media.ptime_ms,
        telephone_event: true,
    };
    let mut negotiation = negotiation_mut(world, session).ok_or(CallErrorCause::NoSuchSession)?;
    negotiation.describe(carrier, &local).map_err(CallErrorCause::Negotiation)
}

/// Offers the description of another party in the first INVITE of a session: its media are not handled here.
pub(super) fn offer_foreign(world: &mut World, session: Entity, description: Bytes) -> Result<(), CallErrorCause> {
    let mut negotiation = negotiation_mut(world, session).ok_or(CallErrorCause::NoSuchSession)?;
    negotiation.offer_foreign(Carrier::Invite, description).map_err(CallErrorCause::Negotiation)
}

/// Takes a message of the peer within a usage, with the description that is in it; says what that is. After an answer
/// the stream is set up.
pub(super) fn receive(
    world: &mut World,
    session: Entity,
    usage: Entity,
    carrier: Carrier,
    body: Option<&[u8]>,
) -> Result<Option<Part>, CallErrorCause> {
    let mut negotiation = world.get_mut::<Negotiation>(usage).ok_or(CallErrorCause::NoSuchSession)?;
    match negotiation.receive(carrier, body) {
        Ok(received) => {
            count_version(world, received.version_is_wrong);
            if received.part == Some(Part::Answer) {
                follow(world, session);
            }
            Ok(received.part)
        }
        // Media that are not handled here are not checked here.
        Err(_) if world.get::<Service>(session).is_some_and(|service| *service == Service::ExternalMedia) => Ok(None),
        Err(error) => Err(CallErrorCause::Negotiation(error)),
    }
}

/// The INVITE that is open within a session has failed, ours or the peer's: what was agreed before goes on. Says
/// whether something was agreed within it, so that its sender should offer again (RFC 6141 section 3.4).
pub(super) fn invite_failed(world: &mut World, session: Entity) -> bool {
    negotiation_mut(world, session).is_some_and(|mut negotiation| negotiation.failed(Carrier::Invite))
}

fn follow(world: &mut World, session: Entity) {
    let agreed = negotiation(world, session).and_then(Negotiation::audio).cloned();
    if let Some(stream) = stream_of(world, session) {
        media::set_up(world, session, stream, agreed);
    }
}

fn count_version(world: &mut World, is_wrong: bool) {
    if is_wrong {
        world.resource_mut::<Counters>().sdp_versions_wrong += 1;
    }
}
