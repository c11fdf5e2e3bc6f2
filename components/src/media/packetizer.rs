//! From frames of 20 ms to packets of the packet time that was agreed on.

use super::{RtpState, Stream};
use crate::edge::{Outputs, PacketPool, RtpOut};
use crate::kernel::Now;
use crate::record::{Record, Undigested};
use crate::wire::rtp::RtpHeader;
use crate::wire::sdp::Negotiated;
use bevy_ecs::prelude::*;

/// Visits without a frame in between after which nothing more is waited for.
const VISITS_MAX: u8 = 2;

/// An encoded frame.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a> {
    /// Its octets.
    pub octets: &'a [u8],
    /// Whether they were made with state that is not recorded: no digest may hold them.
    pub is_opaque: bool,
}

/// Audio that waits for the rest of its packet. Streams whose packet time is that of a frame have none.
#[derive(Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct Packetizer {
    payload: Undigested<Vec<u8>>,
    /// Whether some of it was made with state that is not recorded.
    is_opaque: bool,
    /// The timestamp of its first unit.
    timestamp: u32,
    /// Whether a talkspurt begins with it.
    marker: bool,
    /// Visits since a frame came.
    visits: u8,
    /// Whether it is known to be visited.
    is_awake: bool,
}

impl Packetizer {
    /// Drops what waits, as when another codec was agreed on.
    pub fn clear(&mut self) {
        self.payload.0.clear();
        self.is_opaque = false;
    }
}

/// The phase in which what waits is looked at: half a frame after the frames of `now`.
pub fn half_a_frame_later(now: Now) -> u8 {
    (now.0.wrapping_add(2) & 3) as u8
}

/// Sends packets for streams.
///
/// A packet leaves as soon as its last frame is there. Where the packet time is an odd multiple of 10 ms, one that ends
/// together with a frame waits for another 10 ms: so packets leave at even distances, whatever their length.
pub struct PacketSender<'a> {
    /// Where buffers come from.
    pub pool: &'a mut PacketPool,
    /// Where packets go.
    pub outputs: &'a mut Outputs,
    /// The streams, by their port, that are to be visited half a frame later.
    pub woken: Vec<(u16, Entity)>,
}

impl<'a> PacketSender<'a> {
    /// A sender.
    pub fn new(pool: &'a mut PacketPool, outputs: &'a mut Outputs) -> Self {
        Self { pool, outputs, woken: Vec::new() }
    }

    /// Sends a packet where the stream's packets go; says how many that were.
    pub fn send(&mut self, stream: &Stream, flow: &RtpState, header: &RtpHeader, payload: Encoded<'_>) -> u64 {
        let Some(peer) = flow.peer(stream) else { return 0 };
        let mut packet = self.pool.take();
        if !packet.write_rtp(header, payload.octets) {
            self.pool.give(packet);
            return 0;
        }
        (packet.port, packet.is_rtcp, packet.peer) = (stream.port, false, peer);
        packet.is_opaque = payload.is_opaque;
        self.outputs.rtp.push(RtpOut(packet));
        1
    }

    /// Sends a frame, or puts it to the others that share its packet; says how many packets left. Nothing is sent while
    /// the stream may not.
    pub fn send_frame(
        &mut self,
        entity: Entity,
        stream: &Stream,
        flow: &mut RtpState,
        frame: u64,
        payload: Encoded<'_>,
    ) -> u64 {
        let Some(agreed) = stream.negotiated.as_ref().filter(|_| stream.sends()) else { return 0 };
        let (size, frame_octets) = (packet_octets(agreed), agreed.codec.octets(20));
        if size == frame_octets {
            let header = flow.next_header(frame, agreed.payload_type, stream.ssrc);
            return self.send(stream, flow, &header, payload);
        }
        let begins = flow.begins_with(frame);
        let mut packetizer = flow.packetizer.take().unwrap_or_default();
        let mut sent = 0;
        if begins {
            sent += self.finish(stream, flow, &mut packetizer);
        }
        if packetizer.payload.0.is_empty() {
            (packetizer.timestamp, packetizer.marker) = (flow.timestamp_of(frame), begins);
        }
        packetizer.payload.0.extend_from_slice(payload.octets);
        packetizer.is_opaque |= payload.is_opaque;
        packetizer.visits = 0;
        let waits = !size.is_multiple_of(frame_octets);
        while packetizer.payload.0.len() > size || (packetizer.payload.0.len() == size && !waits) {
            sent += self.send_packed(stream, flow, &mut packetizer, size);
        }
        if !packetizer.payload.0.is_empty() && !std::mem::replace(&mut packetizer.is_awake, true) {
            self.woken.push((stream.port, entity));
        }
        flow.packetizer = Some(packetizer);
        sent
    }

    /// Half a frame has passed: sends what is whole by now, and what nothing more came for. Says how many packets left,
    /// and whether something still waits.
    pub fn visit(&mut self, stream: &Stream, flow: &mut RtpState) -> (u64, bool) {
        let Some(mut packetizer) = flow.packetizer.take() else { return (0, false) };
        packetizer.visits = packetizer.visits.saturating_add(1);
        let agreed = stream.negotiated.as_ref();
        let is_whole = agreed.is_some_and(|agreed| packetizer.payload.0.len() >= packet_octets(agreed));
        let sent =
            if is_whole || packetizer.visits >= VISITS_MAX { self.finish(stream, flow, &mut packetizer) } else { 0 };
        packetizer.is_awake = !packetizer.payload.0.is_empty();
        let waits = packetizer.is_awake;
        flow.packetizer = Some(packetizer);
        (sent, waits)
    }

