//! What sessions want sent: responses and requests within INVITE usages.

use super::requests;
use super::send::{ask, begin, fresh_branch, refuse_with, seed, send};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    InviteUsageOf, Parties, PendingInvite, Queue, SelectedUsage, SessionMessage, Settings, SipIdentity, contain,
};
use ringworld_components::kernel::{Now, Secret, StableId, start_timer};
use ringworld_components::planted;
use ringworld_components::sip::{
    AckWait, AnswerRetransmit, Capabilities, ClientRequest, Dialog, DialogState, InviteUsage, ResponseParts, SentAck,
    Transaction, TransactionRequest, TransactionTable, TransactionUser, UnackedAnswer, UsageOf, contact, mint_branch,
    tagged,
};
use ringworld_components::wire::sip::{Method, OutgoingRequest, ResponseTemplate, Warning, client_key};
use std::time::Duration;

const SDP: &str = "application/sdp";

pub(super) fn write_session_messages(world: &mut World) {
    for message in world.resource_mut::<Queue<SessionMessage>>().take() {
        contain(world, "write_session_messages", message.culprit(), |world| match message {
            SessionMessage::Respond { transaction, usage, status, warning, body } => {
                send_response(world, transaction, usage, status, warning, body);
            }
            SessionMessage::Invite { session, body } => send_invite(world, session, body),
            SessionMessage::Cancel { session } => send_cancel(world, session),
            SessionMessage::Bye { usage } => send_bye(world, usage),
            SessionMessage::Request { id, user, request } => requests::send_request(world, id, user, *request),
        });
    }
}

fn dialog_of(world: &World, usage: Entity) -> Option<(Entity, &Dialog)> {
    let dialog = world.get::<UsageOf>(usage)?.0;
    Some((dialog, world.get::<Dialog>(dialog)?))
}

fn send_response(
    world: &mut World,
    transaction: Entity,
    usage: Option<Entity>,
    status: u16,
    warning: Option<Warning>,
    body: Option<Bytes>,
) {
    let Some((usage, (dialog, state))) = usage.and_then(|usage| Some((usage, dialog_of(world, usage)?))) else {
        return refuse_with(world, transaction, status, warning.as_ref());
    };
    let makes_dialog = (101..300).contains(&status);
    let to_tag = Some(planted!(ChangingTag ? Bytes::from(format!("rw00{status}")), state.local_tag.clone()));
    // Not that of the dialog's last request: another one may have come in this very tick.
    let invite = world.get::<Transaction>(transaction);
    let template = invite.and_then(|invite| invite.head.as_ref());
    let cseq = template
        .filter(|_| !planted!(AckOfAnother))
        .and_then(ResponseTemplate::cseq)
        .or(state.remote_cseq)
        .unwrap_or(0);
    let target = invite.map(|transaction| transaction.target);
    let mut parts = ResponseParts { to_tag, makes_dialog, ..ResponseParts::default() };
    parts.body = body.as_ref().map(|body| (SDP, body.as_ref()));
    if makes_dialog {
        parts.add("Contact", contact(state.local_address, state.target.transport));
        for (name, value) in world.resource::<Capabilities>().headers() {
            parts.add(name, value);
        }
    } else if status == 503 {
        parts.add("Retry-After", world.resource::<Settings>().limits.retry_after_s.to_string());
    }
    if let Some(warning) = warning {
        parts.add("Warning", warning.to_string());
    }
    let response = TransactionRequest::response(world, transaction, status, &parts);
    let session = world.get::<InviteUsageOf>(usage).map(|of| of.0);
    if status >= 200
        && let Some(mut pending) = session.and_then(|session| world.get_mut::<PendingInvite>(session))
        && pending.received().is_some()
    {
        *pending = PendingInvite::None;
    }
    let Some(response) = response else { return };
    if let (200..300, Some(target), TransactionRequest::Respond { bytes, .. }) = (status, target, &response) {
        let interval_ms = world.resource::<Settings>().sip.t1_ms;
        let bytes = bytes.clone();
        let answer = UnackedAnswer { bytes, cseq, target, interval_ms, then_bye: false };
        await_ack(world, usage, dialog, answer);
    }
    ask(world, response);
}

/// Section 13.3.1.4. The timers run from the very tick in which the 2xx leaves, so no ACK can come before them.
fn await_ack(world: &mut World, usage: Entity, dialog: Entity, answer: UnackedAnswer) {
    let sip = &world.resource::<Settings>().sip;
    let (t1_ms, transaction_ms) = (u64::from(sip.t1_ms), sip.transaction_ms());
    if let Some(mut state) = world.get_mut::<InviteUsage>(usage) {
        state.unacked = Some(Box::new(answer));
    }
    if let Some(mut dialog) = world.get_mut::<Dialog>(dialog) {
        dialog.state = DialogState::Confirmed;
    }
    start_timer::<AnswerRetransmit>(world, usage, Duration::from_millis(t1_ms));
    start_timer::<AckWait>(world, usage, Duration::from_millis(transaction_ms));
}

