//! What sessions want sent: responses and requests of calls.

use super::client::{begin, parse_own, tagged};
use super::respond::{ALLOW, Extras, refuse, respond};
use super::send::{contact, mint, seed, send, start_timer};
use bevy_ecs::prelude::*;
use bytes::Bytes;
use ringworld_components::call::{
    AckWait, AnswerRetransmit, Dialog, DialogOf, DialogState, Leg, LegOf, Lifetime, Queue, SentAck, Session, Settings,
    Signal, Transaction, TransactionState, TransactionTable, UnackedAnswer, contain, mint_branch,
};
use ringworld_components::edge::{Target, Transport};
use ringworld_components::kernel::{Now, Secret, StableId, TimerWheel};
use ringworld_components::planted;
use ringworld_components::wire::sip::{Method, OutgoingRequest, ResponseTemplate, client_key};

/// An INVITE that arrived in this tick: it gets a 100 if nothing else is sent for it (section 17.2.1).
#[derive(Debug)]
pub(super) struct FreshInvite(pub Entity);

pub(super) fn carry_out_signals(world: &mut World) {
    for signal in world.resource_mut::<Queue<Signal>>().take() {
        contain(world, "carry_out_signals", Some(signal.culprit()), |world| match signal {
            Signal::Respond { transaction, dialog, status, body, expects_answer } => {
                send_response(world, transaction, dialog, status, body, expects_answer);
            }
            Signal::Invite { leg, body } => send_invite(world, leg, body),
            Signal::Cancel { leg } => send_cancel(world, leg),
            Signal::Bye { dialog } => send_bye(world, dialog),
            Signal::Abandon { invite } => give_up_later(world, invite),
        });
    }
    for FreshInvite(transaction) in world.resource_mut::<Queue<FreshInvite>>().take() {
        let is_silent = world
            .get::<Transaction>(transaction)
            .is_some_and(|invite| invite.state == TransactionState::Proceeding && invite.last.is_empty());
        if is_silent {
            respond(world, transaction, 100, &Extras::default());
        }
    }
}

fn send_response(
    world: &mut World,
    transaction: Entity,
    dialog: Option<Entity>,
    status: u16,
    body: Option<Bytes>,
    expects_answer: bool,
) {
    let Some(state) = dialog.and_then(|dialog| world.get::<Dialog>(dialog)) else {
        return refuse(world, transaction, status);
    };
    let makes_dialog = (101..300).contains(&status);
    let to_tag = Some(planted!(ChangingTag ? Bytes::from(format!("rw00{status}")), state.local_tag.clone()));
    // Not that of the dialog's last request: another one may have come in this very tick.
    let invite = world.get::<Transaction>(transaction).and_then(|invite| invite.head.as_ref());
    let cseq =
        invite.filter(|_| !planted!(AckOfAnother)).and_then(ResponseTemplate::cseq).or(state.remote_cseq).unwrap_or(0);
    let mut headers = Vec::new();
    if makes_dialog {
        headers.push(("Contact", contact(state.local_address, state.target.transport)));
        headers.push(("Allow", ALLOW.to_owned()));
    } else if status == 503 {
        headers.push(("Retry-After", world.resource::<Settings>().limits.retry_after_s.to_string()));
    }
    let body = body.map(|body| ("application/sdp", body));
    let target = world.get::<Transaction>(transaction).map(|transaction| transaction.target);
    let before = world.resource::<Queue<ringworld_components::edge::Output>>().0.len();
    respond(world, transaction, status, &Extras { to_tag, headers, makes_dialog, body });
    let leg = dialog.and_then(|dialog| world.get::<DialogOf>(dialog)).map(|of| of.0);
    if status >= 200
        && let Some(mut leg) = leg.and_then(|leg| world.get_mut::<Leg>(leg))
    {
        leg.invite = None;
    }
    let sent =
        world.resource::<Queue<ringworld_components::edge::Output>>().0.get(before).and_then(|output| match output {
            ringworld_components::edge::Output::Sip { bytes, .. } => Some(bytes.clone()),
            _ => None,
        });
    if let (200..300, Some(dialog), Some(target), Some(bytes)) = (status, dialog, target, sent) {
        await_ack(world, dialog, target, bytes, cseq, expects_answer);
    }
}

