//! Packets reach their streams.

use super::echo;
use bevy_ecs::prelude::*;
use ringworld_components::audio::telephone_event::Heard;
use ringworld_components::audio::{Codec, PushOutcome};
use ringworld_components::call::{Queue, contain_item};
use ringworld_components::edge::{Outputs, Packet, PacketHandle, PacketPool, RtpOut};
use ringworld_components::kernel::{Now, TimerFired, Timers};
use ringworld_components::media::{
    ActiveSet, DigitFlush, MediaCounters, MediaFact, MediaFacts, Mixing, ReceivePath, ReceivedAudio, RecentSources,
    Room, RtpState, Sent, Sink, Stream, StreamTable, Verdict,
};
use ringworld_components::planted;
use ringworld_components::wire::rtp::{self, RtpHeader};
use ringworld_components::wire::telephone_event;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a digit without an end packet is waited for.
const DIGIT_PATIENCE: Duration = Duration::from_millis(200);

/// What becomes of a packet's buffer.
enum Fate {
    /// It goes back to the pool.
    Read,
    /// It is sent.
    Send,
}

#[expect(clippy::too_many_arguments, reason = "a system's parameters are its declared access")]
pub(super) fn receive_packets(
    mut packets: ResMut<Queue<PacketHandle>>,
    table: Res<StreamTable>,
    mut recent: ResMut<RecentSources>,
    mut streams: Query<(&Stream, &mut RtpState, &mut ReceivePath)>,
    now: Res<Now>,
    mut counters: ResMut<MediaCounters>,
    mut facts: ResMut<MediaFacts>,
    mut pool: ResMut<PacketPool>,
    mut outputs: ResMut<Outputs>,
    sleeping: Query<&Room, Without<Mixing>>,
    mut awake: ResMut<ActiveSet<Mixing>>,
    mut flushes: Timers<DigitFlush>,
    mut commands: Commands,
) {
    let mut rooms = Vec::new();
    for mut packet in packets.0.drain(..) {
        let found = table.find(packet.port);
        let fate = match found {
            // RFC 5761 section 4: some peers send both to one port, whatever was agreed on.
            _ if packet.is_rtcp || rtp::is_rtcp(packet.bytes()) => {
                let stream = found.and_then(|entity| streams.get_mut(entity).ok());
                if stream.is_some_and(|(_, mut flow, _)| receive_rtcp(&packet, &mut flow, *now)) {
                    counters.rtcp_in += 1;
                } else {
                    counters.dropped_rtcp += 1;
                }
                Fate::Read
            }
            None => {
                counters.dropped_no_stream += 1;
                if let Ok((header, _)) = rtp::parse(packet.bytes())
                    && !planted!(EarlyPeerLatches)
                {
                    recent.note(packet.port, packet.peer, header.ssrc, *now);
                }
                Fate::Read
            }
            Some(entity) => match streams.get_mut(entity) {
                Ok((stream, mut flow, mut hearing)) => {
                    let to = Receiver {
                        entity,
                        stream,
                        flow: &mut flow,
                        hearing: &mut hearing,
                        rooms: &mut rooms,
                        recent: &mut recent,
                        now: *now,
                    };
                    let fate = contain_item(|| receive(&mut packet, to, &mut counters, &mut facts));
                    let fate = fate.unwrap_or_else(|| {
                        facts.0.push(MediaFact::Panicked { stream: entity, system: "receive_packets".into() });
                        Fate::Read
                    });
                    if hearing.digits.is_pending() {
                        flushes.start(entity, DIGIT_PATIENCE);
                    }
                    fate
                }
                Err(_) => Fate::Read,
            },
        };
        match fate {
            Fate::Read if planted!(BufferLost) => {}
            Fate::Read => pool.give(packet),
            Fate::Send => {
                counters.packets_out += 1;
                outputs.rtp.push(RtpOut(packet));
            }
        }
    }
    // A room is visited from its first sound on.
    for (index, &room) in rooms.iter().enumerate() {
        if let Ok(sleeping) = sleeping.get(room)
            && rooms.iter().take(index).all(|&other| other != room)
        {
            awake.wake(room, sleeping.phase);
            commands.entity(room).insert(Mixing::default());
        }
    }
}

struct Receiver<'a> {
    entity: Entity,
    stream: &'a Stream,
    flow: &'a mut RtpState,
    hearing: &'a mut ReceivePath,
    rooms: &'a mut Vec<Entity>,
    recent: &'a mut RecentSources,
    now: Now,
}

