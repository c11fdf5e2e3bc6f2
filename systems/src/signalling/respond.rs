//! Sending responses through server transactions (RFC 3261 section 17.2).

use super::send::{count, linger, send, start_timer};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{Lifetime, Retransmit, Settings, Transaction, TransactionKind, TransactionState};
use ringworld_components::kernel::StableId;
use ringworld_components::wire::sip::{ACCEPTED_BODIES, reason_phrase};

/// What a response holds beside what its request dictates.
#[derive(Default)]
pub(super) struct Extras<'a> {
    /// Our tag. Without one a tag is made for final responses: the transaction's stable id names it well enough.
    pub to_tag: Option<Bytes>,
    /// Contact and the like.
    pub headers: Vec<(&'a str, String)>,
    /// Whether Record-Route is copied (section 12.1.1).
    pub makes_dialog: bool,
    /// Content type and body.
    pub body: Option<(&'a str, Bytes)>,
}

/// What the methods are that we understand, for Allow.
pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, REGISTER";

/// Sends a response. Nothing happens if the transaction has had its final response.
pub(super) fn respond(world: &mut World, transaction: Entity, status: u16, extras: &Extras<'_>) {
    let Some(bytes) = write(world, transaction, status, extras) else { return };
    let sip = &world.resource::<Settings>().sip;
    let (t1_ms, transaction_ms) = (sip.t1_ms, sip.transaction_ms());
    let Some(id) = world.get::<StableId>(transaction).copied() else { return };
    let Some(mut state) = world.get_mut::<Transaction>(transaction) else { return };
    let (target, is_reliable) = (state.target, state.target.transport.is_reliable());
    let is_invite = state.kind == TransactionKind::InviteServer;
    state.last = bytes.clone();
    if status < 200 {
        state.state = TransactionState::Proceeding;
    } else {
        state.head = None;
        state.owner = None;
        state.interval_ms = t1_ms;
        match (is_invite, status < 300) {
            (true, true) => {
                // RFC 6026: the transaction only absorbs retransmissions of the INVITE; the 2xx is the dialog's.
                state.state = TransactionState::Accepted;
                state.last = Bytes::new();
                start_timer::<Lifetime>(world, transaction, transaction_ms);
            }
            (true, false) => {
                state.state = TransactionState::Completed;
                if !is_reliable {
                    start_timer::<Retransmit>(world, transaction, u64::from(t1_ms));
                }
                start_timer::<Lifetime>(world, transaction, transaction_ms);
            }
            (false, _) => {
                state.state = TransactionState::Completed;
                linger(world, transaction, if is_reliable { 0 } else { transaction_ms });
            }
        }
    }
    count(world, |counters| *counters.responses_sent.entry(status).or_default() += 1);
    send(world, target, bytes, id);
}

fn write(world: &World, transaction: Entity, status: u16, extras: &Extras<'_>) -> Option<Bytes> {
    let state = world.get::<Transaction>(transaction)?;
    let id = world.get::<StableId>(transaction)?;
    let head = state.head.as_ref().filter(|_| state.kind.is_server())?;
    let made;
    let tag = match &extras.to_tag {
        Some(tag) => std::str::from_utf8(tag).ok(),
        None if status == 100 => None,
        None => {
            made = format!("rw{:02x}{:x}", id.world(), id.0 & 0x00ff_ffff_ffff_ffff);
            Some(made.as_str())
        }
    };
    let headers: Vec<(&str, &str)> = extras.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = extras.body.as_ref().map(|(content_type, body)| (*content_type, body.as_ref()));
    Some(head.write(status, reason_phrase(status), tag, extras.makes_dialog, &headers, body))
}

/// A response without dialog or body, with the headers that RFC 3261 asks for with that status.
pub(super) fn refuse(world: &mut World, transaction: Entity, status: u16) {
    let mut extras = Extras::default();
    match status {
        405 | 501 => extras.headers.push(("Allow", ALLOW.to_owned())),
        415 => extras.headers.push(("Accept", ACCEPTED_BODIES.to_owned())),
        503 => {
            let seconds = world.resource::<Settings>().limits.retry_after_s;
            extras.headers.push(("Retry-After", seconds.to_string()));
        }
        _ => {}
    }
    respond(world, transaction, status, &extras);
}
