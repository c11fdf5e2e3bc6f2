//! Symmetric RTP: where a peer's packets come from is learned from the packets, as a NAT may have changed the address
//! that the peer names, without letting another host take the stream.
//!
//! - The address that the latest description names is taken at any time, with any SSRC, and wins.
//! - Without a source, the first one that sends is learned provisionally: the named address may be one that never
//!   sends.
//! - A source gives way to another one than the named only when it has been silent, and the other one continues its
//!   stream or comes from a host that is known to be of the call.
//! - After a description with another address the former source is refused for a while: its last packets are late.

use crate::kernel::Now;
use crate::record::Record;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long the source before a new description is refused.
const FORMER_REFUSED_FOR: Duration = Duration::from_secs(2);

/// How long a source must be silent before another one may take its place.
const SILENT_AFTER: Duration = Duration::from_millis(1000);

/// How far a sequence number may be ahead for a source to continue the stream of another one.
const PLAUSIBLE_GAP: u16 = 3000;

/// The source that a stream listens to and sends to.
#[derive(Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct Latch {
    /// The address that the latest description names; one that names none, to hold, changes nothing.
    named: Option<SocketAddr>,
    /// The host that the signalling is exchanged with.
    signalling: Option<IpAddr>,
    source: Option<Source>,
    former: Option<Former>,
}

#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    address: SocketAddr,
    ssrc: u32,
    sequence: u16,
    heard: Now,
}

impl Source {
    fn is_continued_by(&self, sent: Sent) -> bool {
        sent.ssrc == self.ssrc && sent.sequence.wrapping_sub(self.sequence) <= PLAUSIBLE_GAP
    }
}

/// The source before the latest description.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
struct Former {
    address: SocketAddr,
    until: Now,
}

/// What counts of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Where it came from.
    pub from: SocketAddr,
    /// Its SSRC.
    pub ssrc: u32,
    /// Its sequence number.
    pub sequence: u16,
    /// Whether its payload type was agreed on: only such a packet makes its sender the source.
    pub is_agreed: bool,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is from the source.
    Same,
    /// It made its sender the source.
    Learned,
    /// It is from another source.
    Foreign,
}

impl Latch {
    /// Where packets come from, once known.
    pub fn source(&self) -> Option<SocketAddr> {
        self.source.map(|source| source.address)
    }

    /// The source, its SSRC, and when it was last heard.
    pub fn last_heard(&self) -> Option<(SocketAddr, u32, Now)> {
        self.source.map(|source| (source.address, source.ssrc, source.heard))
    }

    /// Whether a host is known to be of the call: it is that of the signalling, of the named address or of the source.
    pub fn knows(&self, host: IpAddr) -> bool {
        let former = self.former.map(|former| former.address);
        let known = [self.named, self.source(), former].into_iter().flatten().map(|known| known.ip());
        known.chain(self.signalling).any(|known| known == host)
    }

    /// The host that the signalling is exchanged with.
    pub fn signalled_by(&mut self, host: IpAddr) {
        self.signalling = Some(host);
    }

    /// Takes the address of a description; says whether it is another one than before, so that packets go there now.
    /// A null address (RFC 3264 section 8.4) names none.
    pub fn describe(&mut self, named: SocketAddr, now: Now) -> bool {
        if named.ip().is_unspecified() || named.port() == 0 || self.named == Some(named) {
            return false;
        }
        let before = self.named.replace(named);
        if let Some(address) = self.source.take().map(|source| source.address).or(before) {
            self.former = Some(Former { address, until: now.after(FORMER_REFUSED_FOR) });
        }
        before.is_some()
    }

    /// Judges a packet. `is_distrusted` says whether its sender was there before the stream.
    pub fn judge(&mut self, sent: Sent, now: Now, is_distrusted: impl FnOnce() -> bool) -> Verdict {
        let verdict = match self.source {
            Some(source) if source.address == sent.from => Verdict::Same,
            _ if sent.is_agreed && self.may_be_learned(sent, now, is_distrusted) => Verdict::Learned,
            _ => Verdict::Foreign,
        };
        if verdict != Verdict::Foreign {
            let Sent { from: address, ssrc, sequence, .. } = sent;
            self.source = Some(Source { address, ssrc, sequence, heard: now });
        }
        verdict
    }

