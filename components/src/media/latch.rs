//! Symmetric RTP: learning where a peer's packets come from, without letting another source take the stream.

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
    /// It is from another source.
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

/// How many recent sources a port remembers.
const REMEMBERED_MAX: usize = 8;

/// How long a source is remembered after its last packet: 64*T1, with the usual T1. A peer whose transactions have
/// ended by then knows that its call is over (RFC 3261 section 17.1.1.2).
const REMEMBERED_FOR: Duration = Duration::from_secs(32);

/// The sources that sent to each port and are not of the call that has it next, the newest last: those of its last
/// streams, those that sent while no stream had the port, and those that a stream refused. A peer that does not know
/// yet that its call is over goes on sending to the port, and must not be taken for the source of the next call.
#[derive(Resource, Record, Clone, Debug, Default)]
pub struct RecentSources(Table<u16, Vec<Stranger>>);

#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
struct Stranger {
    source: SocketAddr,
    ssrc: u32,
    heard: Now,
}

impl Stranger {
    fn is_known(&self, now: Now) -> bool {
        now.since(self.heard) < REMEMBERED_FOR
    }
}

impl RecentSources {
    /// A source sent to a port and is not of the call that has it next.
    pub fn note(&mut self, port: u16, source: SocketAddr, ssrc: u32, heard: Now) {
        let stranger = Stranger { source, ssrc, heard };
        match self.0.get_mut(&port) {
            Some(known) => {
                known.retain(|other| other.is_known(heard) && (other.source, other.ssrc) != (source, ssrc));
                known.push(stranger);
                known.drain(..known.len().saturating_sub(REMEMBERED_MAX));
            }
            None => {
                self.0.insert(port, vec![stranger]);
            }
        }
    }

    /// A stream gives its port up: its source is not that of the next one.
    pub fn note_last(&mut self, port: u16, latch: &Latch) {
        if let Some(source) = latch.source {
            self.note(port, source, latch.ssrc, latch.heard);
        }
    }

    /// A source turned out to be of the call that has the port.
    pub fn forget(&mut self, port: u16, source: SocketAddr, ssrc: u32) {
        if let Some(known) = self.0.get_mut(&port) {
            known.retain(|other| (other.source, other.ssrc) != (source, ssrc));
        }
    }

    /// Whether a source that sends to a port is one of its recent sources.
    pub fn has(&self, port: u16, source: SocketAddr, ssrc: u32, now: Now) -> bool {
        let is_it = |known: &Stranger| (known.source, known.ssrc) == (source, ssrc) && known.is_known(now);
        self.0.get(&port).is_some_and(|known| known.iter().any(is_it))
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
    fn who_goes_on_after_a_call_is_a_stranger_for_a_while() {
        let mut strangers = RecentSources::default();
        let mut latch = Latch::default();
        strangers.note_last(4000, &latch);
        assert!(!strangers.has(4000, address(1), 7, Now(10)));
        latch.judge(address(1), address(9), 7, 100, Now(10));
        strangers.note_last(4000, &latch);
        assert!(strangers.has(4000, address(1), 7, Now(10)));
        // A stream without a source leaves what was known.
        strangers.note_last(4000, &Latch::default());
        assert!(strangers.has(4000, address(1), 7, Now(11)));
        assert!(!strangers.has(4002, address(1), 7, Now(11)) && !strangers.has(4000, address(2), 7, Now(11)));
        assert!(!strangers.has(4000, address(1), 8, Now(11)), "a new SSRC is a new call");
        assert!(strangers.has(4000, address(1), 7, Now(10 + 32 * 200 - 1)));
        assert!(!strangers.has(4000, address(1), 7, Now(10 + 32 * 200)), "it knows by now that its call is over");
        strangers.note(4000, address(1), 7, Now(5_000));
        assert!(strangers.has(4000, address(1), 7, Now(10_000)), "it was heard again");
        strangers.forget(4000, address(1), 7);
        assert!(!strangers.has(4000, address(1), 7, Now(10_000)));
    }

    #[test]
    fn a_port_remembers_so_many_strangers_and_none_for_ever() {
        let mut strangers = RecentSources::default();
        for ssrc in 0..=REMEMBERED_MAX as u32 {
            strangers.note(4000, address(3), ssrc, Now(10));
        }
        assert!(!strangers.has(4000, address(3), 0, Now(10)), "the oldest is forgotten");
        assert!((1..=REMEMBERED_MAX as u32).all(|ssrc| strangers.has(4000, address(3), ssrc, Now(10))));
        strangers.note(4000, address(3), 99, Now(10 + 32 * 200));
        assert_eq!(strangers.0.get(&4000).map(Vec::len), Some(1));
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
