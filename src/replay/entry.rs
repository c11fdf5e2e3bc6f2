//! What a chunk of ticks consists of.

use crate::config::RecordMedia;
use crate::engine::ChainDigest;
use ringworld_components::edge::{Command, ConnId, Flow, Input, Packet, PacketPool, SendFailure};
use ringworld_components::kernel::{Digest, StableId};
use ringworld_components::record::{DecodeError, Decoder, Encoder, Record};
use ringworld_components::wire::sip;
use std::net::SocketAddr;

/// A run of ticks, one step each, with no input, output or fact.
const IDLE: u8 = 1;
/// A tick.
const TICK: u8 = 2;
/// A tick with a digest of its packets.
const TICK_WITH_MEDIA: u8 = 3;
/// The digest of the whole world.
const CHECKPOINT: u8 = 4;

/// What ends the inputs of a tick.
const END: u8 = 0;
const SIP: u8 = 1;
const CONN_OPENED: u8 = 2;
const CONN_CLOSED: u8 = 3;
const SEND_FAILED: u8 = 4;
const PORT_OPENED: u8 = 5;
const COMMAND: u8 = 6;
const RTP: u8 = 7;
const RTCP: u8 = 8;

/// How many bytes of a packet are kept where only headers are: the fixed header of RFC 3550 section 5.1.
const HEADER_BYTES: usize = 12;

/// More inputs than this a tick never has.
const INPUTS_MAX: usize = 1 << 20;

/// One piece of a recording.
#[derive(Debug)]
pub(super) enum Entry {
    Idle { ticks: u64 },
    Tick(Box<TickEntry>),
    Checkpoint(Digest),
}

/// One tick.
#[derive(Debug)]
pub(super) struct TickEntry {
    pub elapsed: u32,
    pub inputs: Vec<Input>,
    /// Packets that arrived but whose payload was not kept.
    pub headers: u32,
    /// Encoded: entities can only be found once the tick was run.
    pub facts: Vec<u8>,
    pub control: u64,
    /// None if it is what it was before.
    pub media: Option<u64>,
}

pub(super) fn encode_idle(ticks: u64, to: &mut Encoder<'_>) {
    to.byte(IDLE);
    to.number(ticks);
}

pub(super) fn encode_checkpoint(digest: &Digest, to: &mut Encoder<'_>) {
    to.byte(CHECKPOINT);
    to.raw(&digest.control.to_le_bytes());
    to.raw(&digest.media.to_le_bytes());
}

/// The part of a tick that is known before it is run.
pub(super) fn encode_inputs(elapsed: u32, inputs: &[Input], media: RecordMedia, to: &mut Encoder<'_>) {
    elapsed.encode(to);
    let mut arrived_us = 0;
    for input in inputs {
        match input {
            Input::Sip { flow, bytes, .. } => {
                to.byte(SIP);
                flow.encode(to);
                to.bytes(bytes);
            }
            Input::ConnOpened(flow) => {
                to.byte(CONN_OPENED);
                flow.encode(to);
            }
            Input::ConnClosed(conn) => {
                to.byte(CONN_CLOSED);
                conn.encode(to);
            }
            Input::SendFailed { transaction, failure } => {
                to.byte(SEND_FAILED);
                transaction.encode(to);
                failure.encode(to);
            }
            Input::PortOpened(port) => {
                to.byte(PORT_OPENED);
                port.encode(to);
            }
            Input::Command(command) => {
                to.byte(COMMAND);
                command.encode(to);
            }
            Input::Rtp(packet) => encode_packet(packet, media, &mut arrived_us, to),
        }
    }
    to.byte(END);
}