/// A request within the dialog of a usage, with the next CSeq number unless one is given.
fn write_in_dialog(
    world: &mut World,
    usage: Entity,
    method: Method,
    cseq: Option<u32>,
    body: Option<Bytes>,
) -> Option<ClientRequest> {
    let branch = fresh_branch(world);
    let dialog = world.get::<UsageOf>(usage)?.0;
    let mut state = world.get_mut::<Dialog>(dialog)?;
    let cseq = cseq.unwrap_or_else(|| state.next_cseq());
    let state = world.get::<Dialog>(dialog)?;
    Some(state.request(method, branch, cseq, &[], body.as_ref().map(|body| (SDP, body.as_ref()))))
}

/// Acknowledges and ends a fork of a session that is not kept (section 13.2.2.4). The branches are made of its key, so
/// that a 2xx that comes again is acknowledged again and begins no second transaction.
pub(super) fn turn_down(world: &mut World, session: StableId, mut fork: Dialog, cseq: u32) {
    let secret = world.resource::<Secret>();
    let [ack, bye] = [fork.key as u64, (fork.key >> 64) as u64].map(|salt| mint_branch(secret, session, Now(salt)));
    let ack = fork.request(Method::Ack, ack, cseq, &[], None);
    send(world, ack.target, ack.bytes);
    let transactions = world.resource::<TransactionTable>();
    if transactions.find(client_key(bye.as_bytes(), &Method::Bye, seed(world))).is_some() {
        return;
    }
    let is_full = transactions.len() >= world.resource::<Settings>().limits.transactions as usize;
    let cseq = fork.next_cseq();
    let bye = fork.request(Method::Bye, bye, cseq, &[], None);
    if is_full {
        send(world, bye.target, bye.bytes);
    } else {
        begin(world, bye, TransactionUser::None);
    }
}

/// The ACK for a 2xx: a request of its own, outside any transaction (section 13.2.2.4).
pub(super) fn send_ack(world: &mut World, usage: Entity, cseq: u32) {
    let Some(ack) = write_in_dialog(world, usage, Method::Ack, Some(cseq), None) else { return };
    if let Some(mut state) = world.get_mut::<InviteUsage>(usage) {
        state.sent_ack = Some(Box::new(SentAck { bytes: ack.bytes.clone(), cseq, target: ack.target }));
    }
    send(world, ack.target, ack.bytes);
}

/// Section 15.1.1. While our own 2xx is not acknowledged, the BYE waits for the ACK.
pub(super) fn send_bye(world: &mut World, usage: Entity) {
    if let Some(mut state) = world.get_mut::<InviteUsage>(usage)
        && let Some(answer) = state.unacked.as_mut()
    {
        answer.then_bye = true;
        return;
    }
    if let Some(bye) = write_in_dialog(world, usage, Method::Bye, None, None) {
        begin(world, bye, TransactionUser::InviteUsage(usage));
    }
}

fn send_invite(world: &mut World, session: Entity, body: Option<Bytes>) {
    let selected = world.get::<SelectedUsage>(session).and_then(|selected| selected.0);
    let (written, user) = match selected {
        Some(usage) => {
            let written = write_in_dialog(world, usage, Method::Invite, None, body);
            (written, TransactionUser::InviteUsage(usage))
        }
        None => (write_first_invite(world, session, body), TransactionUser::Session(session)),
    };
    let Some(invite) = written else { return };
    let cseq = invite.cseq;
    let transaction = begin(world, invite, user);
    let mut pending = world.get_mut::<PendingInvite>(session);
    if let Some(sent) = pending.as_mut().and_then(|pending| pending.sent_mut()) {
        sent.transaction = Some(transaction);
        sent.cseq = cseq;
    }
}

fn write_first_invite(world: &mut World, session: Entity, body: Option<Bytes>) -> Option<ClientRequest> {
    let branch = fresh_branch(world);
    let (identity, parties) = (world.get::<SipIdentity>(session)?, world.get::<Parties>(session)?);
    let (method, target) = (Method::Invite, identity.target);
    let extra: Vec<_> = world.resource::<Capabilities>().headers().collect();
    let extra: Vec<(&str, &str)> = extra.iter().map(|(name, value)| (*name, &**value)).collect();
    let bytes = OutgoingRequest {
        method: &method,
        uri: &parties.request_uri,
        via_transport: target.transport.as_str(),
        via_sent_by: &identity.local_address.to_string(),
        branch: &branch,
        from: &tagged(&bracketed(&parties.from), &identity.local_tag),
        to: &bracketed(&parties.to),
        call_id: &identity.call_id,
        cseq: 1,
        max_forwards: 70,
        route: &[],
        contact: Some(&contact(identity.local_address, target.transport)),
        extra: &extra,
        body: body.as_ref().map(|body| (SDP, body.as_ref())),
    }
    .write();
    Some(ClientRequest { method, branch, target, cseq: 1, bytes })
}

fn bracketed(uri: &[u8]) -> Vec<u8> {
    [b"<", uri, b">"].concat()
}

/// Section 9.1: only after a provisional response; until then it is remembered.
fn send_cancel(world: &mut World, session: Entity) {
    let Some(mut pending) = world.get_mut::<PendingInvite>(session) else { return };
    let Some(sent) = pending.sent_mut() else { return };
    sent.cancel = true;
    if let Some(invite) = sent.transaction.filter(|_| sent.provisional) {
        ask(world, TransactionRequest::Cancel { invite });
    }
}
