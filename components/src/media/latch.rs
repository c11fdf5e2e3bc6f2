//! Symmetric RTP: learning where a peer's packets come from, without letting a stranger take the stream.

use crate::kernel::{Now, Table};
use crate::record::Record;
use bevy_ecs::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;

/// How long after the first packet a source that the SDP names is still preferred.
const PREFER_SDP: Duration = Duration::from_millis(200);

/// How long the latched source must be silent before the same SSRC may move.
const MOVE_AFTER: Duration = Duration::from_millis(1000);

/// How far a sequence number may be ahead for a moved source to be plausible.
const PLAUSIBLE_GAP: u16 = 3000;

/// The source that a stream listens to and sends to.
#[derive(Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct Latch {
    source: Option<SocketAddr>,
    since: Now,
    heard: Now,
    ssrc: u32,
    sequence: u16,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is from the source.
    Same,
    /// It made its sender the source.
    Latched,
    /// It is from a stranger.
    Foreign,
}

impl Latch {
    /// Where packets come from, once known.
    pub fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    /// When the source was last heard.
    pub fn heard(&self) -> Now {
        self.heard
    }

    /// The SSRC that was last heard.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Judges a packet. `described` is the address that the SDP names.
    pub fn judge(&mut self, from: SocketAddr, described: SocketAddr, ssrc: u32, sequence: u16, now: Now) -> Verdict {
        let verdict = match self.source {
            Some(source) if source == from => Verdict::Same,
            None => Verdict::Latched,
            Some(_) if from == described && now.since(self.since) < PREFER_SDP => Verdict::Latched,
            Some(_) => {
                let silent = now.since(self.heard) >= MOVE_AFTER;
                let plausible = ssrc == self.ssrc && sequence.wrapping_sub(self.sequence) <= PLAUSIBLE_GAP;
                if silent && plausible { Verdict::Latched } else { Verdict::Foreign }
            }
        };
        match verdict {
            Verdict::Foreign => return verdict,
            Verdict::Latched => {
                // The preference counts from the first packet: two sources must not take turns for ever.
                if self.source.is_none() {
                    self.since = now;
                }
                self.source = Some(from);
            }
            Verdict::Same => {}
        }
        (self.heard, self.ssrc, self.sequence) = (now, ssrc, sequence);
        verdict
    }

    /// Forgets the source: the SDP changed.
    pub fn reset(&mut self, now: Now) {
        *self = Self { heard: now, ..Self::default() };
    }
}

/// How many sources a port is remembered by.
const REMEMBERED_MAX: usize = 4;

/// The sources that each port's last streams were latched on, with their SSRCs, the newest last. A peer that does not know
/// yet that its call is over goes on speaking to the port, and must not be taken for the source of the next call that has
/// it.
#[derive(Resource, Record, Clone, Debug, Default)]
pub struct LastSources(Table<u16, Vec<(SocketAddr, u32)>>);

impl LastSources {
    /// A stream gives its port up.
    pub fn remember(&mut self, port: u16, latch: &Latch) {
        let Some(source) = latch.source.map(|source| (source, latch.ssrc)) else { return };
        match self.0.get_mut(&port) {
            Some(sources) => {
                sources.retain(|known| *known != source);
                sources.push(source);
                sources.drain(..sources.len().saturating_sub(REMEMBERED_MAX));
            }
            None => {
                self.0.insert(port, vec![source]);
            }
        }
    }

    /// Whether a packet to a port goes on with what was sent to one of its last streams.
    pub fn goes_on(&self, port: u16, from: SocketAddr, ssrc: u32) -> bool {
        self.0.get(&port).is_some_and(|sources| sources.contains(&(from, ssrc)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn the_first_source_wins_and_a_stranger_is_refused() {
        let mut latch = Latch::default();
        assert_eq!(latch.judge(address(1), address(9), 7, 100, Now(10)), Verdict::Latched);
        assert_eq!(latch.judge(address(2), address(9), 8, 1, Now(500)), Verdict::Foreign);
        assert_eq!(latch.judge(address(1), address(9), 7, 101, Now(11)), Verdict::Same);
        assert_eq!(latch.source(), Some(address(1)));
    }

    #[test]
    fn the_described_source_is_preferred_for_200_ms_only() {
        let mut latch = Latch::default();
        latch.judge(address(1), address(9), 7, 100, Now(10));
        assert_eq!(latch.judge(address(9), address(9), 8, 1, Now(49)), Verdict::Latched);
        let mut latch = Latch::default();
        latch.judge(address(1), address(9), 7, 100, Now(10));
        assert_eq!(latch.judge(address(9), address(9), 8, 1, Now(51)), Verdict::Foreign);
    }

    #[test]
    fn who_goes_on_after_a_call_is_known_by_source_and_ssrc() {
        let mut last = LastSources::default();
        let mut latch = Latch::default();
        last.remember(4000, &latch);
        assert!(!last.goes_on(4000, address(1), 7));
        latch.judge(address(1), address(9), 7, 100, Now(10));
        last.remember(4000, &latch);
        assert!(last.goes_on(4000, address(1), 7));
        // A stream that nobody spoke to leaves what was known.
        last.remember(4000, &Latch::default());
        assert!(last.goes_on(4000, address(1), 7));
        assert!(!last.goes_on(4002, address(1), 7) && !last.goes_on(4000, address(2), 7));
        assert!(!last.goes_on(4000, address(1), 8), "a new SSRC is a new call");
        for ssrc in 10..10 + REMEMBERED_MAX as u32 {
            last.remember(4000, &Latch { source: Some(address(3)), ssrc, ..Latch::default() });
        }
        assert!(!last.goes_on(4000, address(1), 7), "the oldest is forgotten");
        assert!(last.goes_on(4000, address(3), 10) && last.goes_on(4000, address(3), 13));
    }

    #[test]
    fn a_nat_rebinding_moves_the_same_stream_after_silence() {
        let mut latch = Latch::default();
        latch.judge(address(1), address(9), 7, 65_530, Now(10));
        assert_eq!(latch.judge(address(2), address(9), 7, 5, Now(100)), Verdict::Foreign);
        assert_eq!(latch.judge(address(2), address(9), 8, 5, Now(300)), Verdict::Foreign);
        assert_eq!(latch.judge(address(2), address(9), 7, 40_000, Now(300)), Verdict::Foreign);
        assert_eq!(latch.judge(address(2), address(9), 7, 5, Now(300)), Verdict::Latched);
    }
}
