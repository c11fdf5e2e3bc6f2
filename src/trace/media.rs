//! The media of a call, seen by comparing its streams before and after each tick.

use crate::inspect::{direction, duration};
use bevy_ecs::prelude::*;
use ringworld_components::call::{SipIdentity, Streams};
use ringworld_components::kernel::{Now, StableId, StableIds};
use ringworld_components::media::{MediaFact, MediaFacts, Room, RtpState, Sink, Stream};
use ringworld_components::wire::sdp::Negotiated;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A source that was silent for so long gets a line.
const PAUSE: Duration = Duration::from_millis(500);

/// The streams of a call as they were after the last tick.
#[derive(Default)]
pub(super) struct Media(BTreeMap<StableId, View>);

#[derive(Clone)]
struct View {
    local: IpAddr,
    port: u16,
    agreed: Option<Negotiated>,
    room: Option<String>,
    source: Option<SocketAddr>,
    received: u32,
    sent: u32,
    /// When a packet last came.
    heard: Now,
}

impl Media {
    /// Our address, if a stream of the call has this port.
    pub fn local_ip(&self, port: u16) -> Option<IpAddr> {
        self.0.values().find(|view| view.port == port).map(|view| view.local)
    }

    /// The ports of all streams.
    pub fn ports(&self) -> Vec<u16> {
        self.0.values().map(|view| view.port).collect()
    }

    /// Looks at the streams after a tick, and reports what is new, and which ports were released.
    pub fn look(
        &mut self,
        world: &World,
        now: Now,
        sessions: &BTreeSet<StableId>,
        has_media: bool,
    ) -> (Vec<String>, Vec<u16>) {
        let mut told = Vec::new();
        let mut living = BTreeMap::new();
        for &session in sessions {
            for (id, entity, local) in streams_of(world, session) {
                let (Some(stream), Some(flow)) = (world.get::<Stream>(entity), world.get::<RtpState>(entity)) else {
                    continue;
                };
                let before = self.0.remove(&id);
                living.insert(id, view(world, stream, flow, local, now, before.as_ref()));
                tell(before.as_ref(), &living[&id], now, &mut told);
                facts(world, entity, has_media, &mut told);
            }
        }
        let released = self.ports();
        for gone in self.0.values() {
            let packets = if has_media {
                format!("; {} packets taken, {} sent", gone.received, gone.sent)
            } else {
                String::new()
            };
            told.push(format!("port {} released{packets}", gone.port));
        }
        self.0 = living;
        (told, released)
    }
}

fn streams_of(world: &World, session: StableId) -> Vec<(StableId, Entity, IpAddr)> {
    let Some(session) = world.resource::<StableIds>().find(session) else { return Vec::new() };
    let Some(identity) = world.get::<SipIdentity>(session) else { return Vec::new() };
    let local = identity.local_address.ip();
    let streams = world.get::<Streams>(session).map(|streams| streams.iter()).into_iter().flatten();
    streams.filter_map(|stream| Some((*world.get::<StableId>(stream)?, stream, local))).collect()
}

fn view(world: &World, stream: &Stream, flow: &RtpState, local: IpAddr, now: Now, before: Option<&View>) -> View {
    let room = match stream.sink {
        Sink::Room(room) => world.get::<Room>(room).map(|room| room.name.clone()),
        _ => None,
    };
    let heard = match before {
        Some(before) if before.received == flow.received => before.heard,
        _ => now,
    };
    View {
        local,
        port: stream.port,
        agreed: stream.negotiated.clone(),
        room,
        source: flow.latch.source(),
        received: flow.received,
        sent: flow.sent,
        heard,
    }
}

fn tell(before: Option<&View>, after: &View, now: Now, told: &mut Vec<String>) {
    if before.is_none() {
        told.push(format!("port {} taken", after.port));
    }
    if before.is_none_or(|before| before.agreed != after.agreed)
        && let Some(agreed) = &after.agreed
    {
        let (codec, way) = (agreed.codec, direction(agreed.direction));
        told.push(format!("agreed: {codec} of {} ms, {way}, with {}", agreed.ptime_ms, agreed.remote));
    }
    if before.and_then(|before| before.room.as_ref()) != after.room.as_ref() {
        match &after.room {
            Some(room) => told.push(format!("enters room {room:?}")),
            None => told.push("leaves its room".to_owned()),
        }
    }
    match (before.and_then(|before| before.source), after.source) {
        (None, Some(source)) => told.push(format!("first packet, from {source}")),
        (Some(old), Some(new)) if old != new => told.push(format!("source moved from {old} to {new}")),
        (Some(_), Some(_)) => {
            let silent = before.map(|before| now.since(before.heard)).unwrap_or_default();
            if before.is_some_and(|before| before.received != after.received) && silent >= PAUSE {
                told.push(format!("packets again, after {}", duration(silent)));
            }
        }
        _ => {}
    }
    if before.is_some_and(|before| before.sent == 0) && after.sent > 0 {
        told.push("first packet sent".to_owned());
    }
}

/// Digits come as events; here is what else the media of this tick found out. A recording without payloads holds that.
fn facts(world: &World, entity: Entity, has_media: bool, told: &mut Vec<String>) {
    let Some(queue) = world.get_resource::<MediaFacts>() else { return };
    for fact in &queue.0 {
        match fact {
            MediaFact::TimedOut { stream } if *stream == entity => told.push("no RTP for too long".to_owned()),
            // With payloads the stream itself shows it.
            MediaFact::SourceLearned { stream, source } if *stream == entity && !has_media => {
                told.push(format!("packets come from {source}"));
            }
            MediaFact::Panicked { stream, system } if *stream == entity => told.push(format!("panic in {system}")),
            _ => {}
        }
    }
}