/// Section 13.3.1.4. The timers run from the very tick in which the 2xx leaves, so no ACK can come before them.
fn await_ack(world: &mut World, dialog: Entity, target: Target, bytes: Bytes, cseq: u32, expects_answer: bool) {
    let sip = &world.resource::<Settings>().sip;
    let (t1_ms, transaction_ms) = (sip.t1_ms, sip.transaction_ms());
    if let Ok(mut entity) = world.get_entity_mut(dialog) {
        let answer = UnackedAnswer { bytes, cseq, target, interval_ms: t1_ms, expects_answer, then_bye: false };
        entity.insert(answer);
        if let Some(mut dialog) = entity.get_mut::<Dialog>() {
            dialog.state = DialogState::Confirmed;
        }
    }
    start_timer::<AnswerRetransmit>(world, dialog, u64::from(t1_ms));
    start_timer::<AckWait>(world, dialog, transaction_ms);
}

/// A request within a dialog (section 12.2.1.1), ready to be sent, with its branch.
fn write_in_dialog(
    world: &mut World,
    dialog: Entity,
    method: &Method,
    cseq: Option<u32>,
    body: Option<Bytes>,
) -> Option<(Bytes, String, Target, u32)> {
    let id = mint(world);
    let branch = mint_branch(world.resource::<Secret>(), id, *world.resource::<Now>());
    let mut state = world.get_mut::<Dialog>(dialog)?;
    let cseq = cseq.unwrap_or_else(|| state.next_cseq());
    let state = world.get::<Dialog>(dialog)?;
    Some((request_in(state, method, &branch, cseq, body.as_ref()), branch, state.target, cseq))
}

fn request_in(dialog: &Dialog, method: &Method, branch: &str, cseq: u32, body: Option<&Bytes>) -> Bytes {
    let own_contact = contact(dialog.local_address, dialog.target.transport);
    let (uri, route) = dialog.request_line();
    OutgoingRequest {
        method,
        uri: &uri,
        via_transport: dialog.target.transport.as_str(),
        via_sent_by: &dialog.local_address.to_string(),
        branch,
        from: &tagged(&dialog.local, &dialog.local_tag),
        to: &tagged(&dialog.remote, &dialog.remote_tag),
        call_id: &dialog.call_id,
        cseq,
        max_forwards: 70,
        route: &route,
        contact: (*method == Method::Invite).then_some(own_contact.as_str()),
        extra: &[],
        body: body.map(|body| ("application/sdp", body.as_ref())),
    }
    .write()
}

/// Acknowledges and ends a fork of `leg` that is not kept (section 13.2.2.4). The branches are made of its key, so that a 2xx
/// that comes again is acknowledged again and begins no second transaction.
pub(super) fn turn_down(world: &mut World, leg: StableId, mut fork: Dialog, cseq: u32) {
    let secret = world.resource::<Secret>();
    let [ack, bye] = [fork.key as u64, (fork.key >> 64) as u64].map(|salt| mint_branch(secret, leg, Now(salt)));
    let target = fork.target;
    send(world, target, request_in(&fork, &Method::Ack, &ack, cseq, None), StableId(0));
    let transactions = world.resource::<TransactionTable>();
    if transactions.find(client_key(bye.as_bytes(), &Method::Bye, seed(world))).is_some() {
        return;
    }
    let is_full = transactions.len() >= world.resource::<Settings>().limits.transactions as usize;
    let cseq = fork.next_cseq();
    let bytes = request_in(&fork, &Method::Bye, &bye, cseq, None);
    if is_full {
        send(world, target, bytes, StableId(0));
    } else {
        begin(world, None, Method::Bye, &bye, target, bytes);
    }
}

/// The ACK for a 2xx: a request of its own, outside any transaction (section 13.2.2.4).
pub(super) fn send_ack(world: &mut World, dialog: Entity, cseq: u32) {
    let Some((bytes, _, target, cseq)) = write_in_dialog(world, dialog, &Method::Ack, Some(cseq), None) else { return };
    if let Ok(mut dialog) = world.get_entity_mut(dialog) {
        dialog.insert(SentAck { bytes: bytes.clone(), cseq, target });
    }
    send(world, target, bytes, StableId(0));
}

/// Section 15.1.1. While our own 2xx is not acknowledged, the BYE waits for the ACK.
pub(super) fn send_bye(world: &mut World, dialog: Entity) {
    if let Some(mut answer) = world.get_mut::<UnackedAnswer>(dialog) {
        answer.then_bye = true;
        return;
    }
    if let Some((bytes, branch, target, _)) = write_in_dialog(world, dialog, &Method::Bye, None, None) {
        begin(world, Some(dialog), Method::Bye, &branch, target, bytes);
    }
}

