//! Media streams: one RTP session with a peer.

use super::{Latch, Packetizer, PortPool, RecentSources};
use crate::audio::telephone_event::{EventReceiver, EventSender};
use crate::audio::{Concealer, JitterBuffer, JitterLimits, RtpClock, StreamDecoder, StreamEncoder, ToneGenerator};
use crate::kernel::{Now, Table};
use crate::record::{Rebuilt, Record};
use crate::wire::rtp::RtpHeader;
use crate::wire::sdp::{Codec, Negotiated};
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A stream as signalling knows it. Its port pair goes back to the pool when it is despawned, whatever the path.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq)]
#[component(on_add = index, on_remove = release)]
pub struct Stream {
    /// Our RTP port.
    pub port: u16,
    /// What was agreed; `None` until there is an answer to our offer.
    pub negotiated: Option<Negotiated>,
    /// Our synchronisation source (RFC 3550).
    pub ssrc: u32,
    /// In which of the four ticks of a 20 ms frame it sends.
    pub phase: u8,
    /// What it is connected to.
    pub sink: Sink,
}

/// What a stream is connected to.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Packets go back to where they came from.
    Echo,
    /// What [`Playback`] says; packets are heard for digits only.
    Player,
    /// A room.
    Room(Entity),
}

impl Stream {
    /// Whether we may send.
    pub fn sends(&self) -> bool {
        self.negotiated
            .as_ref()
            .is_some_and(|agreed| (agreed.direction.sends() || crate::planted!(HoldLeaks)) && agreed.remote.port() != 0)
    }

    /// Whether we expect to receive.
    pub fn receives(&self) -> bool {
        self.negotiated.as_ref().is_some_and(|agreed| agreed.direction.receives())
    }
}

/// The packets of a stream: where they come from, and how ours are numbered.
#[derive(Component, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct RtpState {
    /// When it began. A packet that came until then came before any peer could know of it.
    pub began: Now,
    /// The source.
    pub latch: Latch,
    /// The SSRC of the last packet that was taken.
    pub heard_ssrc: Option<u32>,
    /// When the peer last gave a sign of life: RTP of its source, or RTCP.
    pub heard: Now,
    /// The sequence number of our next packet.
    pub sequence: u16,
    /// The timestamp of frame 0 of the world: our timestamps follow the ticks.
    pub timestamp_base: u32,
    /// The clock of our timestamps.
    pub clock: RtpClock,
    /// What an echo adds to the numbers of the source.
    pub echo: Option<EchoShift>,
    /// The frame after the last one that was sent; a packet for another one begins a talkspurt.
    pub next_frame: u64,
    /// What encodes what is played or mixed for it.
    pub encoder: Rebuilt<Box<StreamEncoder>>,
    /// What waits for the rest of its packet.
    pub packetizer: Option<Box<Packetizer>>,
    /// Packets received and taken.
    pub received: u32,
    /// Packets sent.
    pub sent: u32,
}

/// What an echo adds to the sequence numbers and timestamps of a source.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoShift {
    /// The source.
    pub ssrc: u32,
    /// Added to its sequence numbers.
    pub sequence: u16,
    /// Added to its timestamps.
    pub timestamp: u32,
    /// The frame after the one in which a packet was last echoed.
    pub next_frame: u64,
}

/// The receiving side of a stream: digits, and for a room the jitter buffer.
#[derive(Component, Record, Clone, Debug, Default)]
pub struct ReceivePath {
    /// Digits (RFC 4733).
    pub digits: EventReceiver,
    /// Audio for the room; made with the first packet.
    pub ear: Option<Box<ReceivedAudio>>,
}

impl ReceivePath {
    /// What comes is of this codec from now on.
    pub fn set_codec(&mut self, codec: Codec) {
        self.digits.set_clock(codec.clock());
        if let Some(ear) = &mut self.ear {
            **ear = ReceivedAudio { is_awake: ear.is_awake, ..ReceivedAudio::of(codec) };
        }
    }

    /// Forgets the audio that has not been heard yet, and what would be heard in the place of lost packets.
    pub fn forget_audio(&mut self) {
        if let Some(ear) = &mut self.ear {
            ear.jitter.reset();
            ear.concealer.reset();
            *ear.decoder = None;
        }
    }
}

/// What a room hears of a stream.
#[derive(Record, Clone, Debug)]
pub struct ReceivedAudio {
    /// The jitter buffer.
    pub jitter: JitterBuffer,
    /// What is heard where a packet of G.711 is missing.
    pub concealer: Concealer,
    /// What decodes it, where a room does not take it as it comes.
    pub decoder: Rebuilt<Box<StreamDecoder>>,
    /// Whether its room is known to be visited.
    pub is_awake: bool,
}

