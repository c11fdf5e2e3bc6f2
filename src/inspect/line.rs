//! One line about an entity: what a reader needs first.

use super::time::{duration, seconds};
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    ALeg, BLeg, Dependency, Group, Members, Membership, Negotiation, OfferState, Parties, PendingInvite, Priority,
    Role, Sequence, Service, Session, SessionState, SipIdentity,
};
use ringworld_components::kernel::{Now, StableId, TimerCounts};
use ringworld_components::media::{Participant, Participants, Room, RtpState, Sink, Stream};
use ringworld_components::sip::{Dialog, DialogState, InviteUsage, Subscription, Transaction};
use ringworld_components::wire::sdp::Direction;

/// The kind of an entity, and its state at a tick.
pub(super) fn about(world: &World, entity: EntityRef, now: Now) -> String {
    let text = if let Some(session) = entity.get::<Session>() {
        self::session(session, entity, now) + &relations(entity)
    } else if let Some(dialog) = entity.get::<Dialog>() {
        self::dialog(dialog)
    } else if let Some(usage) = entity.get::<InviteUsage>() {
        invite_usage(usage, entity.get::<Negotiation>())
    } else if let Some(subscription) = entity.get::<Subscription>() {
        self::subscription(subscription)
    } else if let Some(stream) = entity.get::<Stream>() {
        self::stream(stream, entity.get::<RtpState>())
    } else if let Some(participant) = entity.get::<Participant>() {
        let name = world.get::<Room>(participant.room).map_or("a room that is gone", |room| &room.name);
        format!("participant of room {name:?} since {}", seconds(participant.joined))
    } else if let Some(room) = entity.get::<Room>() {
        let inside = entity.get::<Participants>().map_or(0, |inside| inside.len());
        format!("room {:?} {:?} since {}, {inside} inside", room.name, room.state, seconds(room.created))
    } else if let Some(transaction) = entity.get::<Transaction>() {
        self::transaction(transaction)
    } else if let Some(group) = entity.get::<Group>() {
        let members = entity.get::<Members>().map_or(0, |members| members.len());
        format!("group {} since {}, members: {members}", group.kind, seconds(group.created))
    } else if let Some(membership) = entity.get::<Membership>() {
        format!("membership of session {} since {}", membership.member, seconds(membership.since))
    } else if let Some(sequence) = entity.get::<Sequence>() {
        self::sequence(world, entity, sequence, now)
    } else {
        "entity".to_owned()
    };
    let timers: Vec<String> = TimerCounts::of(world, entity.id())
        .into_iter()
        .map(|(name, at)| {
            let (_, kind) = name.split_once('.').unwrap_or(("", name));
            format!("{} in {}", kind.replace('_', " "), duration(at.since(now)))
        })
        .collect();
    if timers.is_empty() { text } else { format!("{text}; timers: {}", timers.join(", ")) }
}

/// Bytes as text.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}

fn session(session: &Session, entity: EntityRef, now: Now) -> String {
    let role = match session.role {
        Role::Incoming => "incoming",
        Role::Outgoing => "placed",
    };
    let for_how_long = duration(now.since(session.since()));
    let ending = match &session.ending {
        Some(ending) if ending.status == 0 => format!(", {}", ending.cause.as_str()),
        Some(ending) => format!(", {} with {}", ending.cause.as_str(), ending.status),
        None => String::new(),
    };
    let state: SessionState = session.state();
    let mut line = format!("session {state} for {for_how_long}{ending}, {role} at {}", seconds(session.created));
    if let Some(parties) = entity.get::<Parties>() {
        line.push_str(&format!(", from {} to {}", text(&parties.from), text(&parties.request_uri)));
    }
    if let Some(identity) = entity.get::<SipIdentity>() {
        let (local, target) = (identity.local_address, identity.target);
        let call_id = text(&identity.call_id);
        line.push_str(&format!(", Call-ID {call_id}, {local} to {} over {}", target.remote, target.transport));
    }
    if let Some(service) = entity.get::<Service>() {
        line.push_str(&format!(", for {}", self::service(service)));
    }
    match entity.get::<PendingInvite>() {
        Some(PendingInvite::Sent(sent)) => line.push_str(&format!(", INVITE {} ({:?}) is out", sent.cseq, sent.aim)),
        Some(PendingInvite::Received { .. }) => line.push_str(", an INVITE of the peer is open"),
        Some(PendingInvite::None) | None => {}
    }
    line
}