fn send_invite(world: &mut World, leg: Entity, body: Option<Bytes>) {
    let written = match world.get::<Leg>(leg).and_then(|leg| leg.dialog) {
        Some(dialog) => write_in_dialog(world, dialog, &Method::Invite, None, body),
        None => write_first_invite(world, leg, body),
    };
    let Some((bytes, branch, target, cseq)) = written else { return };
    let transaction = begin(world, Some(leg), Method::Invite, &branch, target, bytes);
    if let Some(mut leg) = world.get_mut::<Leg>(leg) {
        leg.invite = Some(transaction);
        if let Some(outgoing) = leg.outgoing.as_mut() {
            outgoing.cseq = cseq;
        }
    }
}

fn write_first_invite(world: &mut World, leg: Entity, body: Option<Bytes>) -> Option<(Bytes, String, Target, u32)> {
    let id = mint(world);
    let branch = mint_branch(world.resource::<Secret>(), id, *world.resource::<Now>());
    let state = world.get::<Leg>(leg)?;
    let session = world.get::<LegOf>(leg).and_then(|of| world.get::<Session>(of.0))?;
    let bytes = OutgoingRequest {
        method: &Method::Invite,
        uri: &session.to,
        via_transport: state.target.transport.as_str(),
        via_sent_by: &state.local_address.to_string(),
        branch: &branch,
        from: &tagged(&bracketed(&session.from), &state.local_tag),
        to: &bracketed(&session.to),
        call_id: &state.call_id,
        cseq: 1,
        max_forwards: 70,
        route: &[],
        contact: Some(&contact(state.local_address, state.target.transport)),
        extra: &[("Allow", ALLOW)],
        body: body.as_ref().map(|body| ("application/sdp", body.as_ref())),
    }
    .write();
    Some((bytes, branch, state.target, 1))
}

fn bracketed(uri: &[u8]) -> Vec<u8> {
    [b"<", uri, b">"].concat()
}

/// Section 9.1: only after a provisional response, and with what the INVITE said, taken from the INVITE itself.
pub(super) fn send_cancel(world: &mut World, leg: Entity) {
    let Some(mut state) = world.get_mut::<Leg>(leg) else { return };
    let Some(outgoing) = state.outgoing.as_mut() else { return };
    outgoing.cancel = true;
    if !outgoing.provisional {
        return;
    }
    let Some(invite_transaction) = state.invite else { return };
    let Some(invite) = world.get::<Transaction>(invite_transaction) else { return };
    let target = invite.target;
    let Some(invite) = parse_own(&invite.last) else { return };
    let head = &invite.head;
    let branch = String::from_utf8_lossy(head.via.branch.as_deref().unwrap_or_default()).into_owned();
    let transport = if target.transport == Transport::Tcp { "TCP" } else { "UDP" };
    let host = String::from_utf8_lossy(&head.via.host);
    let sent_by = head.via.port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
    let bytes = OutgoingRequest {
        method: &Method::Cancel,
        uri: invite.uri.as_bytes(),
        via_transport: transport,
        via_sent_by: &sent_by,
        branch: &branch,
        from: &super::client::with_tag(&head.from),
        to: &super::client::with_tag(&head.to),
        call_id: &head.call_id,
        cseq: head.cseq,
        max_forwards: 70,
        route: &head.route(),
        contact: None,
        extra: &[],
        body: None,
    }
    .write();
    begin(world, Some(leg), Method::Cancel, &branch, target, bytes);
    give_up_later(world, invite_transaction);
}

/// Section 9.1: an INVITE that has no final response 64*T1 after its CANCEL never gets one. Without this its transaction
/// would wait for ever, because a provisional response stops timer B.
fn give_up_later(world: &mut World, invite: Entity) {
    let is_open = world.get::<Transaction>(invite).is_some_and(|invite| invite.state == TransactionState::Proceeding);
    if is_open && !planted!(InviteStays) && world.resource::<TimerWheel<Lifetime>>().deadline(invite).is_none() {
        let transaction_ms = world.resource::<Settings>().sip.transaction_ms();
        start_timer::<Lifetime>(world, invite, transaction_ms);
    }
}
