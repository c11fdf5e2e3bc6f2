//! What the callers measured and heard.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::ua::call::{End, Signalling};

/// How far a fleet has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub planned: u64,
    pub started: u64,
    /// Answered and not yet ended.
    pub connected: u64,
    pub ended: u64,
    /// Of the ended: those that did not go as planned.
    pub failed: u64,
    pub packets_sent: u64,
    pub packets_received: u64,
    /// The longest time between two packets of one caller that has ended since the last report, in microseconds.
    pub pause_us: u64,
    /// The same between two packets of any callers of a thread: no caller got one.
    pub silence_us: u64,
}

/// Quantiles of a duration, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    pub count: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// How many callers heard exactly what they should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeardCount {
    pub expected: u64,
    pub exact: u64,
}

/// The account of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub calls: u64,
    /// Calls that were answered, held and ended by us.
    pub completed: u64,
    /// All calls by how they ended; refusals by status and phrase.
    pub calls_by_outcome: BTreeMap<String, u64>,
    /// INVITE sent to 2xx received.
    pub setup: Quantiles,
    /// Messages that callers had to send again.
    pub retransmissions_sent: u64,
    /// Messages of the switch that came again.
    pub retransmissions_seen: u64,
    pub malformed_messages: u64,
    pub stray_messages: u64,
    pub packets_sent: u64,
    pub packets_received: u64,
    /// Gaps in the sequence numbers received.
    pub packets_lost: u64,
    pub packets_duplicate: u64,
    /// Packets that were no RTP, or not from where the SDP said.
    pub packets_foreign: u64,
    /// Packets sent more than 5 ms after their time, and the worst: a fault of this machine, not of the switch.
    pub packets_late: u64,
    pub late_max_us: u64,
    /// Packets never sent because the callers were over 200 ms behind.
    pub packets_skipped: u64,
    /// Echoed packets recognised by their content, and packets sent by echo callers that never came back so.
    pub echo_matched: u64,
    pub echo_not_returned: u64,
    /// Sent to received, by content: jitter buffer included.
    pub echo_round_trip: Quantiles,
    pub echo: HeardCount,
    pub rooms: HeardCount,
    pub other: HeardCount,
    /// The first few callers that heard something else, in words.
    pub heard_wrong: Vec<String>,
    pub seconds: f64,
}

impl Report {
    /// All calls completed, everyone heard exactly what was expected, and no packet was lost on the way here.
    pub fn all_right(&self) -> bool {
        let heard = [self.echo, self.rooms, self.other].iter().all(|count| count.exact == count.expected);
        self.completed == self.calls && heard && self.packets_lost == 0
    }

    /// Whether the callers' machine sent their packets in time. Where it did not, what they heard says little about the
    /// switch.
    pub fn kept_pace(&self) -> bool {
        self.packets_skipped == 0 && self.packets_late * 100 <= self.packets_sent
    }

    /// Adds the account of another thread. Quantiles are filled in at the end, from [`Measured`].
    pub(crate) fn add(&mut self, other: Report) {
        self.calls += other.calls;
        self.completed += other.completed;
        for (outcome, count) in other.calls_by_outcome {
            *self.calls_by_outcome.entry(outcome).or_default() += count;
        }
        for (mine, theirs) in [
            (&mut self.retransmissions_sent, other.retransmissions_sent),
            (&mut self.retransmissions_seen, other.retransmissions_seen),
            (&mut self.malformed_messages, other.malformed_messages),
            (&mut self.stray_messages, other.stray_messages),
            (&mut self.packets_sent, other.packets_sent),
            (&mut self.packets_received, other.packets_received),
            (&mut self.packets_lost, other.packets_lost),
            (&mut self.packets_duplicate, other.packets_duplicate),
            (&mut self.packets_foreign, other.packets_foreign),
            (&mut self.packets_late, other.packets_late),
            (&mut self.packets_skipped, other.packets_skipped),
            (&mut self.echo_matched, other.echo_matched),
            (&mut self.echo_not_returned, other.echo_not_returned),
        ] {
            *mine += theirs;
        }
        self.late_max_us = self.late_max_us.max(other.late_max_us);
        for (mine, theirs) in
            [(&mut self.echo, other.echo), (&mut self.rooms, other.rooms), (&mut self.other, other.other)]
        {
            mine.expected += theirs.expected;
            mine.exact += theirs.exact;
        }
        self.heard_wrong.extend(other.heard_wrong);
        self.heard_wrong.truncate(WRONG_SHOWN);
        self.seconds = self.seconds.max(other.seconds);
    }

    pub(crate) fn count_end(&mut self, end: &End) {
        self.completed += u64::from(*end == End::Completed);
        *self.calls_by_outcome.entry(end.to_string()).or_default() += 1;
    }

    pub(crate) fn count_signalling(&mut self, count: Signalling) {
        self.retransmissions_sent += count.retransmissions_sent;
        self.retransmissions_seen += count.retransmissions_seen;
        self.malformed_messages += count.malformed;
        self.stray_messages += count.stray;
    }
}

/// How many callers that heard something wrong are described.
pub(crate) const WRONG_SHOWN: usize = 10;

/// Durations while they are gathered.
#[derive(Debug)]
pub(crate) struct Measured(Histogram<u64>);

impl Measured {
    pub fn new() -> Measured {
        // Up to a minute in microseconds, to three digits; what is longer counts as a minute.
        let histogram = Histogram::new_with_bounds(1, 60_000_000, 3);
        Measured(histogram.unwrap_or_else(|_| unreachable!("the bounds are constants and legal")))
    }

    pub fn add(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds / 1_000);
    }

    pub fn merge(&mut self, other: &Measured) {
        // Both have the same bounds, so this cannot fail.
        let _ = self.0.add(&other.0);
    }

    pub fn quantiles(&self) -> Quantiles {
        Quantiles {
            count: self.0.len(),
            p50_us: self.0.value_at_quantile(0.5),
            p99_us: self.0.value_at_quantile(0.99),
            max_us: self.0.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_add_up() {
        let mut report = Report { calls: 2, late_max_us: 3, ..Report::default() };
        report.count_end(&End::Completed);
        let mut other = Report { calls: 1, late_max_us: 2, ..Report::default() };
        other.count_end(&End::Rejected { status: 486, phrase: "Busy Here".into() });
        report.add(other);
        assert_eq!((report.calls, report.completed, report.late_max_us), (3, 1, 3));
        assert_eq!(report.calls_by_outcome.get("486 Busy Here"), Some(&1));
        assert!(!report.all_right());
        assert!(Report { packets_sent: 100, packets_late: 1, ..report.clone() }.kept_pace());
        assert!(!Report { packets_sent: 100, packets_late: 2, ..report }.kept_pace());
    }

    #[test]
    fn quantiles_of_merged_measurements() {
        let (mut one, mut two) = (Measured::new(), Measured::new());
        (0..50).for_each(|_| one.add(1_000_000));
        (0..50).for_each(|_| two.add(3_000_000));
        two.add(u64::MAX);
        one.merge(&two);
        let quantiles = one.quantiles();
        assert_eq!(quantiles.count, 101);
        assert!((2_990..3_010).contains(&quantiles.p50_us) || (990..1_010).contains(&quantiles.p50_us));
    }
}
