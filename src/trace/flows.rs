//! The RTP of a call in figures: packets and losses by source and direction.

use super::Packet;
use crate::inspect::seconds;
use ringworld_components::kernel::{Now, TICK};
use ringworld_components::wire::rtp;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

/// The packets of one source in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpFlow {
    /// Where they come from.
    pub from: SocketAddr,
    /// Where they go.
    pub to: SocketAddr,
    /// The synchronisation source.
    pub ssrc: u32,
    /// The payload types that occur.
    pub payload_types: BTreeSet<u8>,
    /// How many there are.
    pub packets: u64,
    /// How many are missing by their sequence numbers (RFC 3550 section 6.4.1); less than none if some came twice.
    pub lost: i64,
    /// When the first and the last came, in microseconds since the world began.
    pub first_us: u64,
    /// See `first_us`.
    pub last_us: u64,
    /// How far the highest sequence number so far is from the first one, over all wraps.
    span: i64,
    highest: u16,
}

impl fmt::Display for RtpFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, ssrc, packets, lost, .. } = self;
        let payloads: Vec<String> = self.payload_types.iter().map(u8::to_string).collect();
        let at = |us: u64| seconds(Now(us / TICK.as_micros() as u64));
        write!(
            f,
            "{packets} packets, {lost} lost: {from} → {to}, {} to {}, payload {}, SSRC {ssrc:#010x}",
            at(self.first_us),
            at(self.last_us),
            payloads.join(" ")
        )
    }
}

/// Sorts packets into flows; what is no RTP is left out.
pub(super) fn of(packets: &[Packet]) -> Vec<RtpFlow> {
    let mut flows: Vec<RtpFlow> = Vec::new();
    for packet in packets {
        let parsed = rtp::parse(&packet.bytes).ok().filter(|_| !rtp::is_rtcp(&packet.bytes));
        let Some((header, _)) = parsed else { continue };
        let (from, to) = if packet.is_ours { (packet.local, packet.peer) } else { (packet.peer, packet.local) };
        let known = flows.iter_mut().find(|flow| (flow.from, flow.to, flow.ssrc) == (from, to, header.ssrc));
        match known {
            Some(flow) => flow.add(header.sequence, header.payload_type, packet.at_us),
            None => flows.push(RtpFlow {
                from,
                to,
                ssrc: header.ssrc,
                payload_types: BTreeSet::from([header.payload_type]),
                packets: 1,
                lost: 0,
                first_us: packet.at_us,
                last_us: packet.at_us,
                span: 0,
                highest: header.sequence,
            }),
        }
    }
    flows
}

impl RtpFlow {
    fn add(&mut self, sequence: u16, payload_type: u8, at_us: u64) {
        let ahead = i64::from(sequence.wrapping_sub(self.highest) as i16);
        if ahead > 0 {
            self.span += ahead;
            self.highest = sequence;
        }
        self.packets += 1;
        self.lost = self.span + 1 - i64::try_from(self.packets).unwrap_or(i64::MAX);
        self.payload_types.insert(payload_type);
        self.last_us = at_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, ssrc: u8) -> Packet {
        let [high, low] = sequence.to_be_bytes();
        let (peer, local) = ("10.0.0.2:4000".parse().unwrap(), "10.0.0.1:10000".parse().unwrap());
        let bytes = vec![0x80, 0, high, low, 0, 0, 0, 0, 0, 0, 0, ssrc];
        Packet { at_us: 5_000, peer, local, is_ours: false, bytes }
    }

    #[test]
    fn losses_are_counted_over_the_wrap_and_in_any_order() {
        let of = |sequences: &[u16]| {
            let packets: Vec<Packet> = sequences.iter().map(|&sequence| packet(sequence, 1)).collect();
            (of(&packets)[0].packets, of(&packets)[0].lost)
        };
        assert_eq!(of(&[65_534, 65_535, 0, 1]), (4, 0));
        assert_eq!(of(&[65_534, 1, 0]), (3, 1));
        assert_eq!(of(&[7, 7, 8]), (3, -1));
    }

    #[test]
    fn sources_are_told_apart_and_what_is_no_rtp_is_left_out() {
        let mut rtcp = packet(1, 1);
        rtcp.bytes[1] = 200;
        let noise = Packet { bytes: vec![1, 2], ..packet(1, 1) };
        let flows = of(&[packet(1, 1), packet(9, 2), rtcp, noise, packet(2, 1)]);
        assert_eq!(flows.iter().map(|flow| (flow.ssrc, flow.packets)).collect::<Vec<_>>(), [(1, 2), (2, 1)]);
        assert_eq!(
            flows[0].to_string(),
            "2 packets, 0 lost: 10.0.0.2:4000 → 10.0.0.1:10000, 0.005 s to 0.005 s, payload 0, SSRC 0x00000001"
        );
    }
}