fn receive(packet: &mut Packet, mut to: Receiver<'_>, counters: &mut MediaCounters, facts: &mut MediaFacts) -> Fate {
    let Ok((header, payload)) = rtp::parse(packet.bytes()) else {
        counters.dropped_malformed += 1;
        return Fate::Read;
    };
    // The peer does not know the port yet in the tick that made the stream.
    if to.flow.began == to.now && !planted!(EarlyPeerLatches) {
        to.recent.note(to.stream.port, packet.peer, header.ssrc, to.now);
        counters.dropped_foreign += 1;
        return Fate::Read;
    }
    // What comes before anything is agreed on may be from any host; it is no source of the next stream of the port.
    let Some(agreed) = &to.stream.negotiated else {
        if !planted!(EarlyPeerLatches) {
            to.recent.note(to.stream.port, packet.peer, header.ssrc, to.now);
        }
        counters.dropped_on_hold += 1;
        return Fate::Read;
    };
    let is_event = agreed.receive_dtmf_payload_type == Some(header.payload_type);
    let is_agreed = is_event || header.payload_type == agreed.receive_payload_type;
    match judge(&mut to, packet.peer, &header, is_agreed) {
        Verdict::Same => {}
        Verdict::Learned => {
            counters.sources_learned += 1;
            facts.0.push(MediaFact::SourceLearned { stream: to.entity, source: packet.peer });
        }
        Verdict::Foreign => {
            counters.dropped_foreign += 1;
            return Fate::Read;
        }
    }
    to.flow.heard = to.now;
    if !agreed.direction.receives() {
        counters.dropped_on_hold += 1;
        return Fate::Read;
    }
    if !is_agreed {
        counters.dropped_payload_type += 1;
        return Fate::Read;
    }
    if to.flow.heard_ssrc.replace(header.ssrc).is_some_and(|last| last != header.ssrc) {
        begin_anew(to.hearing, to.entity, counters, facts);
    }
    counters.packets_in += 1;
    to.flow.received = to.flow.received.wrapping_add(1);
    let body = packet.bytes().get(payload).unwrap_or_default();
    if is_event {
        if let Some(ear) = &mut to.hearing.ear {
            ear.jitter.pass_by(header.sequence);
        }
        hear_event(to.hearing, to.entity, &header, body, counters, facts);
    }
    match to.stream.sink {
        Sink::Echo if to.stream.sends() => {
            echo::turn_around(packet, &header, to.stream, agreed, to.flow, to.now);
            return Fate::Send;
        }
        Sink::Room(room) if !is_event && hear(to.hearing, agreed.codec, &header, body, counters) => to.rooms.push(room),
        _ => {}
    }
    Fate::Read
}

/// RTCP shows that the peer is there (RFC 3550 section 6.2.1). It may come from any port, as a NAT gives it one of its
/// own. Says whether it is of the stream's peer.
fn receive_rtcp(packet: &Packet, flow: &mut RtpState, now: Now) -> bool {
    let is_peers = rtp::is_rtcp(packet.bytes()) && flow.latch.knows(packet.peer.ip());
    if is_peers {
        flow.heard = now;
    }
    is_peers
}

/// Whether a packet is from the stream's source. Another source is remembered, so that the next call of the port knows
/// it.
fn judge(to: &mut Receiver<'_>, from: SocketAddr, header: &RtpHeader, is_agreed: bool) -> Verdict {
    let Receiver { stream, flow, recent, now, .. } = to;
    let sent = Sent { from, ssrc: header.ssrc, sequence: header.sequence, is_agreed };
    let is_distrusted = || {
        let precedes = recent.precedes(stream.port, from, header.ssrc, flow.began, *now);
        precedes && !planted!(FormerPeerLatches)
    };
    let verdict = flow.latch.judge(sent, *now, is_distrusted);
    if verdict == Verdict::Foreign && !planted!(EarlyPeerLatches) {
        recent.note(stream.port, from, header.ssrc, *now);
    }
    verdict
}

/// Another source sends: what is known of the numbers of the last one does not hold any more.
fn begin_anew(hearing: &mut ReceivePath, stream: Entity, counters: &mut MediaCounters, facts: &mut MediaFacts) {
    if let Some(heard) = hearing.digits.flush() {
        report(heard, hearing, stream, counters, facts);
    }
    hearing.digits.reset();
    if let Some(ear) = &mut hearing.ear {
        ear.jitter.reset();
    }
}

/// Audio goes to the jitter buffer of the stream. Says whether its room was not visited before.
fn hear(
    hearing: &mut ReceivePath,
    codec: Codec,
    header: &RtpHeader,
    body: &[u8],
    counters: &mut MediaCounters,
) -> bool {
    let ear = hearing.ear.get_or_insert_with(|| Box::new(ReceivedAudio::of(codec)));
    match ear.jitter.push(header.sequence, header.timestamp, header.marker, body) {
        PushOutcome::Stored | PushOutcome::Reset => {}
        _ => counters.dropped_jitter += 1,
    }
    !std::mem::replace(&mut ear.is_awake, true)
}

fn hear_event(
    hearing: &mut ReceivePath,
    stream: Entity,
    header: &RtpHeader,
    body: &[u8],
    counters: &mut MediaCounters,
    facts: &mut MediaFacts,
) {
    let Ok(event) = telephone_event::parse(body) else {
        counters.dropped_malformed += 1;
        return;
    };
    let heard = hearing.digits.push(header.timestamp, event.event, event.end, event.duration, header.marker);
    if let Some(heard) = heard {
        report(heard, hearing, stream, counters, facts);
    }
}

/// A digit whose end packets were all lost is reported once nothing more has come for it.
pub(super) fn flush_digits(
    mut fired: MessageReader<TimerFired<DigitFlush>>,
    mut streams: Query<&mut ReceivePath>,
    mut counters: ResMut<MediaCounters>,
    mut facts: ResMut<MediaFacts>,
) {
    for fired in fired.read() {
        if let Ok(mut hearing) = streams.get_mut(fired.owner)
            && let Some(heard) = hearing.digits.flush()
        {
            report(heard, &hearing, fired.owner, &mut counters, &mut facts);
        }
    }
}

fn report(heard: Heard, hearing: &ReceivePath, stream: Entity, counters: &mut MediaCounters, facts: &mut MediaFacts) {
    if let Some(digit) = telephone_event::digit_of(heard.event) {
        let duration_ms = hearing.digits.duration_ms(&heard);
        counters.digits_in += 1;
        if planted!(DigitDoubled) {
            facts.0.push(MediaFact::Digit { stream, digit, duration_ms });
        }
        facts.0.push(MediaFact::Digit { stream, digit, duration_ms });
    }
}