impl ReceivedAudio {
    /// Nothing received yet, of this codec.
    pub fn of(codec: Codec) -> Self {
        let jitter = JitterBuffer::of(JitterLimits::default(), codec);
        Self { jitter, concealer: Concealer::default(), decoder: Rebuilt::default(), is_awake: false }
    }
}

/// What a stream plays: a service, and over it what was asked for.
#[derive(Component, Record, Clone, Debug, Default)]
pub struct Playback {
    /// Whether it plays for as long as the call lasts: the tone, or silence without one.
    pub is_steady: bool,
    /// The tone.
    pub tone: Option<ToneGenerator>,
    /// Digits to send (RFC 4733).
    pub digits: Option<Box<EventSender>>,
    /// A clip to play over it: frames of 20 ms that are left.
    pub clip_frames: u16,
}

impl Playback {
    /// Whether there is nothing left to play.
    pub fn is_done(&self) -> bool {
        !self.is_steady && self.clip_frames == 0 && self.digits.as_ref().is_none_or(|digits| digits.is_idle())
    }
}

/// How long a participant has not been heard.
#[derive(Component, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct SpeechActivity {
    /// How many frames in a row nothing came.
    pub silent_frames: u32,
}

/// A room in which a participant may be speaking.
#[derive(Component, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct Mixing {
    /// What encodes for all that only listen, one for each codec.
    pub encoders: Rebuilt<Vec<StreamEncoder>>,
}

/// Timer of a stream: a digit that began has neither ended nor gone on.
pub struct DigitFlush;

/// Timer of a stream: nothing may have been received for too long.
pub struct RtpSilence;

/// Timer of a stream: nothing may have been sent for too long.
pub struct RtpPause;

/// Counters of media.
#[derive(Resource, Record, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaCounters {
    /// Packets received by a stream.
    pub packets_in: u64,
    /// Packets sent.
    pub packets_out: u64,
    /// Packets for a port that no stream has (any more).
    pub dropped_no_stream: u64,
    /// Packets that are not RTP.
    pub dropped_malformed: u64,
    /// Sources that were learned from a packet, in place of none or of another one.
    pub sources_learned: u64,
    /// Descriptions with another address for RTP than the one before.
    pub sources_described: u64,
    /// Packets from a source that is not the stream's.
    pub dropped_foreign: u64,
    /// Packets of a payload type that was not agreed.
    pub dropped_payload_type: u64,
    /// Packets that came while the stream does not receive.
    pub dropped_on_hold: u64,
    /// RTCP packets of a stream's peer: a sign of life, and not used otherwise.
    pub rtcp_in: u64,
    /// RTCP packets that are malformed, of another source, or for a port that no stream has.
    pub dropped_rtcp: u64,
    /// Frames of silence sent where there was nothing to hear.
    pub pauses_filled: u64,
    /// Packets too late for the mix, twice there, or too many.
    pub dropped_jitter: u64,
    /// Digits heard.
    pub digits_in: u64,
    /// Frames mixed: one for each participant heard.
    pub frames_mixed: u64,
}

impl MediaCounters {
    /// Adds the counts of another world.
    pub fn add(&mut self, other: &MediaCounters) {
        self.packets_in += other.packets_in;
        self.packets_out += other.packets_out;
        self.dropped_no_stream += other.dropped_no_stream;
        self.dropped_malformed += other.dropped_malformed;
        self.sources_learned += other.sources_learned;
        self.sources_described += other.sources_described;
        self.dropped_foreign += other.dropped_foreign;
        self.dropped_payload_type += other.dropped_payload_type;
        self.dropped_on_hold += other.dropped_on_hold;
        self.rtcp_in += other.rtcp_in;
        self.dropped_rtcp += other.dropped_rtcp;
        self.pauses_filled += other.pauses_filled;
        self.dropped_jitter += other.dropped_jitter;
        self.digits_in += other.digits_in;
        self.frames_mixed += other.frames_mixed;
    }
}

/// Finds streams by port. Follows from the components by hooks.
#[derive(Resource, Default, Debug)]
pub struct StreamTable {
    by_port: Table<u16, Entity>,
    in_phase: [u32; 4],
}

impl StreamTable {
    /// The stream with this RTP port.
    pub fn find(&self, port: u16) -> Option<Entity> {
        self.by_port.get(&port).copied()
    }