/// Arrival times of one tick are close together, so each is written as the difference from the one before.
fn encode_packet(packet: &Packet, media: RecordMedia, arrived_us: &mut u64, to: &mut Encoder<'_>) {
    let kept = match media {
        RecordMedia::Off => return,
        RecordMedia::Headers => packet.bytes().get(..HEADER_BYTES).unwrap_or(packet.bytes()),
        RecordMedia::Full => packet.bytes(),
    };
    to.byte(if packet.is_rtcp { RTCP } else { RTP });
    packet.port.encode(to);
    packet.peer.encode(to);
    (packet.arrived_us.wrapping_sub(*arrived_us) as i64).encode(to);
    *arrived_us = packet.arrived_us;
    if media == RecordMedia::Headers {
        packet.bytes().len().encode(to);
    }
    to.bytes(kept);
}

/// The tag in front of a tick, which says whether a digest of its packets follows at its end.
pub(super) fn tick_tag(with_media: bool) -> u8 {
    if with_media { TICK_WITH_MEDIA } else { TICK }
}

/// The part of a tick that is known only after it was run.
pub(super) fn encode_results(facts: &[u8], chain: ChainDigest, with_media: bool, to: &mut Encoder<'_>) {
    to.bytes(facts);
    to.raw(&chain.control.to_le_bytes());
    if with_media {
        to.raw(&chain.media.to_le_bytes());
    }
}

/// What decoding needs to know.
pub(super) struct Inlet {
    /// SIP is parsed again, by the same limits.
    pub limits: sip::Limits,
    pub media: RecordMedia,
}

impl Inlet {
    /// Reads one entry; packets are put into buffers of `pool`.
    pub fn decode(&self, from: &mut Decoder<'_>, pool: &mut PacketPool) -> Result<Entry, DecodeError> {
        match from.byte()? {
            IDLE => Ok(Entry::Idle { ticks: from.number()? }),
            tag @ (TICK | TICK_WITH_MEDIA) => {
                let elapsed = u32::decode(from)?;
                let (inputs, headers) = self.decode_inputs(from, pool)?;
                let facts = from.bytes()?.to_vec();
                let control = fixed(from)?;
                let media = if tag == TICK_WITH_MEDIA { Some(fixed(from)?) } else { None };
                Ok(Entry::Tick(Box::new(TickEntry { elapsed, inputs, headers, facts, control, media })))
            }
            CHECKPOINT => Ok(Entry::Checkpoint(Digest { control: fixed(from)?, media: fixed(from)? })),
            other => Err(DecodeError::Variant { of: "entry", found: u64::from(other) }),
        }
    }

    fn decode_inputs(&self, from: &mut Decoder<'_>, pool: &mut PacketPool) -> Result<(Vec<Input>, u32), DecodeError> {
        let (mut inputs, mut headers, mut arrived_us) = (Vec::new(), 0, 0);
        loop {
            if inputs.len() >= INPUTS_MAX {
                return Err(DecodeError::Invalid("more inputs than a tick can have"));
            }
            inputs.push(match from.byte()? {
                END => return Ok((inputs, headers)),
                SIP => {
                    let flow = Flow::decode(from)?;
                    let bytes = bytes::Bytes::decode(from)?;
                    let message = Box::new(sip::parse_datagram(bytes.clone(), &self.limits));
                    Input::Sip { flow, bytes, message }
                }
                CONN_OPENED => Input::ConnOpened(Flow::decode(from)?),
                CONN_CLOSED => Input::ConnClosed(ConnId::decode(from)?),
                SEND_FAILED => {
                    Input::SendFailed { transaction: StableId::decode(from)?, failure: SendFailure::decode(from)? }
                }
                PORT_OPENED => Input::PortOpened(u16::decode(from)?),
                COMMAND => Input::Command(Command::decode(from)?),
                tag @ (RTP | RTCP) => match self.decode_packet(tag == RTCP, &mut arrived_us, from, pool)? {
                    Some(packet) => Input::Rtp(packet),
                    None => {
                        headers += 1;
                        continue;
                    }
                },
                other => return Err(DecodeError::Variant { of: "input", found: u64::from(other) }),
            });
        }
    }

