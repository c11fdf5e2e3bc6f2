//! The requests of RFC 3261 within a dialog.

use super::send::{has_target, may_describe, mint, refuse, refuse_with, respond, tell};
use bevy_ecs::prelude::*;
use ringworld_components::call::{CallEvent, InviteUsageOf, PendingInvite};
use ringworld_components::kernel::{Now, Purpose, Secret};
use ringworld_components::planted;
use ringworld_components::sip::{Dialog, IncomingRequest, InviteUsage, ResponseParts, Transaction, TransactionUser};
use ringworld_components::wire::info_digit::{self, DIGIT_BODIES, InfoDigit};
use ringworld_components::wire::sip::{Warning, is_of_type};
use ringworld_components::wire::telephone_event::digit_of;

/// Section 15.1.2.
pub(super) fn receive_bye(world: &mut World, incoming: IncomingRequest) {
    respond(world, incoming.transaction, 200, &ResponseParts::default());
    if let Some(usage) = incoming.usage.filter(|_| !planted!(ByeUnheard)) {
        tell(world, CallEvent::ByeReceived { usage });
    }
}

/// An INFO is a key that was pressed, or has no body and no meaning and is taken: the legacy usage of RFC 6086 section 9.
/// We are willing to receive no Info Package (section 4.2.2).
pub(super) fn receive_info(world: &mut World, incoming: IncomingRequest) {
    let IncomingRequest { transaction, request, usage, .. } = incoming;
    let head = &request.head;
    if head.header("Info-Package").is_some() {
        return respond(world, transaction, 469, &ResponseParts::with("Recv-Info", ""));
    }
    let has_digit = head.content_type.is_some() && head.has_body(|kind| is_of_type(kind, DIGIT_BODIES)) == Ok(true);
    match info_digit::parse(&head.body) {
        Err(why) if has_digit => {
            let warning = Warning::miscellaneous(why.to_string());
            return refuse_with(world, transaction, 400, Some(&warning));
        }
        Ok(InfoDigit { event, duration_ms }) if has_digit => {
            if let (Some(usage), Some(digit)) = (usage, digit_of(event)) {
                tell(world, CallEvent::DigitReceived { usage, digit, duration_ms });
            }
        }
        _ => {}
    }
    respond(world, transaction, 200, &ResponseParts::default());
}

/// Section 14.2. One without a Contact leaves the remote target where it is (section 12.2.2).
pub(super) fn receive_reinvite(world: &mut World, incoming: IncomingRequest) {
    let IncomingRequest { transaction, flow, request, dialog, usage } = incoming;
    let Some(usage) = usage else { return refuse(world, transaction, 481) };
    let dialog = dialog.and_then(|dialog| world.get::<Dialog>(dialog));
    let route = dialog.and_then(|dialog| dialog.route_set.first().cloned());
    if request.head.header("Contact").is_some() && !has_target(world, transaction, &request, route.as_ref()) {
        return;
    }
    if !may_describe(world, transaction, &request) {
        return;
    }
    let Some(session) = world.get::<InviteUsageOf>(usage).map(|of| of.0) else {
        return refuse(world, transaction, 481);
    };
    let Some(pending) = world.get::<PendingInvite>(session) else { return refuse(world, transaction, 481) };
    if pending.sent().is_some() {
        return refuse(world, transaction, 491);
    }
    let is_unacked = world.get::<InviteUsage>(usage).is_some_and(|usage| usage.unacked.is_some());
    if !pending.is_none() || is_unacked {
        // An INVITE before the end of the last one: come back after a random time of up to ten seconds.
        let now = *world.resource::<Now>();
        let id = mint(world);
        let seconds = world.resource::<Secret>().bits(id, now, Purpose::Glare, 0) % 11;
        return respond(world, transaction, 500, &ResponseParts::with("Retry-After", seconds.to_string()));
    }
    if let Some(mut pending) = world.get_mut::<PendingInvite>(session) {
        *pending = PendingInvite::Received { transaction };
    }
    if let Some(mut state) = world.get_mut::<Transaction>(transaction) {
        state.user = TransactionUser::InviteUsage(usage);
    }
    tell(world, CallEvent::Reinvited { usage, transaction, flow, request });
}