    /// The phase with the fewest streams. What they play is media, and must not decide about what control holds.
    pub fn calmest_phase(&self) -> u8 {
        (0..4).min_by_key(|&phase| self.in_phase[usize::from(phase)]).unwrap_or(0)
    }

    /// The ports of all streams, in order.
    pub fn ports(&self) -> Vec<u16> {
        self.by_port.sorted().into_iter().map(|(port, _)| *port).collect()
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.by_port.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_port.is_empty()
    }
}

fn index(mut world: DeferredWorld, context: HookContext) {
    let stream = world.get::<Stream>(context.entity).map(|stream| (stream.port, stream.phase));
    if let (Some((port, phase)), Some(mut table)) = (stream, world.get_resource_mut::<StreamTable>()) {
        table.by_port.insert(port, context.entity);
        table.in_phase[usize::from(phase & 3)] += 1;
    }
}

fn release(mut world: DeferredWorld, context: HookContext) {
    let stream = world.get::<Stream>(context.entity).map(|stream| (stream.port, stream.phase));
    let Some((port, phase)) = stream else { return };
    if let Some(mut table) = world.get_resource_mut::<StreamTable>() {
        table.by_port.remove(&port);
        let streams = &mut table.in_phase[usize::from(phase & 3)];
        *streams = streams.saturating_sub(1);
    }
    if let Some(mut pool) = world.get_resource_mut::<PortPool>() {
        pool.release(port);
    }
    let latch = world.get::<RtpState>(context.entity).map(|flow| flow.latch.clone());
    if let (Some(latch), Some(mut recent)) = (latch, world.get_resource_mut::<RecentSources>()) {
        recent.note_last(port, &latch);
    }
}

impl RtpState {
    /// A flow whose numbers begin at random.
    pub fn starting_at(sequence: u16, timestamp: u32, now: Now) -> Self {
        Self { began: now, heard: now, sequence, timestamp_base: timestamp, ..Self::default() }
    }

    /// Where packets go: to where they come from, else to where the SDP says, if it names an address.
    pub fn peer(&self, stream: &Stream) -> Option<SocketAddr> {
        let described = stream.negotiated.as_ref().map(|agreed| agreed.remote);
        self.latch.source().or_else(|| described.filter(|remote| !remote.ip().is_unspecified()))
    }

    /// The frame after the last one in which something was sent.
    pub fn silent_since_frame(&self) -> u64 {
        let echoed = self.echo.map_or(0, |echo| echo.next_frame);
        self.next_frame.max(echoed).max(frame_of(self.began))
    }

    /// Our timestamp for a frame of 20 ms.
    pub fn timestamp_of(&self, frame: u64) -> u32 {
        self.timestamp_base.wrapping_add((frame as u32).wrapping_mul(self.clock.frame_units()))
    }

    /// Our timestamps go on by this clock from `frame` on.
    pub fn set_clock(&mut self, clock: RtpClock, frame: u64) {
        let next = self.timestamp_of(frame);
        self.clock = clock;
        self.timestamp_base = next.wrapping_sub((frame as u32).wrapping_mul(clock.frame_units()));
    }

    /// Whether a talkspurt begins with this frame, which is now the last one.
    pub fn begins_with(&mut self, frame: u64) -> bool {
        std::mem::replace(&mut self.next_frame, frame + 1) != frame
    }

    /// The header of our packet for `frame`.
    pub fn next_header(&mut self, frame: u64, payload_type: u8, ssrc: u32) -> RtpHeader {
        let marker = self.begins_with(frame);
        self.header(marker, self.timestamp_of(frame), payload_type, ssrc)
    }

    /// The header of our next packet. What is echoed beside it makes room for its number.
    pub fn header(&mut self, marker: bool, timestamp: u32, payload_type: u8, ssrc: u32) -> RtpHeader {
        let header = RtpHeader { marker, payload_type, sequence: self.sequence, timestamp, ssrc };
        self.sequence = self.sequence.wrapping_add(1);
        self.sent = self.sent.wrapping_add(1);
        if let Some(echo) = &mut self.echo {
            echo.sequence = echo.sequence.wrapping_add(1);
        }
        header
    }
}

/// The number of the frame of 20 ms that a tick belongs to.
pub fn frame_of(now: Now) -> u64 {
    now.0 / 4
}

/// The first tick of a frame of 20 ms.
pub fn tick_of(frame: u64) -> Now {
    Now(frame.saturating_mul(4))
}
