//! Holding and resuming a peer, by re-INVITE (RFC 3264 section 8.4, RFC 3261 section 14).

use super::ending::terminate;
use super::negotiate;
use super::state::{change, error, selected_usage};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallError, CallErrorCause, Carrier, EndCause, Glare, GlareWait, InviteAim, Negotiation, Part, PendingInvite, Queue,
    Role, Session, SessionMessage, SessionState, Side,
};
use ringworld_components::kernel::{Now, Purpose, Secret, StableId, TimerWheel};
use ringworld_components::planted;
use ringworld_components::sip::{Dialog, FailureScope, UsageOf};
use ringworld_components::wire::sip::Method;
use std::time::Duration;

/// Asks to hold the peer, or to resume it.
pub(super) fn ask(world: &mut World, session: Entity, aim: InviteAim) -> Result<(), CallError> {
    send(world, session, aim).map_err(|cause| error(world, session, cause))
}

fn send(world: &mut World, session: Entity, aim: InviteAim) -> Result<(), CallErrorCause> {
    let Some(pending) = world.get::<PendingInvite>(session) else { return Ok(()) };
    let may_offer = |it: &Negotiation| it.part_of(Side::Us, Carrier::Invite) == Ok(Part::Offer);
    if !pending.is_none() || !negotiate::negotiation(world, session).is_some_and(may_offer) {
        // One INVITE at a time (section 14.1): the one under way decides first.
        wait(world, session, aim);
        return Ok(());
    }
    let body = negotiate::describe(world, session, Carrier::Invite, aim == InviteAim::Hold)?.body;
    if let Some(mut pending) = world.get_mut::<PendingInvite>(session) {
        *pending = PendingInvite::to_send(aim);
    }
    world.resource_mut::<Queue<SessionMessage>>().push(SessionMessage::Invite { session, body });
    Ok(())
}

/// The session is on hold if either side holds the other.
pub(super) fn settle(world: &mut World, session: Entity) {
    let holds = negotiate::negotiation(world, session).is_some_and(|it| it.we_hold() || it.peer_holds());
    let to = if holds || planted!(ResumeForgotten) { SessionState::OnHold } else { SessionState::Connected };
    if world.get::<Session>(session).is_some_and(|session| session.state() != to) {
        let _ = change(world, session, to);
    }
}

/// The peer refused: 491 is tried again, a lost usage or dialog (RFC 5057 section 5) ends the call, anything else
/// leaves things as they were, but what was agreed within the INVITE, which is offered again (RFC 6141 section 3.4).
pub(super) fn failed(world: &mut World, session: Entity, aim: InviteAim, status: u16, by_transport: bool) {
    let is_changed = negotiate::invite_failed(world, session);
    if status == 491 {
        wait(world, session, aim);
    } else if by_transport || FailureScope::of(status, &Method::Invite) != FailureScope::Transaction {
        terminate(world, session, EndCause::DialogLost, status);
    } else if is_changed {
        wait(world, session, aim);
    }
}

/// Section 14.1: the owner of the Call-ID waits 2.1 to 4 s, the other side 0 to 2 s, in steps of 10 ms.
fn wait(world: &mut World, session: Entity, aim: InviteAim) {
    let now = *world.resource::<Now>();
    let id = world.get::<StableId>(session).copied().unwrap_or(StableId(0));
    let random = world.resource::<Secret>().bits(id, now, Purpose::Glare, 0);
    let owns_call_id = world.get::<Session>(session).is_some_and(|session| session.role == Role::Outgoing);
    let wait_ms = if owns_call_id { 2100 + (random % 191) * 10 } else { (random % 201) * 10 };
    if let Ok(mut entity) = world.get_entity_mut(session) {
        entity.insert(Glare { aim });
    }
    let deadline = now.after(Duration::from_millis(wait_ms as u64));
    world.resource_mut::<TimerWheel<GlareWait>>().start(session, deadline.0);
}

/// The wait after a glare is over.
pub(super) fn try_again(world: &mut World, session: Entity) {
    let Some(glare) = world.get_entity_mut(session).ok().and_then(|mut session| session.take::<Glare>()) else {
        return;
    };
    let state = world.get::<Session>(session).map(Session::state);
    if planted!(CseqAfter491)
        && let Some(usage) = selected_usage(world, session)
        && let Some(dialog) = world.get::<UsageOf>(usage).map(|of| of.0)
        && let Some(mut dialog) = world.get_mut::<Dialog>(dialog)
    {
        dialog.local_cseq = dialog.local_cseq.wrapping_sub(1);
    }
    if matches!(state, Some(SessionState::Connected | SessionState::OnHold))
        && let Err(cause) = send(world, session, glare.aim)
    {
        let error = error(world, session, cause);
        tracing::debug!(%error, "a re-INVITE was not tried again");
    }
}
