//! Calls end.

use super::answer::refuse;
use super::state::{change, leg_of, raise, stream_of};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallEnded, CancelDeadline, ClaimDeadline, Counters, DurationDeadline, EndCause, Ended, Ending, InviteAim, Leg,
    Lifetime, Queue, RingDeadline, Role, Session, SessionState, Settings, Signal,
};
use ringworld_components::kernel::{Now, TimerWheel};
use ringworld_components::media::PortPool;
use ringworld_components::planted;
use std::time::Duration;

/// Ends a session from our side, whatever state it is in: a final response, CANCEL or BYE. A call that is ending already
/// goes on doing so.
pub(super) fn terminate(world: &mut World, session: Entity, cause: EndCause, status: u16) {
    let Some(state) = world.get::<Session>(session).map(|session| (session.state(), session.role)) else { return };
    match state {
        (SessionState::Initializing | SessionState::Ringing, Role::Incoming) => refuse(world, session, cause, status),
        (SessionState::Initializing | SessionState::Dialing | SessionState::Ringing, _) => {
            cancel(world, session, cause, status);
        }
        (SessionState::Connected | SessionState::OnHold | SessionState::Transferring, _) => {
            let dialog = leg_of(world, session).and_then(|leg| world.get::<Leg>(leg)).and_then(|leg| leg.dialog);
            match dialog {
                Some(dialog) => {
                    begin_ending(world, session, cause, status);
                    if !planted!(NoBye) {
                        world.resource_mut::<Queue<Signal>>().push(Signal::Bye { dialog });
                    }
                }
                None => end(world, session, cause, status),
            }
        }
        (SessionState::Terminating | SessionState::Terminated, _) => {}
    }
}

/// Cancels a call that we placed. It ends with the final response to its INVITE, or a while later without one.
fn cancel(world: &mut World, session: Entity, cause: EndCause, status: u16) {
    if planted!(LostPort) {
        world.resource_mut::<PortPool>().take();
    }
    let Some(leg) = leg_of(world, session) else { return end(world, session, cause, status) };
    begin_ending(world, session, cause, status);
    if let Some(outgoing) = world.get_mut::<Leg>(leg).as_mut().and_then(|leg| leg.outgoing.as_mut()) {
        outgoing.cancel = true;
    }
    world.resource_mut::<Queue<Signal>>().push(Signal::Cancel { leg });
    let patience_ms = world.resource::<Settings>().sip.transaction_ms();
    let deadline = world.resource::<Now>().after(Duration::from_millis(patience_ms));
    world.resource_mut::<TimerWheel<CancelDeadline>>().start(session, deadline.0);
}

fn begin_ending(world: &mut World, session: Entity, cause: EndCause, status: u16) {
    if let Some(mut state) = world.get_mut::<Session>(session) {
        state.ending = Some(Ending { cause, status });
    }
    release(world, session);
    let _ = change(world, session, SessionState::Terminating);
}

/// Ends a session at once: nothing more is to be sent. What it held goes back in this very tick.
pub(super) fn end(world: &mut World, session: Entity, cause: EndCause, status: u16) {
    let Some(mut state) = world.get_mut::<Session>(session) else { return };
    if state.state() == SessionState::Terminated {
        return;
    }
    let role = state.role;
    let ending = state.ending.get_or_insert(Ending { cause, status }).clone();
    release(world, session);
    forget_invite(world, session);
    if change(world, session, SessionState::Terminated).is_err() {
        return;
    }
    let outcome = match (ending.cause, ending.status) {
        (EndCause::Rejected, status) => format!("rejected with {status}"),
        (cause, _) => cause.as_str().to_owned(),
    };
    world.resource_mut::<Counters>().outcome(&outcome);
    if planted!(OutcomeTwice) {
        world.resource_mut::<Counters>().outcome(&outcome);
    }
    raise(world, session, |id| CallEnded::of(id, session, ending, role));
    world.resource_mut::<Ended>().fresh.push(session);
}

/// Gives media and deadlines back.
fn release(world: &mut World, session: Entity) {
    world.resource_mut::<TimerWheel<RingDeadline>>().cancel(session);
    world.resource_mut::<TimerWheel<DurationDeadline>>().cancel(session);
    world.resource_mut::<TimerWheel<ClaimDeadline>>().cancel(session);
    if let Some(stream) = leg_of(world, session).and_then(|leg| stream_of(world, leg)) {
        world.despawn(stream);
    }
}

/// An INVITE of ours that has no final response yet waits for it, and acknowledges it, for 64*T1 more: after a provisional
/// response no other timer runs (section 17.1.1.2), and one may never come.
fn forget_invite(world: &mut World, session: Entity) {
    if planted!(InviteStays) {
        return;
    }
    let leg = leg_of(world, session).and_then(|leg| world.get::<Leg>(leg));
    let Some(invite) = leg.filter(|leg| leg.outgoing.is_some()).and_then(|leg| leg.invite) else { return };
    let patience_ms = world.resource::<Settings>().sip.transaction_ms();
    let deadline = world.resource::<Now>().after(Duration::from_millis(patience_ms));
    let mut lifetimes = world.resource_mut::<TimerWheel<Lifetime>>();
    if lifetimes.deadline(invite).is_none() {
        lifetimes.start(invite, deadline.0);
    }
}

/// The INVITE that a leg sent got a final response other than 2xx, or none.
pub(super) fn invite_failed(world: &mut World, session: Entity, leg: Entity, status: u16, by_transport: bool) {
    let Some(outgoing) = world.get_mut::<Leg>(leg).and_then(|mut leg| {
        leg.invite = None;
        leg.outgoing.take()
    }) else {
        return;
    };
    match outgoing.aim {
        InviteAim::Call => {
            let cause = match status {
                _ if by_transport => EndCause::TransportFailure,
                408 if !outgoing.provisional => EndCause::SignallingTimeout,
                _ => EndCause::Rejected,
            };
            end(world, session, cause, status);
        }
        aim @ (InviteAim::Hold | InviteAim::Resume) => super::hold::failed(world, session, leg, aim, status),
    }
}

/// Despawns the sessions that ended in the tick before, and with them legs and dialogs.
pub(super) fn reap_ended_sessions(world: &mut World) {
    let mut ended = world.resource_mut::<Ended>();
    let stale = std::mem::take(&mut ended.stale);
    ended.stale = std::mem::take(&mut ended.fresh);
    for session in stale {
        if let Some(invite) = open_invite(world, session) {
            world.resource_mut::<Queue<Signal>>().push(Signal::Abandon { invite });
        }
        world.despawn(session);
    }
}

/// The transaction of an INVITE of ours that has no final response yet.
fn open_invite(world: &World, session: Entity) -> Option<Entity> {
    let leg = world.get::<Leg>(leg_of(world, session)?)?;
    leg.outgoing.as_ref().and(leg.invite)
}