    /// Sends what waits, filled up with silence; drops it if the stream may not send (any more).
    fn finish(&mut self, stream: &Stream, flow: &mut RtpState, packetizer: &mut Packetizer) -> u64 {
        let agreed = stream.negotiated.as_ref().filter(|_| stream.sends() && !packetizer.payload.0.is_empty());
        let Some(agreed) = agreed else {
            packetizer.clear();
            return 0;
        };
        let size = packet_octets(agreed);
        let whole = size.max(packetizer.payload.0.len());
        packetizer.payload.0.resize(whole, agreed.codec.silence());
        self.send_packed(stream, flow, packetizer, size)
    }

    fn send_packed(&mut self, stream: &Stream, flow: &mut RtpState, packetizer: &mut Packetizer, size: usize) -> u64 {
        let Some(agreed) = &stream.negotiated else { return 0 };
        let marker = std::mem::take(&mut packetizer.marker);
        let header = flow.header(marker, packetizer.timestamp, agreed.payload_type, stream.ssrc);
        let size = size.min(packetizer.payload.0.len());
        let octets = packetizer.payload.0.get(..size).unwrap_or_default();
        let sent = self.send(stream, flow, &header, Encoded { octets, is_opaque: packetizer.is_opaque });
        packetizer.payload.0.drain(..size);
        packetizer.is_opaque &= !packetizer.payload.0.is_empty();
        packetizer.timestamp = packetizer.timestamp.wrapping_add((size / agreed.codec.unit_octets()) as u32);
        sent
    }
}

fn packet_octets(agreed: &Negotiated) -> usize {
    agreed.codec.octets(u32::from(agreed.ptime_ms.max(10)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::FRAME_SAMPLES;
    use crate::media::Sink;
    use crate::wire::rtp;
    use crate::wire::sdp::{Codec, Direction, Negotiated};

    fn stream(ptime_ms: u8) -> Stream {
        let negotiated = Negotiated {
            remote: "192.0.2.1:4000".parse().unwrap(),
            codec: Codec::Pcmu,
            payload_type: 0,
            receive_payload_type: 0,
            dtmf_payload_type: None,
            receive_dtmf_payload_type: None,
            ptime_ms,
            direction: Direction::SendRecv,
        };
        Stream { port: 10_000, negotiated: Some(negotiated), ssrc: 1, phase: 0, sink: Sink::Player }
    }

    /// When packets leave, in half frames, and what they hold, if `frames` are sent one after the other and then none.
    fn send(ptime_ms: u8, frames: u8) -> Vec<(u32, RtpHeader, Vec<u8>)> {
        let (stream, mut flow) = (stream(ptime_ms), RtpState::default());
        let (mut pool, mut outputs) = (PacketPool::new(8), Outputs::default());
        let (mut left, mut awake) = (Vec::new(), false);
        for half in 0..u32::from(frames) * 2 + 8 {
            let mut sender = PacketSender::new(&mut pool, &mut outputs);
            if half % 2 == 1 {
                if awake {
                    awake = sender.visit(&stream, &mut flow).1;
                }
            } else if half / 2 < u32::from(frames) {
                let octets = [half as u8 / 2; FRAME_SAMPLES];
                let said = Encoded { octets: &octets, is_opaque: false };
                sender.send_frame(Entity::PLACEHOLDER, &stream, &mut flow, u64::from(half / 2) + 1, said);
                awake |= !sender.woken.is_empty();
            }
            left.extend(outputs.rtp.drain(..).map(|RtpOut(packet)| {
                let (header, payload) = rtp::parse(packet.bytes()).unwrap();
                (half, header, packet.bytes()[payload].to_vec())
            }));
        }
        assert!(!awake, "no stream is visited that has nothing to send");
        left
    }

    #[test]
    fn packets_of_every_length_leave_at_even_distances_and_lose_nothing() {
        for ptime_ms in [10u8, 20, 30, 40, 50, 60] {
            let sent = send(ptime_ms, 30);
            assert_eq!(sent.len(), 600usize.div_ceil(usize::from(ptime_ms)), "{ptime_ms} ms");
            let distance = u32::from(ptime_ms) / 10;
            assert!(sent.windows(2).all(|pair| pair[1].0 - pair[0].0 == distance), "{ptime_ms} ms: {sent:?}");
            let samples = u32::from(ptime_ms) * 8;
            for (index, (_, header, payload)) in sent.iter().enumerate() {
                let index = index as u32;
                assert_eq!((header.timestamp, header.marker), (160 + index * samples, index == 0), "{ptime_ms} ms");
                assert_eq!((u32::from(header.sequence), payload.len() as u32), (index, samples), "{ptime_ms} ms");
            }
            let said: Vec<u8> = sent.into_iter().flat_map(|(_, _, payload)| payload).collect();
            let expected: Vec<u8> = (0..30u8).flat_map(|frame| [frame; FRAME_SAMPLES]).collect();
            assert_eq!(said, expected, "{ptime_ms} ms");
        }
    }

    #[test]
    fn the_end_of_a_talkspurt_is_filled_up_and_does_not_wait_for_the_next() {
        let sent = send(60, 4);
        assert_eq!(sent.len(), 2);
        let (half, header, payload) = &sent[1];
        assert_eq!((*half, header.timestamp, payload.len()), (9, 640, 480));
        assert_eq!((&payload[..160], &payload[160..]), (&[3u8; 160][..], &[0xffu8; 320][..]));
    }
}
