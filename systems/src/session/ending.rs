//! Calls end.

use super::answer::refuse;
use super::state::{change, raise, selected_usage, stream_of};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    CallEnded, CancelDeadline, ClaimDeadline, Counters, DurationDeadline, EndCause, EndFollower, Ended, Ending,
    InviteAim, InviteExpiry, PendingInvite, Queue, RingDeadline, Role, Session, SessionMessage, SessionState, Settings,
    contain,
};
use ringworld_components::kernel::{Now, TimerWheel};
use ringworld_components::media::PortPool;
use ringworld_components::planted;
use ringworld_components::sip::{Lifetime, TransactionRequest};
use std::time::Duration;

/// Ends a session from our side, whatever state it is in: a final response, CANCEL or BYE. A call that is ending
/// already goes on doing so.
pub(super) fn terminate(world: &mut World, session: Entity, cause: EndCause, status: u16) {
    let Some(state) = world.get::<Session>(session).map(|session| (session.state(), session.role)) else { return };
    match state {
        (SessionState::Initializing | SessionState::Ringing, Role::Incoming) => refuse(world, session, cause, status),
        (SessionState::Initializing | SessionState::Dialing | SessionState::Ringing, _) => {
            cancel(world, session, cause, status);
        }
        (SessionState::Connected | SessionState::OnHold | SessionState::Transferring, _) => {
            match selected_usage(world, session) {
                Some(usage) => {
                    begin_ending(world, session, cause, status);
                    if !planted!(NoBye) {
                        world.resource_mut::<Queue<SessionMessage>>().push(SessionMessage::Bye { usage });
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
    begin_ending(world, session, cause, status);
    let mut pending = world.get_mut::<PendingInvite>(session);
    if let Some(sent) = pending.as_mut().and_then(|pending| pending.sent_mut()) {
        sent.cancel = true;
    }
    world.resource_mut::<Queue<SessionMessage>>().push(SessionMessage::Cancel { session });
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
    world.resource_mut::<TimerWheel<InviteExpiry>>().cancel(session);
    world.resource_mut::<TimerWheel<DurationDeadline>>().cancel(session);
    world.resource_mut::<TimerWheel<ClaimDeadline>>().cancel(session);
    if let Some(stream) = stream_of(world, session) {
        world.despawn(stream);
    }
}

/// An INVITE of ours that has no final response yet waits for it, and acknowledges it, for 64*T1 more: after a
/// provisional response no other timer runs (section 17.1.1.2), and one may never come.
fn forget_invite(world: &mut World, session: Entity) {
    if planted!(InviteStays) {
        return;
    }
    let Some(invite) = open_invite(world, session) else { return };
    let patience_ms = world.resource::<Settings>().sip.transaction_ms();
    let deadline = world.resource::<Now>().after(Duration::from_millis(patience_ms));
    let mut lifetimes = world.resource_mut::<TimerWheel<Lifetime>>();
    if lifetimes.deadline(invite).is_none() {
        lifetimes.start(invite, deadline.0);
    }
}

/// The INVITE that a session sent got a final response other than 2xx, or none.
pub(super) fn invite_failed(world: &mut World, session: Entity, status: u16, by_transport: bool) {
    let Some(sent) = world.get_mut::<PendingInvite>(session).and_then(|mut pending| pending.take_sent()) else {
        return;
    };
    match sent.aim {
        InviteAim::Call => {
            let cause = match status {
                _ if by_transport => EndCause::TransportFailure,
                408 if !sent.provisional => EndCause::SignallingTimeout,
                _ => EndCause::Rejected,
            };
            end(world, session, cause, status);
        }
        aim @ (InviteAim::Hold | InviteAim::Resume) => super::hold::failed(world, session, aim, status, by_transport),
    }
}

/// Ends the sessions that end with another one. An incoming call that was not answered is refused with 480.
pub(super) fn end_followers(world: &mut World) {
    for EndFollower { session, cause } in world.resource_mut::<Queue<EndFollower>>().take() {
        contain(world, "end_followers", Some(session), |world| terminate(world, session, cause, 480));
    }
}

/// Despawns the sessions that ended in the tick before, and with them their usages.
pub(super) fn reap_ended_sessions(world: &mut World) {
    let mut ended = world.resource_mut::<Ended>();
    let stale = std::mem::take(&mut ended.stale);
    ended.stale = std::mem::take(&mut ended.fresh);
    for session in stale {
        if let Some(invite) = open_invite(world, session) {
            world.resource_mut::<Queue<TransactionRequest>>().push(TransactionRequest::Abandon { invite });
        }
        world.despawn(session);
    }
}

/// The transaction of an INVITE of ours that has no final response yet.
fn open_invite(world: &World, session: Entity) -> Option<Entity> {
    world.get::<PendingInvite>(session)?.sent()?.transaction
}
