//! Usages of dialogs (RFC 5057).

use crate::edge::Target;
use crate::record::Record;
use crate::wire::sip::Method;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;
use bytes::Bytes;

/// A usage belongs to a dialog.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = Usages)]
pub struct UsageOf(pub Entity);

/// The usages of a dialog. With the last of them the dialog goes (RFC 5057 section 4.1).
#[derive(Component, Debug)]
#[component(on_remove = end_dialog)]
#[relationship_target(relationship = UsageOf, linked_spawn)]
pub struct Usages(Vec<Entity>);

fn end_dialog(mut world: DeferredWorld, context: HookContext) {
    world.commands().entity(context.entity).try_despawn();
}

/// The usage that an INVITE makes (RFC 5057 section 4.1): the part of a session within one dialog. There is at most one
/// a dialog; a session whose INVITE was forked has several.
#[derive(Component, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct InviteUsage {
    /// The 2xx of ours that waits for its ACK.
    pub unacked: Option<Box<UnackedAnswer>>,
    /// The ACK of ours for the last 2xx of the peer.
    pub sent_ack: Option<Box<SentAck>>,
}

impl InviteUsage {
    /// The usage of a dialog, if it has one.
    pub fn of(world: &World, dialog: Entity) -> Option<Entity> {
        let mut usages = world.get::<Usages>(dialog)?.iter();
        usages.find(|usage| world.get::<InviteUsage>(*usage).is_some())
    }
}

/// A 2xx that we sent and that was not acknowledged yet (RFC 3261 section 13.3.1.4): sent again at T1, 2*T1 ... T2.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct UnackedAnswer {
    /// The response.
    pub bytes: Bytes,
    /// The CSeq number of its INVITE.
    pub cseq: u32,
    /// Where it goes.
    pub target: Target,
    /// The current interval.
    pub interval_ms: u32,
    /// Whether to send BYE as soon as the ACK is here (section 15).
    pub then_bye: bool,
}

/// The ACK that we sent for a 2xx, to be sent again when the 2xx comes again (RFC 3261 section 13.2.2.4).
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct SentAck {
    /// The ACK.
    pub bytes: Bytes,
    /// The CSeq number of its INVITE.
    pub cseq: u32,
    /// Where it goes.
    pub target: Target,
}

/// Timer of an [`InviteUsage`]: send the 2xx again.
pub struct AnswerRetransmit;

/// Timer of an [`InviteUsage`]: 64*T1 without an ACK.
pub struct AckWait;

/// What a failed request within a dialog ends (RFC 5057 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureScope {
    /// The request alone has failed.
    Transaction,
    /// The usage that the request belongs to.
    Usage,
    /// The dialog with all its usages.
    Dialog,
}

impl FailureScope {
    /// What a final response of this status to a request of this method ends: tables 1 and 2 of RFC 5057 section 5.1,
    /// with their notes. A request without any response counts as 408 (note 4 and section 5.2). A request that belongs
    /// to no usage ends none (section 5.3).
    ///
    /// ```
    /// use ringworld_components::sip::FailureScope;
    /// use ringworld_components::wire::sip::Method;
    /// assert_eq!(FailureScope::of(481, &Method::Info), FailureScope::Usage);
    /// assert_eq!(FailureScope::of(404, &Method::Info), FailureScope::Dialog);
    /// assert_eq!(FailureScope::of(488, &Method::Invite), FailureScope::Transaction);
    /// ```
    pub fn of(status: u16, method: &Method) -> Self {
        // Without these methods a usage can't go on (note 3).
        let is_integral = matches!(method, Method::Invite | Method::Subscribe | Method::Notify);
        match status {
            // Note 8: the peer knows no such transaction, which says nothing about the usage of its INVITE.
            _ if *method == Method::Cancel => Self::Transaction,
            // Notes 2, 9, 10 and 14.
            404 | 410 | 416 | 482..=485 | 502 | 604 => Self::Dialog,
            // Notes 4, 7 and 8.
            408 | 480 | 481 => Self::Usage,
            405 | 501 if is_integral => Self::Usage,
            // Note 12.
            489 if matches!(method, Method::Subscribe | Method::Notify) => Self::Usage,
            _ => Self::Transaction,
        }
    }
}