/// Further properties of a session, where they are not the usual ones.
fn relations(entity: EntityRef) -> String {
    let mut line = String::new();
    if let Some(priority) = entity.get::<Priority>() {
        let (level, class) = (priority.level.as_str(), priority.class.as_str());
        line.push_str(&format!(", priority {level} as {class} by {:?}", priority.source).to_lowercase());
    }
    if let Some(dependency) = entity.get::<Dependency>() {
        let (kind, state) = (dependency.kind, dependency.state);
        line.push_str(&format!(", {kind:?} child of {} ({state:?})", dependency.parent));
    }
    line
}

fn sequence(world: &World, entity: EntityRef, sequence: &Sequence, now: Now) -> String {
    let id = |leg: Option<Entity>| {
        leg.and_then(|leg| world.get::<StableId>(leg)).map_or("none".to_owned(), StableId::to_string)
    };
    let a = id(entity.get::<ALeg>().and_then(|legs| legs.iter().next()));
    let b = id(entity.get::<BLeg>().and_then(|legs| legs.iter().next()));
    let for_how_long = duration(now.since(sequence.since()));
    format!("sequence {} for {for_how_long}, A-leg {a}, B-leg {b}, ending rule {:?}", sequence.state(), sequence.rule)
}

fn service(service: &Service) -> String {
    match service {
        Service::Conference(name) => format!("room {name:?}"),
        Service::Tone(hz) => format!("a tone of {hz} Hz"),
        Service::RingThenEcho { seconds } => format!("echo after {seconds} s of ringing"),
        Service::Reject(status) => format!("a refusal with {status}"),
        Service::ExternalMedia => "media of others".to_owned(),
        other => format!("{other:?}").to_ascii_lowercase(),
    }
}

fn invite_usage(usage: &InviteUsage, negotiation: Option<&Negotiation>) -> String {
    let mut line = "INVITE usage".to_owned();
    if usage.unacked.is_some() {
        line.push_str(", waits for ACK");
    }
    match negotiation.map(Negotiation::state) {
        Some(OfferState::LocalOffer { .. }) => line.push_str(", our offer is out"),
        Some(OfferState::RemoteOffer { .. }) => line.push_str(", the peer's offer is out"),
        Some(OfferState::Stable) | None => {}
    }
    let holds = negotiation.map_or((false, false), |it| (it.we_hold(), it.peer_holds()));
    for (holds, what) in [(holds.0, ", we hold"), (holds.1, ", the peer holds")] {
        if holds {
            line.push_str(what);
        }
    }
    line
}

fn subscription(subscription: &Subscription) -> String {
    format!("subscription to {}, {:?}, {:?}", text(&subscription.event), subscription.role, subscription.state)
}

fn dialog(dialog: &Dialog) -> String {
    let state = match dialog.state {
        DialogState::Early => "early",
        DialogState::Confirmed => "confirmed",
    };
    let (local, remote) = (text(&dialog.local_tag), text(&dialog.remote_tag));
    let theirs = dialog.remote_cseq.map_or("none yet".to_owned(), |cseq| cseq.to_string());
    format!(
        "dialog {state}, tags ours {local} theirs {remote}, CSeq ours {} theirs {theirs}, to {}",
        dialog.local_cseq,
        text(dialog.remote_target.as_bytes())
    )
}

fn stream(stream: &Stream, flow: Option<&RtpState>) -> String {
    let sink = match stream.sink {
        Sink::Echo => "echo",
        Sink::Player => "player",
        Sink::Room(_) => "room",
    };
    let Some(agreed) = &stream.negotiated else {
        return format!("stream on port {}, {sink}, nothing agreed yet", stream.port);
    };
    let peer = flow.and_then(|flow| flow.peer(stream)).unwrap_or(agreed.remote);
    let mut line = format!(
        "stream on port {}, {sink}, {} of {} ms {} with {peer}",
        stream.port,
        agreed.codec,
        agreed.ptime_ms,
        direction(agreed.direction)
    );
    if let Some(flow) = flow {
        line.push_str(&format!(", {} in, {} out", flow.received, flow.sent));
        if flow.latch.source().is_none() {
            line.push_str(", no source yet");
        }
    }
    line
}

/// A direction as SDP writes it.
pub(crate) fn direction(direction: Direction) -> &'static str {
    match (direction.sends(), direction.receives()) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    }
}

fn transaction(transaction: &Transaction) -> String {
    let first = transaction.last.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let last = if first.is_empty() { String::new() } else { format!(", last sent {:?}", text(first)) };
    format!(
        "transaction {:?} {} {:?} with {} over {}{last}",
        transaction.kind,
        transaction.method.as_str(),
        transaction.state,
        transaction.target.remote,
        transaction.target.transport
    )
}