    /// None where the payload was not kept.
    fn decode_packet(
        &self,
        is_rtcp: bool,
        arrived_us: &mut u64,
        from: &mut Decoder<'_>,
        pool: &mut PacketPool,
    ) -> Result<Option<Box<Packet>>, DecodeError> {
        let (port, peer) = (u16::decode(from)?, SocketAddr::decode(from)?);
        *arrived_us = arrived_us.wrapping_add(i64::decode(from)? as u64);
        if self.media != RecordMedia::Full {
            let _length = usize::decode(from)?;
            from.bytes()?;
            return Ok(None);
        }
        let bytes = from.bytes()?;
        let mut packet = pool.take();
        if !packet.fill(bytes) {
            return Err(DecodeError::Invalid("a packet is too large"));
        }
        (packet.port, packet.is_rtcp, packet.peer, packet.arrived_us) = (port, is_rtcp, peer, *arrived_us);
        Ok(Some(packet))
    }
}

fn fixed(from: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    let bytes = from.raw(8)?;
    bytes.try_into().map(u64::from_le_bytes).map_err(|_| DecodeError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ringworld_components::edge::{Operation, Transport};

    fn flow() -> Flow {
        let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
        Flow { transport: Transport::Tcp, local: address(5060), remote: address(40_000), conn: ConnId(7) }
    }

    fn packet(port: u16, arrived_us: u64, length: usize) -> Input {
        let mut packet = Box::new(Packet::default());
        assert!(packet.fill(&vec![9; length]));
        (packet.port, packet.arrived_us, packet.is_rtcp) = (port, arrived_us, port == 4003);
        Input::Rtp(packet)
    }

    fn inputs() -> Vec<Input> {
        let bytes = bytes::Bytes::from_static(b"not SIP at all");
        let message = Box::new(sip::parse_datagram(bytes.clone(), &sip::Limits::default()));
        vec![
            Input::Sip { flow: flow(), bytes, message },
            Input::ConnOpened(flow()),
            packet(4000, 5_000_010, 172),
            packet(4003, 5_000_003, 8),
            Input::ConnClosed(ConnId(7)),
            Input::SendFailed { transaction: StableId(5), failure: SendFailure::Full },
            Input::PortOpened(10_000),
            Input::Command(Command { number: 3, operation: Operation::HangUp { session: StableId(1) } }),
        ]
    }

    fn through(media: RecordMedia) -> TickEntry {
        let mut bytes = Vec::new();
        let to = &mut Encoder::new(&mut bytes);
        to.byte(tick_tag(true));
        encode_inputs(3, &inputs(), media, to);
        encode_results(&[1, 2], ChainDigest { control: 8, media: 9 }, true, to);
        let mut from = Decoder::new(&bytes);
        let inlet = Inlet { limits: sip::Limits::default(), media };
        let entry = inlet.decode(&mut from, &mut PacketPool::new(4)).unwrap();
        assert_eq!(from.remaining(), 0);
        match entry {
            Entry::Tick(tick) => *tick,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_tick_comes_back_as_it_was() {
        let tick = through(RecordMedia::Full);
        assert_eq!(format!("{:?}", tick.inputs), format!("{:?}", inputs()));
        assert_eq!((tick.elapsed, tick.headers, tick.facts), (3, 0, vec![1, 2]));
        assert_eq!((tick.control, tick.media), (8, Some(9)));
    }

    #[test]
    fn without_payloads_packets_are_counted_at_most() {
        let tick = through(RecordMedia::Headers);
        assert_eq!((tick.inputs.len(), tick.headers), (6, 2));
        let tick = through(RecordMedia::Off);
        assert_eq!((tick.inputs.len(), tick.headers), (6, 0));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_a_panic(mut bytes: Vec<u8>, tag in 0u8..6) {
            bytes.insert(0, tag);
            let inlet = Inlet { limits: sip::Limits::default(), media: RecordMedia::Full };
            let _ = inlet.decode(&mut Decoder::new(&bytes), &mut PacketPool::new(4));
        }
    }
}
