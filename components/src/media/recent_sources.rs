//! Who has sent to a port before its present stream.

use super::Latch;
use crate::kernel::{Now, Table};
use crate::record::Record;
use bevy_ecs::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;

/// How many recent sources a port remembers.
const REMEMBERED_MAX: usize = 8;

/// How long a source is remembered after its last packet: 64*T1, with the usual T1. A peer whose transactions have
/// ended by then knows that its call is over (RFC 3261 section 17.1.1.2).
const REMEMBERED_FOR: Duration = Duration::from_secs(32);

/// The sources that have sent to each port and are not those of its stream, the newest last: those of its last
/// streams, those that sent while no stream had the port, and those that a stream refused. A peer that does not know
/// yet that its call is over goes on sending to the port, and must not be taken for the source of the next call.
#[derive(Resource, Record, Clone, Debug, Default)]
pub struct RecentSources(Table<u16, Vec<RecentSource>>);

#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
struct RecentSource {
    source: SocketAddr,
    ssrc: u32,
    since: Now,
    heard: Now,
}

impl RecentSource {
    fn is_known(&self, now: Now) -> bool {
        now.since(self.heard) < REMEMBERED_FOR
    }
}

impl RecentSources {
    /// A source has sent to a port and is not that of its stream.
    pub fn note(&mut self, port: u16, source: SocketAddr, ssrc: u32, heard: Now) {
        let mut noted = RecentSource { source, ssrc, since: heard, heard };
        let mut known = self.0.remove(&port).unwrap_or_default();
        known.retain(|other| {
            let is_it = (other.source, other.ssrc) == (source, ssrc);
            if is_it && other.is_known(heard) {
                noted.since = other.since;
            }
            !is_it && other.is_known(heard)
        });
        known.push(noted);
        known.drain(..known.len().saturating_sub(REMEMBERED_MAX));
        self.0.insert(port, known);
    }

    /// A stream gives its port up: its source is not that of the next one.
    pub fn note_last(&mut self, port: u16, latch: &Latch) {
        if let Some((source, ssrc, heard)) = latch.last_heard() {
            self.note(port, source, ssrc, heard);
        }
    }

    /// Whether a source sent to a port before the stream that has it began, and not so long ago.
    pub fn precedes(&self, port: u16, source: SocketAddr, ssrc: u32, began: Now, now: Now) -> bool {
        let is_it = |known: &RecentSource| {
            (known.source, known.ssrc) == (source, ssrc) && known.is_known(now) && known.since <= began
        };
        self.0.get(&port).is_some_and(|known| known.iter().any(is_it))
    }
}

#[cfg(test)]
mod tests {
    use super::super::latch::Sent;
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_source_that_goes_on_after_its_call_precedes_the_next_one_for_a_while() {
        let mut recent = RecentSources::default();
        let mut latch = Latch::default();
        recent.note_last(4000, &latch);
        assert!(!recent.precedes(4000, address(1), 7, Now(10), Now(10)));
        latch.judge(Sent { from: address(1), ssrc: 7, sequence: 1, is_agreed: true }, Now(10), || false);
        recent.note_last(4000, &latch);
        assert!(recent.precedes(4000, address(1), 7, Now(10), Now(10)));
        // A stream without a source leaves what was known.
        recent.note_last(4000, &Latch::default());
        assert!(recent.precedes(4000, address(1), 7, Now(11), Now(11)));
        assert!(!recent.precedes(4002, address(1), 7, Now(11), Now(11)));
        assert!(!recent.precedes(4000, address(2), 7, Now(11), Now(11)));
        assert!(!recent.precedes(4000, address(1), 8, Now(11), Now(11)), "a new SSRC is a new call");
        assert!(recent.precedes(4000, address(1), 7, Now(11), Now(10 + 32 * 200 - 1)));
        assert!(!recent.precedes(4000, address(1), 7, Now(11), Now(10 + 32 * 200)), "it knows that its call is over");
        recent.note(4000, address(1), 7, Now(5_000));
        assert!(recent.precedes(4000, address(1), 7, Now(11), Now(10_000)), "it was heard again");
    }

    #[test]
    fn a_source_that_came_after_the_stream_precedes_only_the_next_one() {
        let mut recent = RecentSources::default();
        recent.note(4000, address(1), 7, Now(100));
        recent.note(4000, address(1), 7, Now(200));
        assert!(!recent.precedes(4000, address(1), 7, Now(99), Now(200)));
        assert!(recent.precedes(4000, address(1), 7, Now(100), Now(200)), "the peer could not know of the stream yet");
        assert!(recent.precedes(4000, address(1), 7, Now(150), Now(200)));
    }

    #[test]
    fn a_port_remembers_so_many_sources_and_none_for_ever() {
        let mut recent = RecentSources::default();
        for ssrc in 0..=REMEMBERED_MAX as u32 {
            recent.note(4000, address(3), ssrc, Now(10));
        }
        let has = |recent: &RecentSources, ssrc| recent.precedes(4000, address(3), ssrc, Now(10), Now(10));
        assert!(!has(&recent, 0), "the oldest is forgotten");
        assert!((1..=REMEMBERED_MAX as u32).all(|ssrc| has(&recent, ssrc)));
        recent.note(4000, address(3), 99, Now(10 + 32 * 200));
        assert_eq!(recent.0.get(&4000).map(Vec::len), Some(1));
    }
}