    fn may_be_learned(&self, sent: Sent, now: Now, is_distrusted: impl FnOnce() -> bool) -> bool {
        let is_former = |former: Former| former.address == sent.from && now < former.until;
        if self.named == Some(sent.from) {
            return true;
        }
        if self.former.is_some_and(is_former) {
            return false;
        }
        match self.source {
            None => !is_distrusted(),
            Some(source) => {
                let is_silent = now.since(source.heard) >= SILENT_AFTER;
                is_silent && (source.is_continued_by(sent) || self.knows(sent.from.ip()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: &str = "10.0.0.9:9";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn sent(from: &str, ssrc: u32, sequence: u16) -> Sent {
        Sent { from: address(from), ssrc, sequence, is_agreed: true }
    }

    fn latch() -> Latch {
        let mut latch = Latch::default();
        latch.signalled_by(address("192.0.2.5:1").ip());
        assert!(!latch.describe(address(NAMED), Now(0)), "the first one changes nothing");
        latch
    }

    #[test]
    fn the_first_source_is_learned_and_another_one_refused() {
        let mut latch = latch();
        assert_eq!(latch.judge(sent("192.0.2.1:1", 7, 100), Now(10), || false), Verdict::Learned);
        assert_eq!(latch.judge(sent("192.0.2.2:2", 8, 1), Now(500), || false), Verdict::Foreign);
        assert_eq!(latch.judge(sent("192.0.2.1:1", 7, 101), Now(501), || false), Verdict::Same);
        assert_eq!(latch.source(), Some(address("192.0.2.1:1")));
    }

    #[test]
    fn the_named_source_wins_at_any_time_with_any_ssrc() {
        for later in [0, 10, 100_000] {
            let mut latch = latch();
            latch.judge(sent("192.0.2.1:1", 7, 100), Now(10), || false);
            assert_eq!(latch.judge(sent(NAMED, 8, 1), Now(10 + later), || true), Verdict::Learned);
            assert_eq!(latch.judge(sent("192.0.2.1:1", 7, 101), Now(11 + later), || false), Verdict::Foreign);
        }
    }

    #[test]
    fn what_was_not_agreed_on_is_not_learned_and_does_not_disturb_the_source() {
        let mut latch = latch();
        for from in ["192.0.2.1:1", NAMED] {
            let wild = Sent { is_agreed: false, ..sent(from, 7, 100) };
            assert_eq!(latch.judge(wild, Now(10), || false), Verdict::Foreign);
        }
        latch.judge(sent("192.0.2.1:1", 7, 100), Now(10), || false);
        let noise = Sent { is_agreed: false, ..sent("192.0.2.1:1", 7, 101) };
        assert_eq!(latch.judge(noise, Now(11), || false), Verdict::Same);
    }

    #[test]
    fn after_a_new_description_the_former_source_is_refused_for_two_seconds() {
        for (former, named_sends) in [(NAMED, false), ("192.0.2.1:1", false), (NAMED, true)] {
            let mut latch = latch();
            latch.judge(sent(former, 7, 100), Now(10), || false);
            assert!(latch.describe(address("10.0.0.9:11"), Now(20)));
            assert_eq!(latch.source(), None, "packets go to the named address");
            assert_eq!(latch.judge(sent(former, 7, 101), Now(419), || false), Verdict::Foreign, "late");
            if named_sends {
                assert_eq!(latch.judge(sent("10.0.0.9:11", 7, 102), Now(419), || false), Verdict::Learned);
            }
            let expected = if named_sends { Verdict::Foreign } else { Verdict::Learned };
            assert_eq!(latch.judge(sent(former, 7, 103), Now(420), || false), expected);
        }
    }

    #[test]
    fn the_same_address_and_a_null_one_are_no_new_description() {
        let mut latch = latch();
        latch.judge(sent("192.0.2.1:1", 7, 100), Now(10), || false);
        for described in [NAMED, "0.0.0.0:9", "[::]:9", "10.0.0.9:0", NAMED] {
            assert!(!latch.describe(address(described), Now(20)), "{described}");
            assert_eq!(latch.source(), Some(address("192.0.2.1:1")), "{described}");
        }
    }

    #[test]
    fn a_source_that_was_there_before_the_stream_is_distrusted_unless_it_is_named() {
        let mut latch = latch();
        assert_eq!(latch.judge(sent("192.0.2.1:1", 7, 100), Now(10), || true), Verdict::Foreign);
        assert_eq!(latch.judge(sent(NAMED, 7, 100), Now(10), || true), Verdict::Learned);
    }

    #[test]
    fn a_silent_source_gives_way_to_its_own_stream_and_to_hosts_of_the_call() {
        // From another address of the same host, from that of the signalling, and from an unknown host.
        for (from, is_known) in [("192.0.2.1:2", true), ("192.0.2.5:5", true), ("192.0.2.6:6", false)] {
            let judged = |ssrc, sequence, now| {
                let mut latch = latch();
                latch.judge(sent("192.0.2.1:1", 7, 65_530), Now(10), || false);
                latch.judge(sent(from, ssrc, sequence), Now(now), || true)
            };
            assert_eq!(judged(7, 5, 209), Verdict::Foreign, "{from}: the source is not silent");
            assert_eq!(judged(7, 5, 210), Verdict::Learned, "{from}: it continues the stream");
            let other = if is_known { Verdict::Learned } else { Verdict::Foreign };
            assert_eq!(judged(8, 5, 210), other, "{from}: another SSRC");
            assert_eq!(judged(7, 40_000, 210), other, "{from}: a jump");
        }
    }
}
