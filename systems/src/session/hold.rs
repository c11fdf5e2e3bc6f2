//! Holding a peer and taking it back, by re-INVITE (RFC 3264 section 8.4, RFC 3261 section 14).

use super::ending::terminate;
use super::media;
use super::state::{change, error, leg_of, session_of};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallError, CallErrorCause, EndCause, Glare, GlareWait, InviteAim, Leg, OutgoingInvite, Queue, Session,
    SessionState, Signal,
};
use ringworld_components::kernel::{Now, Purpose, Secret, StableId, TimerWheel};
use ringworld_components::planted;
use std::time::Duration;

/// Asks the peer to be held, or taken back.
pub(super) fn ask(world: &mut World, session: Entity, aim: InviteAim) -> Result<(), CallError> {
    let Some(leg) = leg_of(world, session) else { return Ok(()) };
    send(world, leg, aim).map_err(|cause| error(world, session, cause))
}

fn send(world: &mut World, leg: Entity, aim: InviteAim) -> Result<(), CallErrorCause> {
    let Some(mut state) = world.get_mut::<Leg>(leg) else { return Ok(()) };
    if state.outgoing.is_some() || state.invite.is_some() {
        // One INVITE at a time (section 14.1): the one under way decides first.
        wait(world, leg, aim);
        return Ok(());
    }
    let held_before = std::mem::replace(&mut state.we_hold, aim == InviteAim::Hold);
    match media::make_offer(world, leg) {
        Ok(body) => {
            if let Some(mut state) = world.get_mut::<Leg>(leg) {
                state.outgoing = Some(OutgoingInvite { aim, provisional: false, cancel: false, cseq: 0 });
            }
            world.resource_mut::<Queue<Signal>>().push(Signal::Invite { leg, body: Some(body) });
            Ok(())
        }
        Err(cause) => {
            if let Some(mut state) = world.get_mut::<Leg>(leg) {
                state.we_hold = held_before;
            }
            Err(cause)
        }
    }
}

/// The peer agreed.
pub(super) fn agreed(world: &mut World, session: Entity, leg: Entity) {
    settle(world, session, leg);
}

/// The session is on hold if either side holds the other.
pub(super) fn settle(world: &mut World, session: Entity, leg: Entity) {
    let holds = world.get::<Leg>(leg).is_some_and(|leg| leg.we_hold || leg.peer_holds);
    let to = if holds || planted!(ResumeForgotten) { SessionState::OnHold } else { SessionState::Connected };
    if world.get::<Session>(session).is_some_and(|session| session.state() != to) {
        let _ = change(world, session, to);
    }
}

/// The peer refused: 491 is tried again, a lost dialog ends the call, anything else leaves things as they were.
pub(super) fn failed(world: &mut World, session: Entity, leg: Entity, aim: InviteAim, status: u16) {
    if let Some(mut state) = world.get_mut::<Leg>(leg) {
        state.we_hold = aim != InviteAim::Hold;
    }
    match status {
        491 => wait(world, leg, aim),
        408 | 481 | 503 => terminate(world, session, EndCause::DialogLost, status),
        _ => {}
    }
}

/// Section 14.1: the owner of the Call-ID waits 2.1 to 4 s, the other side 0 to 2 s, in steps of 10 ms.
fn wait(world: &mut World, leg: Entity, aim: InviteAim) {
    let now = *world.resource::<Now>();
    let id = world.get::<StableId>(leg).copied().unwrap_or(StableId(0));
    let random = world.resource::<Secret>().bits(id, now, Purpose::Glare, 0);
    let owns_call_id = session_of(world, leg)
        .and_then(|session| world.get::<Session>(session))
        .is_some_and(|session| session.role == ringworld_components::call::Role::Outgoing);
    let wait_ms = if owns_call_id { 2100 + (random % 191) * 10 } else { (random % 201) * 10 };
    if let Ok(mut entity) = world.get_entity_mut(leg) {
        entity.insert(Glare { aim });
    }
    let deadline = now.after(Duration::from_millis(wait_ms as u64));
    world.resource_mut::<TimerWheel<GlareWait>>().start(leg, deadline.0);
}

/// The wait after a glare is over.
pub(super) fn try_again(world: &mut World, leg: Entity) {
    let Some(glare) = world.get_entity_mut(leg).ok().and_then(|mut leg| leg.take::<Glare>()) else { return };
    let Some(session) = session_of(world, leg) else { return };
    let state = world.get::<Session>(session).map(Session::state);
    if planted!(CseqAfter491)
        && let Some(dialog) = world.get::<Leg>(leg).and_then(|leg| leg.dialog)
        && let Some(mut dialog) = world.get_mut::<ringworld_components::call::Dialog>(dialog)
    {
        dialog.local_cseq = dialog.local_cseq.wrapping_sub(1);
    }
    if matches!(state, Some(SessionState::Connected | SessionState::OnHold))
        && let Err(cause) = send(world, leg, glare.aim)
    {
        let error = error(world, session, cause);
        tracing::debug!(%error, "a re-INVITE was not tried again");
    }
}
