//! RTP packets (RFC 3550, section 5.1), and how many arrived.

/// The part of a packet that a user agent looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; `None` for what is no RTP, RTCP included.
    pub fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let (head, rest) = bytes.split_first_chunk::<12>()?;
        let [flags, marked_type, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *head;
        if flags >> 6 != 2 || (192..=223).contains(&marked_type) {
            return None;
        }
        let mut payload = rest.get(usize::from(flags & 0x0f) * 4..)?;
        if flags & 0x10 != 0 {
            let (extension, _) = payload.split_first_chunk::<4>()?;
            let words = usize::from(u16::from_be_bytes([extension[2], extension[3]]));
            payload = payload.get(4 + words * 4..)?;
        }
        if flags & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding.max(1))?)?;
        }
        Some(Packet {
            marker: marked_type & 0x80 != 0,
            payload_type: marked_type & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
            payload,
        })
    }

    /// Writes the packet into the buffer.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend([0x80, self.payload_type | if self.marker { 0x80 } else { 0 }]);
        buffer.extend(self.sequence.to_be_bytes());
        buffer.extend(self.timestamp.to_be_bytes());
        buffer.extend(self.ssrc.to_be_bytes());
        buffer.extend(self.payload);
    }
}

/// Counts packets of one source by sequence number.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    source: Option<u32>,
    first: i64,
    highest: i64,
    /// Bit n: `highest - n` has arrived.
    seen: u64,
    received: u64,
    /// Lost in sources before the present one.
    lost_before: u64,
    pub duplicates: u64,
    pub sources: u64,
}

impl Arrivals {
    /// Counts a packet. False for a duplicate.
    pub fn count(&mut self, packet: &Packet<'_>) -> bool {
        if self.source != Some(packet.ssrc) {
            let (lost_before, duplicates, sources) = (self.lost(), self.duplicates, self.sources + 1);
            let first = i64::from(packet.sequence);
            let source = Some(packet.ssrc);
            *self = Arrivals { source, first, highest: first, seen: 1, received: 1, lost_before, duplicates, sources };
            return true;
        }
        let step = i64::from(packet.sequence.wrapping_sub(self.highest as u16) as i16);
        if step > 0 {
            self.seen = if step < 64 { self.seen << step | 1 } else { 1 };
            self.highest += step;
        } else {
            let bit = if step > -64 { 1 << -step } else { 0 };
            if self.seen & bit != 0 {
                self.duplicates += 1;
                return false;
            }
            self.seen |= bit;
            self.first = self.first.min(self.highest + step);
        }
        self.received += 1;
        true
    }

    /// Gaps in the sequence numbers.
    pub fn lost(&self) -> u64 {
        let expected = if self.source.is_some() { (self.highest - self.first + 1) as u64 } else { 0 };
        self.lost_before + expected.saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, ssrc: u32) -> Packet<'static> {
        Packet { marker: true, payload_type: 8, sequence, timestamp: 77, ssrc, payload: b"abc" }
    }

    #[test]
    fn a_packet_reads_back() {
        let mut bytes = Vec::new();
        packet(513, 9).write(&mut bytes);
        assert_eq!(Packet::parse(&bytes), Some(packet(513, 9)));
        for short in 0..12 {
            assert_eq!(Packet::parse(&bytes[..short]), None);
        }
        let mut rtcp = bytes.clone();
        rtcp[1] = 200;
        assert_eq!(Packet::parse(&rtcp), None);
    }

    #[test]
    fn contributing_sources_extension_and_padding_are_no_payload() {
        let mut bytes = vec![0xb1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 9, 9, 0, 0, 0, 1, 7, 7, 7, 7, b'x', 0, 2];
        assert_eq!(Packet::parse(&bytes).map(|packet| packet.payload), Some(&b"x"[..]));
        *bytes.last_mut().unwrap() = 200;
        assert_eq!(Packet::parse(&bytes), None);
    }

    #[test]
    fn losses_duplicates_and_reordering_are_told_apart() {
        let mut arrivals = Arrivals::default();
        for sequence in [65_534, 65_535, 1, 0, 0, 5, 4] {
            arrivals.count(&packet(sequence, 1));
        }
        assert_eq!((arrivals.lost(), arrivals.duplicates), (2, 1));
        arrivals.count(&packet(9_000, 2));
        arrivals.count(&packet(9_002, 2));
        assert_eq!((arrivals.lost(), arrivals.sources), (3, 2));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = Packet::parse(&bytes);
        }
    }
}
