//! Requests within a dialog (RFC 3261 section 12.2.2).

use super::dialogs::tell;
use super::respond::{ALLOW, Extras, refuse, respond};
use bevy_ecs::prelude::*;
use ringworld_components::call::{CallEvent, Dialog, DialogOf, Leg, LegOf, Session, SessionState};
use ringworld_components::edge::Flow;
use ringworld_components::planted;
use ringworld_components::wire::sip::{ACCEPTED_BODIES, Method, Request};

pub(super) fn receive(world: &mut World, dialog: Entity, transaction: Entity, flow: Flow, request: Box<Request>) {
    if has_ended(world, dialog) {
        return refuse(world, transaction, super::out_of_dialog::status_without_dialog(&request.method));
    }
    let Some(mut state) = world.get_mut::<Dialog>(dialog) else { return };
    if !state.accepts_cseq(&request.method, request.head.cseq) {
        return refuse(world, transaction, 500);
    }
    match request.method {
        Method::Invite => receive_reinvite(world, dialog, transaction, &flow, request),
        Method::Bye => {
            respond(world, transaction, 200, &Extras::default());
            if !planted!(ByeUnheard) {
                tell(world, CallEvent::ByeReceived { dialog });
            }
        }
        Method::Info => respond(world, transaction, 200, &Extras::default()),
        Method::Options => {
            let headers = vec![("Allow", ALLOW.to_owned()), ("Accept", ACCEPTED_BODIES.to_owned())];
            respond(world, transaction, 200, &Extras { headers, ..Extras::default() });
        }
        ref method => refuse(world, transaction, super::out_of_dialog::status_of_unsupported(method)),
    }
}

/// Whether its session is only there to be looked at for another tick: the dialog went with the BYE (section 15).
fn has_ended(world: &World, dialog: Entity) -> bool {
    let leg = world.get::<DialogOf>(dialog).and_then(|of| world.get::<LegOf>(of.0));
    let session = leg.and_then(|of| world.get::<Session>(of.0));
    session.is_none_or(|session| session.state() == SessionState::Terminated)
}

/// Section 14.2.
fn receive_reinvite(world: &mut World, dialog: Entity, transaction: Entity, flow: &Flow, request: Box<Request>) {
    let Some(leg) = world.get::<DialogOf>(dialog).map(|of| of.0) else { return refuse(world, transaction, 481) };
    let Some(state) = world.get::<Leg>(leg) else { return refuse(world, transaction, 481) };
    if state.outgoing.is_some() {
        return refuse(world, transaction, 491);
    }
    if state.invite.is_some() || world.get::<ringworld_components::call::UnackedAnswer>(dialog).is_some() {
        // An INVITE before the end of the last one: come back after a random time of up to ten seconds.
        let now = *world.resource::<ringworld_components::kernel::Now>();
        let id = super::send::mint(world);
        let secret = world.resource::<ringworld_components::kernel::Secret>();
        let seconds = secret.bits(id, now, ringworld_components::kernel::Purpose::Glare, 0) % 11;
        let headers = vec![("Retry-After", seconds.to_string())];
        return respond(world, transaction, 500, &Extras { headers, ..Extras::default() });
    }
    if !super::out_of_dialog::understands(world, transaction, &request) {
        return;
    }
    if let Some(mut state) = world.get_mut::<Dialog>(dialog) {
        state.refresh_target(&request.head, flow);
    }
    if let Some(mut state) = world.get_mut::<Leg>(leg) {
        state.invite = Some(transaction);
    }
    if let Some(mut state) = world.get_mut::<ringworld_components::call::Transaction>(transaction) {
        state.owner = Some(leg);
    }
    tell(world, CallEvent::Reinvited { dialog, transaction, request });
}
