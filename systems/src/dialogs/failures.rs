//! What a request of ours that failed ends (RFC 5057 section 5).

use super::send::tell;
use bevy_ecs::prelude::*;
use ringworld_components::call::{CallEvent, InviteUsageOf};
use ringworld_components::sip::{Dialog, FailureScope, InviteUsage, Subscription, TransactionUser, UsageOf, Usages};
use ringworld_components::wire::sip::Method;

/// A request without a final response: it timed out, or could not be sent (section 5.2).
pub(super) fn request_failed(world: &mut World, method: &Method, user: TransactionUser, by_transport: bool) {
    let status = if by_transport { 503 } else { 408 };
    match (user, method) {
        (TransactionUser::Session(_) | TransactionUser::InviteUsage(_), Method::Invite) => {
            invite_refused(world, user, status, by_transport);
        }
        // A timeout affects the usage of the request alone; a request of no usage affects none.
        (TransactionUser::InviteUsage(usage), _) => end_invite_usage(world, usage, method, 408),
        (TransactionUser::Subscription(subscription), _) => end_subscription(world, subscription),
        _ => {}
    }
}

/// A final response other than 2xx to a request in a dialog that is not an INVITE.
pub(super) fn request_refused(world: &mut World, method: &Method, user: TransactionUser, status: u16) {
    match (user, FailureScope::of(status, method)) {
        // Whatever the response to a BYE is, it ends the usage (RFC 3261 section 15.1.1).
        (TransactionUser::InviteUsage(usage), _) if *method == Method::Bye => {
            end_invite_usage(world, usage, method, status)
        }
        (_, FailureScope::Transaction) => {}
        (TransactionUser::InviteUsage(usage), FailureScope::Usage) => end_invite_usage(world, usage, method, status),
        (TransactionUser::Subscription(subscription), FailureScope::Usage) => end_subscription(world, subscription),
        (TransactionUser::InviteUsage(usage) | TransactionUser::Subscription(usage), FailureScope::Dialog) => {
            if let Some(dialog) = world.get::<UsageOf>(usage).map(|of| of.0) {
                end_dialog(world, dialog, method, status);
            }
        }
        (TransactionUser::InDialog(dialog), FailureScope::Dialog) => end_dialog(world, dialog, method, status),
        _ => {}
    }
}

/// A final response other than 2xx to an INVITE of ours, or none.
pub(super) fn invite_refused(world: &mut World, user: TransactionUser, status: u16, by_transport: bool) {
    let session = match user {
        TransactionUser::Session(session) => Some(session),
        TransactionUser::InviteUsage(usage) => {
            let dialog = world.get::<UsageOf>(usage).map(|of| of.0);
            if let Some(dialog) = dialog.filter(|_| FailureScope::of(status, &Method::Invite) == FailureScope::Dialog) {
                end_subscriptions(world, dialog);
            }
            world.get::<InviteUsageOf>(usage).map(|of| of.0)
        }
        _ => None,
    };
    if let Some(session) = session {
        tell(world, CallEvent::Refused { session, status, by_transport });
    }
}

fn end_invite_usage(world: &mut World, usage: Entity, method: &Method, status: u16) {
    if world.get::<InviteUsage>(usage).is_none() {
        return;
    }
    if *method == Method::Bye {
        tell(world, CallEvent::ByeDone { usage });
    } else {
        tell(world, CallEvent::UsageLost { usage, status });
    }
}

/// With its last usage the dialog goes.
fn end_subscription(world: &mut World, subscription: Entity) {
    if world.get::<Subscription>(subscription).is_some() {
        world.despawn(subscription);
    }
}

fn end_dialog(world: &mut World, dialog: Entity, method: &Method, status: u16) {
    if world.get::<Dialog>(dialog).is_none() {
        return;
    }
    end_subscriptions(world, dialog);
    if let Some(usage) = InviteUsage::of(world, dialog) {
        end_invite_usage(world, usage, method, status);
    }
}

fn end_subscriptions(world: &mut World, dialog: Entity) {
    let usages = world.get::<Usages>(dialog).map(|usages| usages.iter().collect::<Vec<_>>()).unwrap_or_default();
    for usage in usages {
        end_subscription(world, usage);
    }
}
